"""The partition store on RocksDB."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec
from rocksdict import AccessType, BlockBasedOptions, Cache, DBCompressionType, Options, Rdict, WriteBatch, WriteOptions

from processors.bounds import Bytes
from processors.errors import CorruptStoreError, LockedStoreError, StateError
from state.store import CHANGELOG_KEY, ChangelogRecord, PartitionStore

State = TypeVar("State", bound=msgspec.Struct)


_LOCKED = ("While lock file", "lock hold by current process")
_NOT_THE_FILES = ("Permission denied", "Operation not permitted", "Read-only file system", "No space left on device",
                  "Disk quota exceeded", "Too many open files")  # fmt: skip
"""What fails for other reasons than the files themselves, so that making them anew would not help."""


class RocksSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Memory per partition store.

    Parameters
    ----------
    write_buffer_bytes
        Of a memtable; there are at most two.
    block_cache_bytes
        Of the cache of uncompressed blocks.
    """

    write_buffer_bytes: Bytes = 16 * 2**20
    block_cache_bytes: Bytes = 16 * 2**20


class RocksStore(PartitionStore[State]):
    """A store in a directory. One process at a time may have it open.

    Parameters
    ----------
    path
        Directory; made if it does not exist.
    state_type
        Struct that the states decode to.
    settings
        Memory bounds.

    Raises
    ------
    LockedStoreError
        If another process has the directory open.
    CorruptStoreError
        If its files are damaged. Reads and writes raise it too: some damage shows only then.
    StateError
        If the machine refuses: permissions, a full disk.
    StateFormatError
        If another format version wrote it.
    """

    def __init__(self, path: Path, state_type: type[State], settings: RocksSettings | None = None) -> None:
        super().__init__(state_type)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        with _failing(path, "opened"):
            self._db = Rdict(str(path), _options(settings or RocksSettings()))
        # Whether there is data that the write-ahead log doesn't hold.
        self._unlogged = False
        try:
            self.position()  # refuses another format version here, not at the first event
        except StateError:
            self._db.close()
            raise

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Raw keys and values in the order of the keys."""
        with _failing(self.path, "read"):
            yield from self._db.items()

    def size_bytes(self) -> int:
        """Bytes of live files and memtables."""
        names = ("rocksdb.live-sst-files-size", "rocksdb.cur-size-all-mem-tables")
        return sum(self._db.property_int_value(name) or 0 for name in names)

    def memory_bytes(self) -> int:
        """Bytes of block cache, memtables, and of what is kept of the tables' indexes."""
        names = ("rocksdb.block-cache-usage", "rocksdb.size-all-mem-tables", "rocksdb.estimate-table-readers-mem")
        return sum(self._db.property_int_value(name) or 0 for name in names)

    def close(self) -> None:
        """Flush and close the files."""
        try:
            self._log_on()
        finally:
            self._db.close()

    def _get(self, keys: list[bytes]) -> list[bytes | None]:
        with _failing(self.path, "read"):
            return list(cast("list[bytes | None]", self._db.get([*keys])))

    def _write_restored(self, records: list[ChangelogRecord]) -> None:
        # A crash loses the latest part of what was written without log, data and offset alike, and it is read again.
        self._unlogged = True
        with _failing(self.path, "written"):
            self._db.write(_batch(records), _without_log())

    def _log_on(self) -> None:
        """Put restored data into files before anything that is logged can come behind it."""
        if self._unlogged:
            with _failing(self.path, "written"):
                self._db.flush()
            self._unlogged = False

    def _write(self, records: list[ChangelogRecord]) -> None:
        self._log_on()
        with _failing(self.path, "written"):
            self._db.write(_batch(records))


def destroy(path: Path) -> None:
    """Delete the directory of a store that nobody has open, damaged or not.

    Raises
    ------
    LockedStoreError
        If somebody has it open.
    StateError
        If it cannot be deleted.
    """
    if not path.exists():
        return
    with suppress(CorruptStoreError), _failing(path, "deleted"):
        Rdict.destroy(str(path))
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"state directory {path} cannot be deleted: {error}") from error


@contextmanager
def _failing(path: Path, done: str) -> Iterator[None]:
    """Say which directory could not be opened, read or written, and whether its files are to blame."""
    try:
        yield
    except Exception as error:  # rocksdict raises bare Exception for every failure
        text = f"state directory {path} cannot be {done}: {error}"
        if any(cause in text for cause in _LOCKED):
            raise LockedStoreError(f"{text}. It is in use: give each worker a worker.state_dir of its own") from error
        if any(cause in text for cause in _NOT_THE_FILES):
            raise StateError(text) from error
        raise CorruptStoreError(text) from error


def peek_changelog_offset(path: Path) -> int | None:
    """How far a store in a directory has read its changelog; it may be another process's, and takes no harm.

    :obj:`None` if there is no store, or it cannot be read now. What is not in files yet may be left out.
    """
    if not (path / "CURRENT").is_file():
        return None
    try:
        db = Rdict(str(path), _options(RocksSettings()), access_type=AccessType.read_only())
    except Exception:  # noqa: BLE001  # rocksdict raises bare Exception, here mostly for files that have just gone
        return None
    try:
        data = cast("bytes | None", db.get(CHANGELOG_KEY))
    finally:
        db.close()
    return 0 if data is None else int.from_bytes(data, "big")


def _batch(records: list[ChangelogRecord]) -> WriteBatch:
    batch = WriteBatch(raw_mode=True)
    for key, value in records:
        if value is None:
            batch.delete(key)
        else:
            batch.put(key, value)
    return batch


def _without_log() -> WriteOptions:
    options = WriteOptions()
    # An attribute to be set, though the stubs of rocksdict declare a method.
    cast(Any, options).disable_wal = True
    return options


def _options(settings: RocksSettings) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(settings.write_buffer_bytes)
    options.set_max_write_buffer_number(2)
    options.set_max_total_wal_size(4 * settings.write_buffer_bytes)
    options.set_keep_log_file_num(2)
    options.set_max_open_files(256)
    options.set_compression_type(DBCompressionType.lz4())
    table = BlockBasedOptions()
    table.set_block_cache(Cache(settings.block_cache_bytes))
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options
