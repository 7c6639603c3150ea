"""Dead letters: what could not be understood, with its original bytes and the error headers of Kafka Streams."""

from typing import Annotated

import msgspec

from processors.bounds import EpochMs
from processors.events import SourceRecord
from processors.plane import Output

DEAD_LETTERS_TOPIC = "dead-letters.v1"


class Origin(msgspec.Struct, frozen=True, array_like=True):
    """Where and when (milliseconds since the epoch) a record was first appended."""

    topic: str
    partition: Annotated[int, msgspec.Meta(ge=0)]
    offset: Annotated[int, msgspec.Meta(ge=0)]
    time_ms: EpochMs

    @classmethod
    def of(cls, record: SourceRecord) -> "Origin":
        """Where the record itself is."""
        return cls(record.topic, record.partition, record.offset, record.timestamp)


def dead_letter(record: SourceRecord, origin: Origin, reason: str, message: str, partition: int) -> Output:
    """Record for the dead-letter topic.

    Parameters
    ----------
    record
        What was refused; its key, value and headers are kept as they came.
    origin
        Where it was first appended.
    reason
        A code of :data:`processors.lenient.REASONS`.
    message
        Names field, value and expectation.
    partition
        Of the dead-letter topic.

    Examples
    --------
    >>> from processors.events import Record
    >>> record = Record("t", 0, 7, 0, b"k", b"<html>")
    >>> letter = dead_letter(record, Origin.of(record), "not_json", "value: not JSON", 0)
    >>> letter.value, letter.headers[0]
    (b'<html>', ('__streams.errors.exception', b'not_json'))
    """
    headers = (
        *record.headers,
        ("__streams.errors.exception", reason.encode()),
        ("__streams.errors.message", message.encode(errors="backslashreplace")),
        ("__streams.errors.topic", origin.topic.encode()),
        ("__streams.errors.partition", str(origin.partition).encode()),
        ("__streams.errors.offset", str(origin.offset).encode()),
    )
    return Output(DEAD_LETTERS_TOPIC, partition, record.key, record.value, headers)
