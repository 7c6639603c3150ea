"""The partition store: states and the position they stand at, written together or not at all.

The order of a commit, which is what makes state exact (DESIGN section 4):

1. the shell publishes changelog, outputs and position in one Kafka transaction;
2. the store writes the same changelog records, and how far the changelog is known, in one atomic write;
3. only then is the source acknowledged.

So the store is never ahead of the changelog. After a crash it is at or behind it, and :meth:`PartitionStore.restore`
brings it up from where it stands.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from state.codec import StateCodec
from state.decoded import DecodedStates
from state.position import Position

State = TypeVar("State", bound=msgspec.Struct)

DECODED_BYTES = 2 * 2**20
"""Greatest total size of the states that a store keeps decoded, in bytes as they are encoded."""

POSITION_KEY = b"\x00position"
MARKER_KEY = b"\x00marker"
CHANGELOG_KEY = b"\x00changelog"
_STATE_PREFIX = b"\x01"


class ChangelogRecord(NamedTuple):
    """A key and its new bytes, the same on the changelog topic and in the store.

    A value of :obj:`None` is a tombstone: it deletes the key.
    """

    key: bytes
    value: bytes | None


class PartitionStore(ABC, Generic[State]):
    """States of one partition of one plane, with the position that they stand at.

    Parameters
    ----------
    state_type
        Struct that the states decode to.

    Raises
    ------
    StateFormatError
        From any read, if what is stored has another format version.
    """

    def __init__(self, state_type: type[State]) -> None:
        self._codec = StateCodec(state_type)
        self._positions = StateCodec(Position)
        self._known = DecodedStates[State](DECODED_BYTES)
        self._encoded: dict[bytes, tuple[State, int]] = {}

    def read(self, keys: Sequence[str], /) -> list[State | None]:
        """Read the states of keys, in their order; :obj:`None` for a key without one.

        Nobody else has what is returned, so the caller may change it without changing the store: states committed
        lately are handed over without being decoded again, and each of them only once. The keys must be distinct.
        """
        names = [_STATE_PREFIX + key.encode() for key in keys]
        known = {name: state for name in names if (state := self._known.take(name)) is not None}
        missing = [name for name in names if name not in known]
        decode = self._codec.decode
        for name, data in zip(missing, self._get(missing) if missing else (), strict=True):
            if data is not None:
                known[name] = decode(data)
        return [known.get(name) for name in names]

    def position(self) -> Position:
        """Read the position that the states stand at; that of a new store is the beginning."""
        (data,) = self._get([POSITION_KEY])
        return Position() if data is None else self._positions.decode(data)

    def changelog_offset(self) -> int:
        """Read the next offset of the changelog that this store has not seen; 0 for a new store."""
        (data,) = self._get([CHANGELOG_KEY])
        return 0 if data is None else int.from_bytes(data, "big")

    def encode(self, states: dict[str, State | None], position: Position) -> list[ChangelogRecord]:
        """Return the changelog records of a commit: one per state, then the position.

        A state of :obj:`None` becomes a tombstone, a record without a value, which deletes its key.
        """
        encode, records = self._codec.encode, list[ChangelogRecord]()
        self._encoded.clear()
        for key, state in states.items():
            record = ChangelogRecord(_STATE_PREFIX + key.encode(), None if state is None else encode(state))
            records.append(record)
            if state is not None and record.value is not None:
                self._encoded[record.key] = state, len(record.value)
        records.append(ChangelogRecord(POSITION_KEY, self._positions.encode(position)))
        return records

    def commit(self, records: Iterable[ChangelogRecord], changelog_offset: int) -> None:
        """Write records of the changelog and its next offset in one atomic write: all of it or, after a crash, nothing.

        Call it only once the records are committed on the changelog topic, or a crash leaves the store ahead of it.

        Parameters
        ----------
        records
            What :meth:`encode` returned.
        changelog_offset
            Offset behind the last of these records on the changelog topic.
        """
        written = [*records, ChangelogRecord(CHANGELOG_KEY, changelog_offset.to_bytes(8, "big"))]
        self._known.forget(record.key for record in written)
        self._write(written)
        for key, (state, size) in self._encoded.items():
            self._known.keep(key, state, size)
        self._encoded.clear()

    def restore(self, records: Iterable[ChangelogRecord], changelog_offset: int) -> None:
        """Bring the store up to date with records read back from the changelog; transaction markers are passed over.

        Parameters
        ----------
        records
            Records of the changelog in its order; the last one of a key counts.
        changelog_offset
            Offset behind the last of them.

        Raises
        ------
        StateFormatError
            If a position among them has another format version.
        """
        self._known.clear()
        kept: dict[bytes, bytes | None] = {}
        for key, value in records:
            if key != MARKER_KEY:
                kept[key] = value
        position = kept.get(POSITION_KEY)
        if position is not None:
            self._positions.decode(position)
        end = ChangelogRecord(CHANGELOG_KEY, changelog_offset.to_bytes(8, "big"))
        self._write_restored([*(ChangelogRecord(key, value) for key, value in kept.items()), end])

    def _write_restored(self, records: list[ChangelogRecord]) -> None:
        """Write records that can be read again from the changelog should they be lost: all of them or none."""
        self._write(records)

    def after(self, key: str, count: int) -> list[tuple[str, State]]:
        """Read the states that follow a key, at most so many, in the order of the keys' bytes; the first ones after "".

        A look at a few states at a time goes through all of them without walking all at once: begin again at "" when
        fewer than ``count`` come.
        """
        first = _STATE_PREFIX + key.encode() + b"\x00"
        found = self._page(first, count)
        return [(name[1:].decode(), self._codec.decode(value)) for name, value in found if name[:1] == _STATE_PREFIX]

    def items(self) -> Iterator[tuple[str, State]]:
        """Yield all keys with their states, in the order of the keys."""
        for key, value in self.scan():
            if key[:1] == _STATE_PREFIX:
                yield key[1:].decode(), self._codec.decode(value)

    @abstractmethod
    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield raw keys and values in the order of the keys."""

    @abstractmethod
    def size_bytes(self) -> int:
        """Return roughly how many bytes the store holds."""

    @abstractmethod
    def memory_bytes(self) -> int:
        """Return roughly how many bytes of memory the store takes, without the states that it keeps decoded."""

    @property
    def decoded_bytes(self) -> int:
        """Size of the states that are kept decoded, in bytes as they are encoded; at most :data:`DECODED_BYTES`."""
        return self._known.size_bytes

    @abstractmethod
    def close(self) -> None:
        """Release files and memory; the store must not be used afterwards."""

    @abstractmethod
    def _page(self, first: bytes, count: int) -> list[tuple[bytes, bytes]]:
        """Read raw keys and values from a key on, at most so many, in the order of the keys."""

    @abstractmethod
    def _get(self, keys: list[bytes]) -> list[bytes | None]: ...

    @abstractmethod
    def _write(self, records: list[ChangelogRecord]) -> None: ...


class MemoryStore(PartitionStore[State]):
    """A store in a dict, for the topology driver and tests.

    Complexity: a new key moves the keys behind it in a list, 20 µs where there are 100,000.

    Examples
    --------
    >>> store = MemoryStore(Position)
    >>> store.commit(store.encode({"a": Position(7)}, Position(1)), 2)
    >>> store.read(["a", "b"]), store.position().number, store.changelog_offset()  # doctest: +ELLIPSIS
    ([Position(number=7, ...), None], 1, 2)
    """

    def __init__(self, state_type: type[State]) -> None:
        super().__init__(state_type)
        self._data: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []
        """All keys in order."""

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield raw keys and values in the order of the keys."""
        yield from self._page(b"", len(self._keys))

    def size_bytes(self) -> int:
        """Return the bytes of all keys and values."""
        return sum(len(key) + len(value) for key, value in self._data.items())

    def memory_bytes(self) -> int:
        """Return the same as :meth:`size_bytes`: everything is in memory."""
        return self.size_bytes()

    def close(self) -> None:
        """Forget everything."""
        self._data.clear()
        self._keys.clear()

    def _page(self, first: bytes, count: int) -> list[tuple[bytes, bytes]]:
        begin = bisect_left(self._keys, first)
        return [(key, self._data[key]) for key in self._keys[begin : begin + count]]

    def _get(self, keys: list[bytes]) -> list[bytes | None]:
        return list(map(self._data.get, keys))

    def _write(self, records: list[ChangelogRecord]) -> None:
        for key, value in records:
            if value is not None:
                if key not in self._data:
                    insort(self._keys, key)
                self._data[key] = value
            elif self._data.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]
