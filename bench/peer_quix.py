"""The idiomatic Quix Streams app (:mod:`bench.idiomatic_quix`) as a peer.

Quix Streams is imported in the app's process alone.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.cluster import log_ends
from bench.idiomatic_logic import State
from bench.idiomatic_messages import EVENTS, QUIX, RECOMMENDATIONS, SIGNALS, Event
from bench.idiomatic_replay import Fed, Replay, count_differing
from bench.load import LoadEvent, append
from bench.peer_engine import Engine, PeerPlan
from bench.recommendations import read_all
from bench.worker_process import BenchmarkFailed
from streams.engine.topology import TopicSpec
from streams.kafka.clients import client_arguments
from streams.kafka.upstream.stopping import stop_client
from streams.settings.sections import Settings

_GROUP = "idiomatic-quix"
_BATCH_BYTES = 65_536
_Offsets = dict[tuple[str, int], int]


class QuixEngine(Engine):
    """The Quix Streams app: one topic of events, exactly once, states in RocksDB."""

    name = "Quix Streams"
    package = "quixstreams"
    module = "bench.idiomatic_quix"
    guarantee = "exactly_once"
    answers = QUIX + RECOMMENDATIONS

    def __init__(self, settings: Settings, directory: Path, plan: PeerPlan) -> None:
        super().__init__(settings, directory, plan)
        self.store, self.commit_s = "rocksdb", plan.commit_s
        self._order = directory / "idiomatic-order.json"

    def environment(self) -> dict[str, str]:
        """Return its consumer group, seconds between commits, and the file for the order of records."""
        return {
            "IDIOMATIC_GROUP": _GROUP,
            "IDIOMATIC_COMMIT_S": str(self.commit_s),
            "IDIOMATIC_ORDER": str(self._order),
        }

    def topics(self) -> list[TopicSpec]:
        """Return topics of events, answers and signals; the changelogs it creates by itself."""
        return [TopicSpec(QUIX + name) for name in (EVENTS, RECOMMENDATIONS, SIGNALS)]

    async def feed(self, events: list[LoadEvent]) -> None:
        """Append events to one topic, in batches of the size that it fetches."""
        await append(self.settings, (event._replace(topic=EVENTS) for event in events), QUIX, _BATCH_BYTES)

    async def drained(self, events: int) -> bool:
        """Tell whether the transactions in which it processed the last event and the last signal are committed."""
        # Offsets first: once all events are committed, no signals come after those in the log by then.
        topics = [QUIX + EVENTS, QUIX + SIGNALS]
        done = await _committed(self.settings, topics)
        ends = await log_ends(self.settings, topics)
        fed = sum(end for (topic, _), end in ends.items() if topic == topics[0])
        return fed >= events and all_done(done, ends, topics[1])

    async def compare(self) -> int:
        """Compare its answers with those of :mod:`bench.idiomatic_replay`."""
        if not self._order.exists():
            raise BenchmarkFailed(f"the {self.name} app did not say in which order it processed records")
        order = msgspec.json.decode(self._order.read_bytes(), type=list[tuple[str, int, int]])
        decode = msgspec.json.Decoder(Event).decode
        fed = {
            (record.partition, record.offset): Fed(decode(record.value), record.timestamp)
            async for record in read_all(self.settings, QUIX + EVENTS)
        }
        found = [msgspec.json.decode(record.value) async for record in read_all(self.settings, self.answers)]
        return await asyncio.to_thread(compare_answers, order, fed, found, self.settings.topics.partitions)


def all_done(done: _Offsets, ends: _Offsets, transactional: str) -> bool:
    """Tell whether all records up to the ends are committed.

    Parameters
    ----------
    done
        Committed offsets.
    ends
        Offsets after the last record of each partition.
    transactional
        The topic in which the last record is the marker of a transaction, which nobody commits.

    Examples
    --------
    >>> all_done({("a", 0): 5, ("b", 0): 8}, {("a", 0): 5, ("b", 0): 9, ("b", 1): 0}, "b")
    True
    >>> all_done({("a", 0): 4, ("b", 0): 9}, {("a", 0): 5, ("b", 0): 9, ("b", 1): 0}, "b")
    False
    """
    return all(done.get(log, 0) >= end - (log[0] == transactional) for log, end in ends.items())


def compare_answers(
    order: list[tuple[str, int, int]], fed: dict[tuple[int, int], Fed], found: list[State], partitions: int
) -> int:
    """Replay what an app processed, and compare its answers.

    Parameters
    ----------
    order
        Topic, partition and offset of the records, in the order in which it processed them.
    fed
        The events, by partition and offset.
    found
        Its answers.
    partitions
        Number of partitions of each topic.

    Returns
    -------
    int
        0, the number of answers that differ.

    Raises
    ------
    BenchmarkFailed
        If any differs, or events or signals were lost or repeated.
    """
    replay = Replay(fed, partitions)
    events = sum(topic == QUIX + EVENTS for topic, _, _ in order)
    try:
        replay.run((topic == QUIX + EVENTS, partition, offset) for topic, partition, offset in order)
    except LookupError as error:
        raise BenchmarkFailed("the app processed a record that an in-order run does not have") from error
    differing = count_differing(replay.answers, found)
    if differing or replay.left or events != len(fed):
        raise BenchmarkFailed(
            f"{differing} of {len(found)} answers differ from those of an in-order run; "
            f"{events} of {len(fed)} events were processed, {replay.left} signals were not"
        )
    return differing


async def _committed(settings: Settings, topics: list[str]) -> _Offsets:
    """Return the offsets that the app's group has committed, 0 where it has none."""
    consumer = AIOKafkaConsumer(**client_arguments(settings.kafka), group_id=_GROUP, enable_auto_commit=False)
    await consumer.start()
    try:
        logs = [TopicPartition(topic, p) for topic in topics for p in range(settings.topics.partitions)]
        return {(log.topic, log.partition): await consumer.committed(log) or 0 for log in logs}
    finally:
        await stop_client(consumer)
