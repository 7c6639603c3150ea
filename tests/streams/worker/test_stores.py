"""Local stores that are damaged or in use."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from processors.common.errors import CorruptStoreError, NoRoomError, StateError
from processors.users.profile import Profile
from state.position import Position
from state.rocks import RocksStore, destroy
from state.store import PartitionStore
from streams.engine.topology import build_topology
from streams.settings.sections import Settings, WorkerSettings
from streams.worker.stores import Stores
from tests.support import flip_a_bit

PLANE = build_topology(Settings()).users


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Directory of a store with a table file, not open."""
    store = RocksStore(tmp_path / "users-0", Profile)
    store.commit(store.encode({f"u{n}": Profile(events=n) for n in range(5000)}, Position(1)), 7)
    store.close()
    RocksStore(tmp_path / "users-0", Profile).close()
    return tmp_path / "users-0"


def stores(folder: Path) -> Stores:
    return Stores(Settings(worker=WorkerSettings(state_dir=str(folder.parent))))


def use(store: PartitionStore[Profile]) -> int:
    """Look at everything that is in it."""
    try:
        return len(store.read([f"u{n}" for n in range(5000)])) + len(list(store.items()))
    finally:
        store.close()


def largest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=lambda file: file.stat().st_size)


def be_a_file(folder: Path) -> None:
    destroy(folder)
    folder.write_bytes(b"")


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda folder: flip_a_bit(largest(folder, "*.sst"), 1 / 3), id="a bit of a table"),
        pytest.param(lambda folder: largest(folder, "MANIFEST*").unlink(), id="no manifest"),
        pytest.param(lambda folder: (folder / "CURRENT").write_bytes(b""), id="an empty file"),
        pytest.param(be_a_file, id="a file for a directory"),
    ],
)
def test_a_damaged_store_is_made_anew_once(folder: Path, harm: Callable[[Path], object]) -> None:
    harm(folder)
    opener = stores(folder)
    with pytest.raises(CorruptStoreError, match="users-0 cannot be"):
        use(opener.open(PLANE, 0))
    assert opener.rebuild(PLANE, 0)
    anew = opener.open(PLANE, 0)
    assert (anew.changelog_offset(), use(anew)) == (0, 5000)
    assert not opener.rebuild(PLANE, 0)


def test_writes_to_a_damaged_store_say_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RocksStore(folder, Profile)
    monkeypatch.setattr(store, "_db", None)
    with pytest.raises(CorruptStoreError, match="users-0 cannot be written"):
        store.commit([], 1)


@pytest.mark.parametrize(
    ("reason", "kind"), [("Permission denied", StateError), ("No space left on device", NoRoomError)]
)
def test_a_store_that_the_machine_refuses_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, kind: type[StateError]
) -> None:
    def refuse(*_: object) -> None:
        raise Exception(f"IO error: While open a file for lock: LOCK: {reason}")  # as rocksdict does

    monkeypatch.setattr("state.rocks.Rdict", refuse)
    with pytest.raises(StateError, match=reason) as caught:
        RocksStore(tmp_path / "s", Profile)
    assert type(caught.value) is kind


@contextmanager
def another_process_has(folder: Path) -> Iterator[None]:
    script = (
        "import sys; from pathlib import Path; from processors.users.profile import Profile\n"
        "from state.rocks import RocksStore\n"
        "store = RocksStore(Path(sys.argv[1]), Profile); print('open', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        try:
            yield
        finally:
            process.kill()


def test_a_store_in_use_is_replaced_by_a_private_one_while_it_is_open(folder: Path) -> None:
    opener = stores(folder)
    with another_process_has(folder):
        private = opener.open(PLANE, 0)
        assert private.changelog_offset() == 0
        opener.close(private)
    assert [path.name for path in folder.parent.iterdir()] == ["users-0"]
    own = opener.open(PLANE, 0)
    assert own.changelog_offset() == 7
    opener.close(own)


def test_private_stores_that_a_crash_left_behind_are_cleaned_up(folder: Path) -> None:
    for n in (1, 2):
        RocksStore(folder.with_suffix(f".{n}"), Profile).close()
    with another_process_has(folder.with_suffix(".2")):
        opener = stores(folder)
        opener.close(opener.open(PLANE, 0))
        assert sorted(path.name for path in folder.parent.iterdir()) == ["users-0", "users-0.2"]


async def test_whoever_is_cancelled_while_a_store_is_opened_leaves_none_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opener, begun = stores(folder), threading.Event()
    open_ = opener.open

    def slowly(plane: Any, partition: int) -> PartitionStore[Any]:
        begun.set()
        time.sleep(0.2)
        return open_(plane, partition)

    monkeypatch.setattr(opener, "open", slowly)
    task = asyncio.create_task(opener.take(PLANE, 0))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    again = await opener.take(PLANE, 0)
    assert (again.changelog_offset(), [path.name for path in folder.parent.iterdir()]) == (7, ["users-0"])
    opener.close(again)
