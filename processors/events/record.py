"""Records as consumed from a topic, the origin of a forwarded one, and the refusal of an unusable one."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

import msgspec

from processors.common.bounds import EpochMs


class SourceRecord(Protocol):
    """What the planes read of a consumed record.

    Both aiokafka's ``ConsumerRecord`` and :class:`Record` fit.
    """

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
    """A source record made outside Kafka, as the topology driver and the tests make them.

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
    """Where and when an app's record was first appended, before it was forwarded to its user's partition.

    ``time_ms`` is the append time in milliseconds since the epoch.
    """

    topic: str
    partition: Annotated[int, msgspec.Meta(ge=0)]
    offset: Annotated[int, msgspec.Meta(ge=0)]
    time_ms: EpochMs

    @classmethod
    def of(cls, record: SourceRecord) -> Origin:
        """Return the place and time of the record itself, as for one that was not forwarded."""
        return cls(record.topic, record.partition, record.offset, record.timestamp)


class Refusal(msgspec.Struct, frozen=True):
    """Why a record is refused.

    Parameters
    ----------
    reason
        Reason code: one of :data:`processors.events.repair.REASONS`, for the catalogue one of
        :data:`processors.items.catalogue.CATALOG_REASONS`, for uploaded audiences one of
        :data:`processors.events.audience_upload.AUDIENCE_REASONS`.
    message
        Text that names field, value and expectation.
    """

    reason: str
    message: str
