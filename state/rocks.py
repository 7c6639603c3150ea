"""The partition store on RocksDB."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import Any, TypeVar, cast

import msgspec
from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from processors.common.bounds import Bytes
from processors.common.errors import CorruptStoreError, LockedStoreError, NoRoomError, StateError
from state.rocks_files import DamagedLog, check_logs
from state.store import CHANGELOG_KEY, ChangelogRecord, PartitionStore

State = TypeVar("State", bound=msgspec.Struct)


_LOCKED = ("While lock file", "lock hold by current process")
_NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large")
_NOT_THE_FILES = ("Permission denied", "Operation not permitted", "Read-only file system", "Too many open files",
                  "Input/output error", "Cannot allocate memory")  # fmt: skip
"""Parts of the messages of failures that are not the files' fault, so that making the store anew would not help."""

_PAGE = 1000
"""How many keys a scan reads at once."""


class RocksSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Memory per partition store.

    Parameters
    ----------
    write_buffer_bytes
        Size of a memtable, where writes collect before they go into a file; there are at most two.
    block_cache_bytes
        Size of the cache of uncompressed blocks, which serves repeated reads.
    """

    write_buffer_bytes: Bytes = 8 * 2**20
    block_cache_bytes: Bytes = 16 * 2**20


class RocksStore(PartitionStore[State]):
    """A partition store in a directory of its own, on RocksDB. One process at a time may have it open.

    Parameters
    ----------
    path
        The store's directory; it is made if it does not exist.
    state_type
        Struct that the states decode to.
    settings
        How much memory the store may take; by default 8 MiB for a memtable and 16 MiB for the cache.

    Raises
    ------
    LockedStoreError
        If another process has the directory open.
    CorruptStoreError
        If its files are damaged. Reads, writes and closing raise it too: some damage shows only then, and what a
        compaction finds in the background is reported by the next write or by closing.
    StateError
        If the machine refuses, for example for want of permissions or disk space.
    StateFormatError
        If it was written in another format version.
    """

    def __init__(self, path: Path, state_type: type[State], settings: RocksSettings | None = None) -> None:
        super().__init__(state_type)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        with _failing(path, "opened"):
            _check_logs(path)
            self._db = Rdict(str(path), _options(settings or RocksSettings()))
        # Whether there is data that the write-ahead log doesn't hold.
        self._unlogged = False
        try:
            self.position()  # refuses another format version here, not at the first event
        except StateError:
            with suppress(StateError):  # the first failure is the one to report
                self._release()
            raise

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield raw keys and values in the order of the keys.

        What is written while the scan runs may be among them or not.
        """
        page = self._page(b"", _PAGE)
        while page:
            yield from page
            page = self._page(page[-1][0] + b"\x00", _PAGE)

    def _page(self, first: bytes, count: int) -> list[tuple[bytes, bytes]]:
        with _failing(self.path, "read"):
            # A new iterator for each page: one that lives on holds the lock of the store.
            found = self._db.iter()
            try:
                found.seek(first)
                page: list[tuple[bytes, bytes]] = []
                while len(page) < count and found.valid():
                    page.append((found.key(), found.value()))
                    found.next()
                found.status()  # at a damaged block it is as if the keys came to an end
                return page
            finally:
                del found  # or the frame of an error being handled would keep it

    def size_bytes(self) -> int:
        """Return the bytes of live files and memtables."""
        return self._sum("rocksdb.live-sst-files-size", "rocksdb.cur-size-all-mem-tables")

    def memory_bytes(self) -> int:
        """Return the bytes of memory taken by block cache, memtables, and what is kept of the tables' indexes."""
        return self._sum(
            "rocksdb.block-cache-usage", "rocksdb.size-all-mem-tables", "rocksdb.estimate-table-readers-mem"
        )

    def _sum(self, *names: str) -> int:
        with _failing(self.path, "measured"):
            return sum(self._db.property_int_value(name) or 0 for name in names)

    def close(self) -> None:
        """Flush and close the files; even if this raises, they are closed afterwards.

        Raises
        ------
        CorruptStoreError
            If the files turn out to be damaged.
        StateError
            If the machine refuses to write what is left, for example on a full disk.
        """
        failures: list[StateError] = []
        for step in (self._log_on, self._release):
            try:
                step()
            except StateError as error:
                failures.append(error)
        if failures:
            # Damage is what somebody can do something about, whichever step met it.
            raise min(failures, key=lambda failure: not isinstance(failure, CorruptStoreError))

    def _release(self) -> None:
        """Close the files. RocksDB flushes first, and closes whether it could or not."""
        with _failing(self.path, "closed"):
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
        """Flush restored data into files before anything that is logged can be written behind it."""
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
    """Turn errors of rocksdict into ours, which name the directory and what was done to it.

    Make every call of rocksdict within it: rocksdict raises bare exceptions, which callers could not distinguish.

    Parameters
    ----------
    path
        The store's directory.
    done
        What the calls do to it, as a participle for the message: ``opened``, ``read``, ``written``, ``closed``.

    Raises
    ------
    LockedStoreError, NoRoomError, StateError, CorruptStoreError
        If another process has the directory open; if the disk is full; if the machine refuses otherwise; for every
        other failure.
    """
    try:
        yield
    except DbClosedError as error:
        raise StateError(f"state directory {path} cannot be {done}: it has been closed") from error
    except Exception as error:  # rocksdict raises bare Exception for every other failure
        text = f"state directory {path} cannot be {done}: {error}"
        if any(cause in text for cause in _LOCKED):
            raise LockedStoreError(f"{text}. It is in use: give each worker a worker.state_dir of its own") from error
        if any(cause in text for cause in _NO_ROOM):
            raise NoRoomError(text) from error
        if any(cause in text for cause in _NOT_THE_FILES):
            raise StateError(text) from error
        raise CorruptStoreError(text) from error


def _check_logs(path: Path) -> None:
    """Look at the logs of a directory. Another process may be writing them: what looks damaged is looked at again."""
    for wait_s in (0.05, 0.2, None):
        try:
            check_logs(path)
        except (DamagedLog, FileNotFoundError):
            if wait_s is None:
                raise
            sleep(wait_s)
        else:
            return


def peek_changelog_offset(path: Path) -> int | None:
    """Read how far a store in a directory has read its changelog, without opening it for writing.

    The store may be open in another process, and takes no harm. The answer is :obj:`None` if there is no store, or it
    cannot be read now. What is not in files yet may be left out.
    """
    if not (path / "CURRENT").is_file():
        return None
    try:
        with _failing(path, "read"):
            db = Rdict(str(path), _options(RocksSettings()), access_type=AccessType.read_only())
            try:
                data = cast("bytes | None", db.get(CHANGELOG_KEY))
            finally:
                db.close()
    except StateError:  # mostly files that have just gone
        return None
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
