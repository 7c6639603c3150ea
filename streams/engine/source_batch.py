"""What a partition is given: the records of a topic between two offsets, and the order of several topics' records."""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Self

import msgspec

from processors.events.record import SourceRecord


class SourceBatch(msgspec.Struct, frozen=True):
    """All records of a topic-partition between two offsets.

    Parameters
    ----------
    topic
        Name of the source topic. The partition is that of the processor which is given the batch.
    start, end
        Every committed record with an offset in ``[start, end)`` is among ``records``. An offset without a record held
        a transaction's marker, or its record was aborted or compacted away.
    records
        The records, in the order of their offsets.
    """

    topic: str
    start: int
    end: int
    records: Sequence[SourceRecord]

    def parts(self, records: int) -> Iterator[Self]:
        """Yield the batch in parts of at most so many records, each with the offsets that it covers.

        Examples
        --------
        >>> from processors.events.record import Record
        >>> batch = SourceBatch("t", 0, 9, [Record("t", 0, offset, 0, None, None) for offset in (1, 2, 5)])
        >>> [(part.start, part.end, len(part.records)) for part in batch.parts(2)]
        [(0, 5, 2), (5, 9, 1)]
        """
        start = self.start
        for begin in range(0, max(len(self.records), 1), records):
            rest = self.records[begin + records :]
            end = rest[0].offset if rest else self.end
            yield type(self)(self.topic, start, end, self.records[begin : begin + records])
            start = end

    def size_bytes(self) -> int:
        """Return the bytes of keys, values and headers."""
        size = sum(len(record.key or b"") + len(record.value or b"") for record in self.records)
        pairs = (pair for record in self.records if record.headers for pair in record.headers)
        return size + sum(len(name) + len(value or b"") for name, value in pairs)


def in_order(per_topic: list[list[SourceRecord]]) -> list[SourceRecord]:
    """Merge records of several topics into one sequence, oldest first, each topic's own order kept.

    The order depends on the records alone: a replay of the same offsets gets the same one. A record counts as old as
    the newest one before it in its topic, because append times may go back within a topic.

    Parameters
    ----------
    per_topic
        The records of each topic in the order of their offsets. Equally old ones come in the order of the topics here.

    Examples
    --------
    >>> from processors.events.record import Record
    >>> a = [Record("a", 0, offset, time, None, None) for offset, time in enumerate((10, 30, 20))]
    >>> b = [Record("b", 0, 0, 20, None, None)]
    >>> [(record.topic, record.offset) for record in in_order([a, b])]
    [('a', 0), ('b', 0), ('a', 1), ('a', 2)]
    """
    if len(per_topic) == 1:
        return per_topic[0]
    keyed = [
        (latest, topic, at, record)
        for topic, records in enumerate(per_topic)
        for at, (latest, record) in enumerate(
            zip(accumulate((record.timestamp for record in records), max), records, strict=True)
        )
    ]
    return [record for *_, record in sorted(keyed, key=lambda entry: entry[:3])]
