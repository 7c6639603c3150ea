"""The partition store: states and the position they stand at, written together or not at all.

The order of a commit, which is what makes state exact (DESIGN section 4):

1. the shell publishes changelog, outputs and position in one Kafka transaction;
2. the store writes the same changelog records, and how far the changelog is known, in one atomic write;
3. only then is the source acknowledged.

So the store is never ahead of the changelog. After a crash it is at or behind it, and :meth:`PartitionStore.restore`
brings it up from where it stands.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from state.codec import StateCodec
from state.position import Position

State = TypeVar("State", bound=msgspec.Struct)

POSITION_KEY = b"\x00position"
MARKER_KEY = b"\x00marker"
CHANGELOG_KEY = b"\x00changelog"
_STATE_PREFIX = b"\x01"


class ChangelogRecord(NamedTuple):
    """A key and its new bytes; :obj:`None` deletes it. The same on the changelog topic and in the store."""

    key: bytes
    value: bytes | None


class PartitionStore(ABC, Generic[State]):
    """States of one partition of one plane.

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

    def read(self, keys: Sequence[str], /) -> list[State | None]:
        """States of keys, :obj:`None` where there is none. Each call decodes anew: what it returns may be changed."""
        decode = self._codec.decode
        found = self._get([_STATE_PREFIX + key.encode() for key in keys])
        return [None if data is None else decode(data) for data in found]

    def position(self) -> Position:
        """Position that the states stand at; a new store stands at the beginning."""
        (data,) = self._get([POSITION_KEY])
        return Position() if data is None else self._positions.decode(data)

    def changelog_offset(self) -> int:
        """Next offset of the changelog that this store has not seen."""
        (data,) = self._get([CHANGELOG_KEY])
        return 0 if data is None else int.from_bytes(data, "big")

    def encode(self, states: dict[str, State | None], position: Position) -> list[ChangelogRecord]:
        """Changelog records of a commit: one per state, then the position."""
        encode = self._codec.encode
        records = [
            ChangelogRecord(_STATE_PREFIX + key.encode(), None if state is None else encode(state))
            for key, state in states.items()
        ]
        records.append(ChangelogRecord(POSITION_KEY, self._positions.encode(position)))
        return records

    def commit(self, records: Iterable[ChangelogRecord], changelog_offset: int) -> None:
        """Write records of the changelog, and that it is known up to ``changelog_offset``, in one atomic write."""
        self._write([*records, ChangelogRecord(CHANGELOG_KEY, changelog_offset.to_bytes(8, "big"))])

    def restore(self, records: Iterable[ChangelogRecord], changelog_offset: int) -> None:
        """Bring the store up by records read back from the changelog; markers are passed over.

        Raises
        ------
        StateFormatError
            If a position among them has another format version.
        """
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
        """Write what can be read again from the changelog, should it be lost: all of it or nothing."""
        self._write(records)

    def items(self) -> Iterator[tuple[str, State]]:
        """All keys with their states, in the order of the keys."""
        for key, value in self.scan():
            if key[:1] == _STATE_PREFIX:
                yield key[1:].decode(), self._codec.decode(value)

    @abstractmethod
    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Raw keys and values in the order of the keys."""

    @abstractmethod
    def size_bytes(self) -> int:
        """Bytes that the store holds, roughly."""

    @abstractmethod
    def memory_bytes(self) -> int:
        """Bytes of memory that the store takes, roughly."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and memory; the store must not be used afterwards."""

    @abstractmethod
    def _get(self, keys: list[bytes]) -> list[bytes | None]: ...

    @abstractmethod
    def _write(self, records: list[ChangelogRecord]) -> None: ...


class MemoryStore(PartitionStore[State]):
    """A store in a dict, for the topology driver and tests.

    Examples
    --------
    >>> store = MemoryStore(Position)
    >>> store.commit(store.encode({"a": Position(7)}, Position(1)), 2)
    >>> store.read(["a", "b"]), store.position().number, store.changelog_offset()
    ([Position(number=7, offsets={}, received={}, sent={}, incarnation=0), None], 1, 2)
    """

    def __init__(self, state_type: type[State]) -> None:
        super().__init__(state_type)
        self._data: dict[bytes, bytes] = {}

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Raw keys and values in the order of the keys."""
        yield from sorted(self._data.items())

    def size_bytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(len(key) + len(value) for key, value in self._data.items())

    def memory_bytes(self) -> int:
        """As many: everything is in memory."""
        return self.size_bytes()

    def close(self) -> None:
        """Forget everything."""
        self._data.clear()

    def _get(self, keys: list[bytes]) -> list[bytes | None]:
        return list(map(self._data.get, keys))

    def _write(self, records: list[ChangelogRecord]) -> None:
        for key, value in records:
            if value is None:
                self._data.pop(key, None)
            else:
                self._data[key] = value
