"""Every store passes the one conformance suite, and a suite that a broken store would fail is shown to fail."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from processors.common.errors import StateError, StateFormatError
from state.codec import FORMAT_VERSION
from state.position import Position
from state.rocks import RocksStore, peek_changelog_offset
from state.store import MARKER_KEY, POSITION_KEY, ChangelogRecord, MemoryStore, PartitionStore


class Tally(msgspec.Struct, array_like=True):
    n: int = 0
    names: list[str] = msgspec.field(default_factory=list)


Make = Callable[[], PartitionStore[Tally]]


def check_store(make: Make) -> None:
    """The conformance suite: a new store is empty and at the beginning, commits are whole, restores agree."""
    store, twin = make(), make()
    assert store.read(["a"]) == [None]
    assert (store.position(), store.changelog_offset()) == (Position(), 0)

    kept = Tally(1, ["x"])
    first = store.encode({"a": kept, "ключ": Tally(2)}, Position(1, {"t": 5}, {"s": 3}, {"o/0": 1}))
    assert store.read(["a"]) == [None], "encoding must not write"
    store.commit(first, 3)
    assert store.read(["ключ", "b", "a"]) == [Tally(2), None, Tally(1, ["x"])]
    assert (store.position().offsets, store.changelog_offset()) == ({"t": 5}, 3)

    kept.names.append("y")
    read = store.read(["a"])[0]
    assert read == Tally(1, ["x"]), "the store must not alias what it was given"
    assert read is not None
    read.names.append("z")
    assert store.read(["a"]) == [Tally(1, ["x"])], "the store must not alias what it gave"

    second = store.encode({"a": None, "c": Tally(4)}, Position(2, {"t": 9}))
    store.commit(second, 6)
    assert list(store.items()) == [("c", Tally(4)), ("ключ", Tally(2))]
    assert store.after("", 9) == [("c", Tally(4)), ("ключ", Tally(2))]
    assert (store.after("", 1), store.after("c", 1)) == ([("c", Tally(4))], [("ключ", Tally(2))])
    assert store.after("b", 1) == [("c", Tally(4))], "a key that is not there"
    assert store.after("ключ", 1) == []
    assert store.size_bytes() >= 0
    assert store.memory_bytes() > 0

    twin.restore([*first, ChangelogRecord(MARKER_KEY, b"anything"), *second], 6)
    assert list(twin.scan()) == list(store.scan()), "a restored store holds the same bytes"
    twin.restore(second, 6)
    assert list(twin.scan()) == list(store.scan()), "restoring again changes nothing"
    store.close()
    twin.close()


@pytest.fixture(params=["memory", "rocks"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "memory":
        return lambda: MemoryStore(Tally)
    numbers = iter(range(100))
    return lambda: RocksStore(tmp_path / str(next(numbers)), Tally)


def test_conforms(make: Make) -> None:
    check_store(make)


def test_a_store_that_forgets_deletions_does_not_conform() -> None:
    class Forgetful(MemoryStore[Tally]):
        def _write(self, records: list[ChangelogRecord]) -> None:
            super()._write([record for record in records if record.value is not None])

    with pytest.raises(AssertionError):
        check_store(lambda: Forgetful(Tally))


def test_survives_closing(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "s", Tally)
    store.commit(store.encode({"a": Tally(1)}, Position(1)), 2)
    store.close()
    again = RocksStore(tmp_path / "s", Tally)
    assert (again.read(["a"]), again.position().number, again.changelog_offset()) == ([Tally(1)], 1, 2)
    again.close()


def test_another_format_version_is_refused_at_opening(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "s", Tally)
    store.commit([ChangelogRecord(POSITION_KEY, b"\x09rest")], 1)
    store.close()
    said = f"format version 9, this release reads {FORMAT_VERSION}: run the release that"
    with pytest.raises(StateFormatError, match=said):
        RocksStore(tmp_path / "s", Tally)


def test_another_format_version_on_the_changelog_is_refused(make: Make) -> None:
    store = make()
    with pytest.raises(StateFormatError, match="format version 9"):
        store.restore([ChangelogRecord(POSITION_KEY, b"\x09rest")], 1)
    store.close()


def test_garbage_is_told_from_a_state(make: Make) -> None:
    store = make()
    store.commit([ChangelogRecord(b"\x01a", bytes([FORMAT_VERSION]) + b"\xc1")], 1)
    with pytest.raises(StateFormatError, match="stored Tally cannot be decoded"):
        store.read(["a"])
    store.close()


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "s", Tally)
    with pytest.raises(StateError, match=r"cannot be opened: .*\. It is in use: give each worker"):
        RocksStore(tmp_path / "s", Tally)
    store.close()


def test_a_crash_after_a_restore_and_a_commit_leaves_both_or_nothing(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path\n"
        "from state.rocks import RocksStore; from state.position import Position\n"
        "store = RocksStore(Path(sys.argv[1]), Position)\n"
        "store.restore(store.encode({'restored': Position(1)}, Position(1)), 2)\n"
        "if sys.argv[2] == 'committed': store.commit(store.encode({'new': Position(2)}, Position(2)), 4)\n"
        "os._exit(9)\n"
    )
    found = {}
    for moment in ("restored", "committed"):
        command = [sys.executable, "-c", script, str(tmp_path / moment), moment]
        assert subprocess.run(command, check=False).returncode == 9
        store = RocksStore(tmp_path / moment, Position)
        found[moment] = (store.position().number, store.changelog_offset(), sorted(key for key, _ in store.items()))
        store.close()
    assert found == {"restored": (0, 0, []), "committed": (2, 4, ["new", "restored"])}


def test_a_peek_sees_how_far_a_store_is_while_its_owner_goes_on(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "users-0", Tally)
    for offset in (3, 5):
        store.commit(store.encode({"a": Tally(offset)}, Position(1)), offset)
        assert peek_changelog_offset(tmp_path / "users-0") == offset
    store.close()
    assert RocksStore(tmp_path / "users-0", Tally).read(["a"]) == [Tally(5)]


def test_a_peek_makes_no_store_where_there_is_none(tmp_path: Path) -> None:
    assert (peek_changelog_offset(tmp_path / "users-0"), list(tmp_path.iterdir())) == (None, [])
