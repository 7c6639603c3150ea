"""One partition of one plane: fence, gap check and chain around the pure step.

Neither Kafka nor a clock is met here. The worker and the topology driver both run exactly this, so what is proved with
the driver holds for the worker: :meth:`PartitionProcessor.prepare` says what a micro-batch becomes, the caller
publishes it, and :meth:`PartitionProcessor.commit` makes it the state.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, Self, TypeVar

import msgspec

from processors.common.errors import DeliveryGap
from processors.events.record import SourceRecord
from processors.planes.base import Output, Plane, Step
from processors.planes.chain import Link
from state.position import Position
from state.store import ChangelogRecord, PartitionStore

State = TypeVar("State", bound=msgspec.Struct)

LINK_HEADER = "nearstream.link"


class SourceBatch(msgspec.Struct, frozen=True):
    """Records of one topic-partition and the stretch of its log that they are all of.

    Parameters
    ----------
    start, end
        Offsets: every committed record in ``[start, end)`` is among ``records``. What is missing there is a
        transaction's marker, was aborted or compacted away.
    """

    topic: str
    start: int
    end: int
    records: Sequence[SourceRecord]

    def parts(self, records: int) -> Iterator[Self]:
        """The batch in parts of so many records at most, each with the stretch that it covers.

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
        """Bytes of keys, values and headers."""
        size = sum(len(record.key or b"") + len(record.value or b"") for record in self.records)
        pairs = (pair for record in self.records if record.headers for pair in record.headers)
        return size + sum(len(name) + len(value or b"") for name, value in pairs)


@dataclass(frozen=True)
class Prepared(Generic[State]):
    """What a micro-batch becomes, not yet true.

    Parameters
    ----------
    changelog
        Records for the changelog and the store: one per changed state, then the position.
    outputs
        Records for other topics.
    """

    step: Step[State]
    batch: Sequence[SourceRecord]
    changelog: list[ChangelogRecord]
    outputs: list[Output]
    position: Position


class PartitionProcessor(Generic[State]):
    """Applies each record of the source topics to the states of one partition exactly once.

    Parameters
    ----------
    plane
        What to do with records.
    partition
        Of the plane and of every one of its source topics.
    store
        States and position.
    """

    def __init__(self, plane: Plane[State], partition: int, store: PartitionStore[State]) -> None:
        self.plane, self.partition, self.store = plane, partition, store
        self.position = store.position()
        self.repeated = 0
        self.chain_breaks = 0
        self._pack = msgspec.msgpack.Encoder().encode
        self._unpack_link = msgspec.msgpack.Decoder(Link).decode

    def start_at(self, topic: str, offset: int) -> None:
        """Set where a topic begins that the states have seen nothing of, or whose head is gone for good."""
        self.position.offsets[topic] = max(offset, self.position.offsets.get(topic, 0))

    def begin(self, incarnation: int) -> None:
        """Give a position that is new its incarnation (see :class:`state.position.Position`)."""
        if self.position == Position():
            self.position.incarnation = incarnation

    def prepare(self, batches: Iterable[SourceBatch]) -> Prepared[State] | None:
        """What the batches become; :obj:`None` if there is nothing new in them.

        Records below the position were applied before and are left out (the fence).

        Raises
        ------
        DeliveryGap
            If a batch begins beyond the position: something was not delivered. Nothing has changed then, but what
            came before the gap must be given again.
        """
        position = self.position.copy()
        records: dict[str, list[SourceRecord]] = {}
        for batch in batches:
            fresh = self._behind_fence(batch, position)
            if fresh:
                records.setdefault(batch.topic, []).extend(fresh)
        merged = _in_order([records[topic] for topic in self.plane.source_topics if topic in records])
        chained = self.plane.chained_topics
        merged = [record for record in merged if record.topic not in chained or self._links(record, position)]
        if not merged:
            self.position = position
            return None
        step = self.plane.step(self.store.read, merged, self.partition)
        position.number += 1
        outputs = [self._chained(output, position) if output.chained else output for output in step.outputs]
        states: dict[str, State | None] = {**step.states}
        return Prepared(step, merged, self.store.encode(states, position), outputs, position)

    def commit(self, prepared: Prepared[State], changelog_offset: int) -> None:
        """Make a prepared batch the state, once it is published. One atomic write."""
        self.store.commit(prepared.changelog, changelog_offset)
        self.position = prepared.position
        self.plane.committed(prepared.step)

    def _behind_fence(self, batch: SourceBatch, position: Position) -> Sequence[SourceRecord]:
        expected = position.offsets.get(batch.topic)
        if expected is None:
            expected = batch.start
        if batch.start > expected:
            raise DeliveryGap(batch.topic, self.partition, expected, batch.start)
        position.offsets[batch.topic] = max(expected, batch.end)
        if batch.start == expected:
            return batch.records
        fresh = [record for record in batch.records if record.offset >= expected]
        self.repeated += len(batch.records) - len(fresh)
        return fresh

    def _links(self, record: SourceRecord, position: Position) -> bool:
        """Whether the record is new to its chain; records that carry no link always are."""
        for name, value in record.headers:
            if name == LINK_HEADER:
                try:
                    link = self._unpack_link(value)
                except (TypeError, msgspec.MsgspecError):  # a header may have no value
                    break
                if link.sender not in position.received:
                    _forget_earlier_lives(link.sender, position)
                last = position.received.get(link.sender, 0)
                if link.number <= last:
                    self.repeated += 1
                    return False
                self.chain_breaks += link.previous > last
                position.received[link.sender] = link.number
        return True

    def _chained(self, output: Output, position: Position) -> Output:
        receiver = f"{output.topic}/{output.partition}"
        previous = position.sent.get(receiver, 0)
        if previous == position.number:
            raise ValueError(f"step of {self.plane.name} sent two chained records to {receiver} in one batch")
        position.sent[receiver] = position.number
        sender = f"{self.plane.name}-{self.partition}"
        if position.incarnation:
            sender += f"@{position.incarnation}"
        link = self._pack(Link(sender, position.number, previous))
        return msgspec.structs.replace(output, headers=(*output.headers, (LINK_HEADER, link)))


def _forget_earlier_lives(sender: str, position: Position) -> None:
    name = sender.partition("@")[0]
    for known in [known for known in position.received if known.partition("@")[0] == name]:
        del position.received[known]


def _in_order(per_topic: list[list[SourceRecord]]) -> list[SourceRecord]:
    """Records of several topics as one sequence, oldest first, each topic's own order kept.

    The order depends on the records alone, so a replay that knows which offsets a batch held gets the same one.
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
