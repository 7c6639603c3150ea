"""Stores whose files are damaged, on real files: what every call says of it, and that the lock is free afterwards."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from processors.common.errors import CorruptStoreError, StateError
from state.position import Position
from state.rocks import RocksStore, destroy, peek_changelog_offset
from tests.support import flip_a_bit

KEYS = [f"u{n:04}" for n in range(3000)]
TABLES_TO_COMPACT = 4

Store = RocksStore[Position]


def fill(folder: Path, tables: int) -> Path:
    """Directory of a store, not open, with so many tables that all have every key; the first of them."""
    for table in range(tables):
        store = RocksStore(folder, Position)
        store.commit(store.encode({key: Position(n) for n, key in enumerate(KEYS)}, Position(table)), table)
        store.close()
    return min(folder.glob("*.sst"))


def is_free(folder: Path) -> bool:
    """Whether nobody has the store of a directory open: who has it open keeps it from being deleted."""
    destroy(folder)
    return not folder.exists()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("use", [lambda store: store.read(KEYS), lambda store: list(store.items())])
def test_a_block_that_is_damaged_is_told_by_who_reads_it(
    tmp_path: Path, share: float, use: Callable[[Store], object]
) -> None:
    flip_a_bit(fill(tmp_path / "s", 1), share)
    store = RocksStore(tmp_path / "s", Position)
    with pytest.raises(CorruptStoreError, match="s cannot be read: Corruption"):
        use(store)
    store.close()
    assert is_free(tmp_path / "s")


@pytest.mark.parametrize("share", [0.0, 0.98, 0.99, 1.0])
def test_a_table_whose_first_block_or_index_is_damaged_cannot_be_opened(tmp_path: Path, share: float) -> None:
    flip_a_bit(fill(tmp_path / "s", 1), share)
    with pytest.raises(CorruptStoreError, match=r"s cannot be (opened|read): Corruption"):
        RocksStore(tmp_path / "s", Position)
    assert is_free(tmp_path / "s")


def write_until_it_fails(store: Store) -> None:
    """The first write flushes what was restored, which makes the table that all are compacted at."""
    deadline = monotonic() + 20
    while monotonic() < deadline:
        store.commit([], 10)


def compact_damaged(folder: Path, share: float) -> Store:
    """A store, open, whose compaction in the background has met damage that no read has met."""
    flip_a_bit(fill(folder, TABLES_TO_COMPACT - 1), share)
    store = RocksStore(folder, Position)
    store.restore(store.encode({}, Position(9)), 9)
    with pytest.raises(CorruptStoreError, match="s cannot be written: Corruption"):
        write_until_it_fails(store)
    return store


@pytest.mark.parametrize("share", [0.1, 0.5, 0.7])
def test_damage_that_a_compaction_finds_is_told_by_closing(tmp_path: Path, share: float) -> None:
    store = compact_damaged(tmp_path / "s", share)
    with pytest.raises(CorruptStoreError, match=r"s cannot be (written|closed): Corruption"):
        store.close()
    assert is_free(tmp_path / "s")


def test_closing_does_not_replace_why_a_store_was_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(store: Store) -> Position:
        store.restore(store.encode({}, Position(9)), 9)
        with pytest.raises(CorruptStoreError):
            write_until_it_fails(store)
        raise CorruptStoreError("found first")

    flip_a_bit(fill(tmp_path / "s", TABLES_TO_COMPACT - 1), 0.5)
    monkeypatch.setattr(RocksStore, "position", find)
    with pytest.raises(CorruptStoreError, match="found first"):
        RocksStore(tmp_path / "s", Position)
    assert is_free(tmp_path / "s")


def test_a_damaged_store_that_cannot_be_flushed_either_is_damaged_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RocksStore(tmp_path / "s", Position)

    def fail(error: StateError) -> Callable[[], None]:
        def step() -> None:
            raise error

        return step

    release = store._release
    for first, second in (
        (StateError("full"), CorruptStoreError("bit")),
        (CorruptStoreError("bit"), StateError("full")),
    ):
        monkeypatch.setattr(store, "_log_on", fail(first))
        monkeypatch.setattr(store, "_release", fail(second))
        with pytest.raises(CorruptStoreError, match="bit"):
            store.close()
    release()


def test_a_disk_that_takes_no_more_is_told_by_closing_and_the_lock_is_free(tmp_path: Path) -> None:
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from processors.common.errors import NoRoomError, StateError\n"
        "from state.rocks import RocksStore; from state.position import Position\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = RocksStore(Path(sys.argv[1]), Position)\n"
        "if sys.argv[2] == 'restored':\n"
        "    store.restore(store.encode({f'u{n}': Position(n) for n in range(5000)}, Position(1)), 7)\n"
        "else:\n"
        "    store.commit(store.encode({f'u{n}': Position(n) for n in range(5000)}, Position(1)), 7)\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))\n"
        "try: store.close()\n"
        "except StateError as error: print(isinstance(error, NoRoomError), error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "again = RocksStore(Path(sys.argv[1]), Position); print(again.changelog_offset()); again.close()\n"
    )
    said = {}
    for what in ("restored", "committed"):
        command = [sys.executable, "-c", script, str(tmp_path / what), what]
        found = subprocess.run(command, capture_output=True, text=True, check=True)
        said[what] = found.stdout.splitlines()
    for (told, offset), known in ((said["restored"], "0"), (said["committed"], "7")):
        assert told.startswith("True state directory"), told
        assert "File too large" in told
        assert offset == known


def test_a_store_that_has_been_closed_is_not_taken_for_damaged(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "s", Position)
    store.close()
    uses = (store.close, store.size_bytes, store.memory_bytes, store.position, lambda: list(store.scan()))
    for use in (*uses, lambda: store.commit([], 1)):
        with pytest.raises(StateError, match="it has been closed") as caught:
            use()
        assert not isinstance(caught.value, CorruptStoreError)


def test_a_scan_that_was_not_finished_keeps_nobody_out(tmp_path: Path) -> None:
    fill(tmp_path / "s", 1)
    store = RocksStore(tmp_path / "s", Position)
    scan = store.scan()
    next(scan)
    store.close()
    assert is_free(tmp_path / "s")


def test_a_scan_gives_every_key_once_and_in_order(tmp_path: Path) -> None:
    fill(tmp_path / "s", 2)
    store = RocksStore(tmp_path / "s", Position)
    assert [key for key, _ in store.items()] == KEYS
    store.close()


def test_a_peek_at_a_damaged_store_sees_nothing(tmp_path: Path) -> None:
    flip_a_bit(fill(tmp_path / "s", 1), 0.0)
    assert peek_changelog_offset(tmp_path / "s") is None
