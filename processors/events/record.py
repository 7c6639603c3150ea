"""A record as it came from a topic, where it was first appended, and why one is refused."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

import msgspec

from processors.common.bounds import EpochMs


class SourceRecord(Protocol):
    """What the planes need of a consumed record; aiokafka's ``ConsumerRecord`` is one, :class:`Record` another."""

    @property
    def topic(self) -> str:
        """Topic it was consumed from."""
        ...

    @property
    def partition(self) -> int:
        """Partition of the topic."""
        ...

    @property
    def offset(self) -> int:
        """Offset in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Append time, milliseconds since the epoch."""
        ...

    @property
    def key(self) -> bytes | None:
        """Key as it came."""
        ...

    @property
    def value(self) -> bytes | None:
        """Value as it came; :obj:`None` for a tombstone."""
        ...

    @property
    def headers(self) -> Any:
        """Pairs of name and bytes."""
        ...


class Record(msgspec.Struct, frozen=True):
    """A source record outside Kafka: the topology driver's and the tests'.

    ``timestamp`` is the append time in milliseconds since the epoch.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where and when (milliseconds since the epoch) a record was first appended."""

    topic: str
    partition: Annotated[int, msgspec.Meta(ge=0)]
    offset: Annotated[int, msgspec.Meta(ge=0)]
    time_ms: EpochMs

    @classmethod
    def of(cls, record: SourceRecord) -> Origin:
        """Where the record itself is."""
        return cls(record.topic, record.partition, record.offset, record.timestamp)


class Refusal(msgspec.Struct, frozen=True):
    """Why a record is refused. ``reason`` is one of :data:`processors.events.repair.REASONS`, or of its topic's own."""

    reason: str
    message: str
