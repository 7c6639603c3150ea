"""One partition of one plane, and what makes it apply every record exactly once.

The life of one micro-batch, for partition 3 of the users plane, whose position says ``events.click.v1: 1200``:

1. The caller has read records from the plane's source topics and hands them over as :class:`SourceBatch` objects, say
   the offsets 1195 to 1210 of partition 3 of ``events.click.v1``.
2. :meth:`PartitionProcessor.prepare` checks them against the position. A batch that began at 1201 would have a gap in
   front of it, and be refused with :class:`~processors.common.errors.DeliveryGap`. This one begins before 1200: its
   first five records were applied already, in an earlier life of the worker, and are left out (the fence).
3. If several topics brought records, they become one sequence, ordered by their append times.
4. Records from another plane carry a link: a number that rises with each message from that sender. One whose number
   was seen before is dropped. Offsets cannot tell that: a sender that publishes again after a crash appends the same
   message at a new offset.
5. The plane's step, a pure function, reads the states that it needs from the store and returns new states and
   records to publish. Nothing is written yet. Some of the other states are looked at, and deleted if nothing
   happened to them for long (:mod:`streams.engine.expiry`).
6. ``prepare`` returns a :class:`Prepared`: the changelog records (each changed state, then the new position with
   ``events.click.v1: 1211``) and the outputs, those for other planes with a link of their own.
7. The caller publishes both, in one Kafka transaction if it is a worker. If that fails or the process dies, nothing has
   changed: the next attempt starts from the old position.
8. :meth:`PartitionProcessor.commit` writes the changelog records to the store in one atomic write and takes over the
   new position.

This file knows neither Kafka nor a clock. The worker (:mod:`streams.worker.runner`) and the topology driver
(:mod:`streams.engine.driver`) both run it, so what a test shows with the driver holds for the worker.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from processors.common.errors import DeliveryGap
from processors.events.record import SourceRecord
from processors.planes.base import Output, Plane, Step
from processors.planes.chain import Link
from state.position import Position
from state.store import ChangelogRecord, PartitionStore
from streams.engine.expiry import idle_keys
from streams.engine.source_batch import SourceBatch, in_order

State = TypeVar("State", bound=msgspec.Struct)

LINK_HEADER = "nearstream.link"
"""Record header that carries the :class:`~processors.planes.chain.Link` of a message between planes."""


@dataclass(frozen=True)
class Prepared(Generic[State]):
    """The result of a micro-batch before it is published: nothing of it is in the store yet.

    Parameters
    ----------
    step
        What the plane returned, with the counts for the metrics.
    batch
        The records that were applied: those given, without repetitions, in the order in which they were applied.
    changelog
        Records for the changelog topic and the store: one per changed state, then the position.
    outputs
        Records for other topics, in the order in which they are to be appended.
    position
        Where the partition stands once this is committed.
    expired
        Number of states that are deleted because nothing happened to them for long.
    """

    step: Step[State]
    batch: Sequence[SourceRecord]
    changelog: list[ChangelogRecord]
    outputs: list[Output]
    position: Position
    expired: int = 0


class PartitionProcessor(Generic[State]):
    r"""Applies each record of the source topics to the states of one partition exactly once.

    See the module for the steps that a micro-batch goes through.

    Parameters
    ----------
    plane
        Says what records mean: its step turns states and records into new states and outputs.
    partition
        Number of the partition: of the plane and of each of its source topics.
    store
        The states of this partition and the position that they stand at. Only one processor may write to it.

    Attributes
    ----------
    position
        How far the source topics have been applied.
    repeated : int
        Records left out because they had been applied before.
    chain_breaks : int
        Links whose predecessor never came: a message of another plane was lost. It stays 0 unless somebody deleted
        records of an internal topic.

    Examples
    --------
    >>> from processors.events.record import Record
    >>> from state.store import MemoryStore
    >>> from streams.engine.topology import build_topology
    >>> from streams.settings.sections import Settings
    >>> plane = build_topology(Settings()).users
    >>> processor = PartitionProcessor(plane, 3, MemoryStore(plane.state_type))
    >>> value = b'{"event_id":"e1","user_id":"u","item_id":"tent","timestamp":1700000000000}'
    >>> click = Record("events.click.v1", 3, 7, 1_700_000_000_000, b"u", value)
    >>> batch = SourceBatch("events.click.v1", 7, 8, [click])
    >>> prepared = processor.prepare([batch])
    >>> [record.key for record in prepared.changelog], processor.store.read(["u"])
    ([b'\x01u', b'\x00position'], [None])
    >>> processor.commit(prepared, changelog_offset=2)
    >>> processor.store.read(["u"])[0].events, processor.position.offsets
    (1, {'events.click.v1': 8})
    >>> processor.prepare([batch]) is None, processor.repeated
    (True, 1)
    """

    def __init__(self, plane: Plane[State], partition: int, store: PartitionStore[State]) -> None:
        self.plane, self.partition, self.store = plane, partition, store
        self.position = store.position()
        self.repeated = 0
        self.chain_breaks = 0
        self._pack = msgspec.msgpack.Encoder().encode
        self._unpack_link = msgspec.msgpack.Decoder(Link).decode

    def start_at(self, topic: str, offset: int) -> None:
        """Set where to begin with a topic.

        Call it before the first batch, for a topic that the states have seen nothing of, or whose oldest records were
        deleted by retention before they could be applied. A position that is further on already stays.
        """
        self.position.offsets[topic] = max(offset, self.position.offsets.get(topic, 0))

    def begin(self, incarnation: int) -> None:
        """Set the incarnation of a partition without any state (see :class:`state.position.Position`).

        A partition that has applied something keeps the incarnation it has.
        """
        if self.position == Position():
            self.position.incarnation = incarnation

    def prepare(self, batches: Iterable[SourceBatch]) -> Prepared[State] | None:
        """Compute what the batches become, without changing the store.

        Publish what is returned, then call :meth:`commit`. To drop it instead, call neither: the same records can be
        given again.

        Parameters
        ----------
        batches
            Batches of the plane's source topics, each beginning at the position of its topic or before it.

        Returns
        -------
        Prepared or None
            :obj:`None` if every record was applied before, or there was none.

        Raises
        ------
        DeliveryGap
            If a batch begins beyond the position: something was not delivered. Nothing has changed then; give all
            batches again, with what was missing.
        """
        position = self.position.copy()
        records: dict[str, list[SourceRecord]] = {}
        for batch in batches:
            fresh = self._behind_fence(batch, position)
            if fresh:
                records.setdefault(batch.topic, []).extend(fresh)
        merged = in_order([records[topic] for topic in self.plane.source_topics if topic in records])
        chained = self.plane.chained_topics
        merged = [record for record in merged if record.topic not in chained or self._links(record, position)]
        if not merged:
            self.position = position
            return None
        step = self.plane.step(self.store.read, merged, self.partition)
        position.number += 1
        position.clock_ms = max(position.clock_ms, step.clock_ms)
        expired = idle_keys(self.plane, self.store, position, step.states)
        outputs = [self._chained(output, position) if output.chained else output for output in step.outputs]
        outputs += self.plane.expired(expired, self.partition)
        states: dict[str, State | None] = {**step.states, **dict.fromkeys(expired)}
        changelog = self.store.encode(states, position)
        step.done("changelog")
        return Prepared(step, merged, changelog, outputs, position, len(expired))

    def commit(self, prepared: Prepared[State], changelog_offset: int) -> None:
        """Make a prepared batch the state, in one atomic write.

        Parameters
        ----------
        prepared
            The result of the last :meth:`prepare`, published completely.
        changelog_offset
            Offset on the changelog topic behind the last record of ``prepared.changelog``.
        """
        self.store.commit(prepared.changelog, changelog_offset)
        self.position = prepared.position
        self.plane.committed(prepared.step)

    def _behind_fence(self, batch: SourceBatch, position: Position) -> Sequence[SourceRecord]:
        """Return the batch's records from the position on, and move the position to its end."""
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
        """Tell whether the record is new to its chain, and note its number; records that carry no link always are."""
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
        """Return the output with a link to the message before it, from this partition to the same receiver."""
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
    """Drop the numbers of the sender's earlier incarnations: it was made anew and counts from 1 again."""
    name = sender.partition("@")[0]
    for known in [known for known in position.received if known.partition("@")[0] == name]:
        del position.received[known]
