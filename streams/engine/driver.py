"""The topology driver: all planes wired as in a worker, but in memory, in one thread, with time given by the caller.

Use it to test what events lead to, to replay a file (``nearstream evaluate``) and to measure (``bench/``). No broker is
needed, nothing runs in the background, and the same calls give the same results.

What happens to one micro-batch, from :meth:`TopologyDriver.pipe` with a click of user ``u`` until it returns:

1. The click is appended to an in-memory log of ``events.click.v1``, on the partition of the key ``u``, and waits there.
2. The users plane takes what waits. Its :class:`~streams.engine.partition.PartitionProcessor` computes the new profile,
   a recommendation per placement, and signals for the items plane.
3. The outputs are appended to their topics, the changelog records to the plane's changelog; the processor commits.
   Recommendations can now be fetched with :meth:`TopologyDriver.read`; signals wait for the items plane.
4. If the users plane forwarded events to itself, it takes them too, until nothing waits for it.
5. If ``worker.broadcast_interval_ms`` has passed since the other planes last worked, they take what waits for them.
   What they broadcast, such as the new neighbours of an item, is applied to the read models at once: the next event is
   ranked with it. Otherwise it waits for a later call, for :meth:`TopologyDriver.advance` or for
   :meth:`TopologyDriver.flush`.

A worker does the same with a Kafka transaction around step 3, and with its planes side by side.

Examples
--------
>>> driver = TopologyDriver()
>>> event = b'{"event_id":"e%d","user_id":"u","item_id":"%s","timestamp":1700000000000}'
>>> for n, item in enumerate((b"tent", b"lamp")):
...     driver.pipe("events.click.v1", b"u", event % (n, item), at=1_700_000_000_000 + n)
>>> first, *_, last = driver.read("recommendations.v1")
>>> import json
>>> [item["item_id"] for item in json.loads(last.value)["items"]]
['tent']
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from processors.common.errors import NearstreamError
from processors.common.hashing import murmur2
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    AUDIENCES_TOPIC,
    BROADCAST_TOPICS,
    CAMPAIGN_SIGNALS_TOPIC,
    CAMPAIGNS_TOPIC,
    CATALOG_TOPIC,
    DEAD_LETTERS_TOPIC,
    FORWARDED_TOPIC,
    RECOMMENDATIONS_TOPIC,
    RULES_TOPIC,
    SIGNALS_TOPIC,
    TRAINING_TOPIC,
    changelog_topic,
)
from processors.events.event import EVENT_TOPICS
from processors.events.record import Record
from processors.planes.base import Output, Plane
from processors.ranking.slate import SlateItem, Slates
from processors.ranking.why_not import WhyNot
from processors.users.profile import Profile
from state.store import ChangelogRecord, MemoryStore, PartitionStore
from streams.engine.partition import PartitionProcessor
from streams.engine.source_batch import SourceBatch
from streams.engine.topology import build_topology
from streams.settings.sections import Settings

State = TypeVar("State", bound=msgspec.Struct)

MakeStore = Callable[[Plane[Any], int], PartitionStore[Any]]


class TopologyDriver:
    """Runs every plane in memory.

    Each call of :meth:`pipe` is one micro-batch and returns when nothing is left to do. As in a worker, the planes that
    broadcast work once per interval only, measured in the time that is given with the records.

    Memory grows with the states, and with the records of ``keep`` that are not fetched with :meth:`read`.

    Parameters
    ----------
    settings
        Settings of a worker; by default those without a file and environment. With
        ``worker.broadcast_interval_ms=0`` all planes follow every micro-batch at once.
    make_store
        Makes the store for a plane and partition number; by default stores are in memory.
    keep
        Topics whose records are kept for :meth:`read`; by default what apps read. Internal topics can be named too.
    publish
        Whether events are answered with recommendations. If not, :meth:`recommend` gives the same slates on demand,
        which halves the time of a replay.

    Attributes
    ----------
    now : int
        The driver's time, in milliseconds since the epoch.
    topology
        The planes and their read models.
    processors
        The processors of each plane, by its name, one per partition.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        make_store: MakeStore | None = None,
        keep: Collection[str] = (RECOMMENDATIONS_TOPIC, AD_DECISIONS_TOPIC, DEAD_LETTERS_TOPIC),
        publish: bool = True,
    ) -> None:
        self.settings = settings or Settings()
        self.topology = build_topology(self.settings)
        self.topology.users.publishes = publish
        self._keep = frozenset(keep)
        self._unread: dict[str, deque[Record]] = {}
        self._ends: dict[tuple[str, int], int] = {}
        self._pending: dict[tuple[str, int], list[SourceBatch]] = {}
        self._flushed_at: int | None = None
        self.now = 0
        make = make_store or (lambda plane, _: MemoryStore(plane.state_type))
        self.processors: dict[str, list[PartitionProcessor[Any]]] = {
            plane.name: [PartitionProcessor(plane, p, make(plane, p)) for p in range(self.settings.topics.partitions)]
            for plane in self.topology.planes
        }

    def pipe(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        at: int,
        headers: tuple[tuple[str, bytes], ...] = (),
        partition: int | None = None,
    ) -> None:
        """Append one record as its own micro-batch, and run until nothing is left to do.

        Parameters
        ----------
        topic
            A topic that apps write to.
        key, value, headers
            The record as on the wire; a value of :obj:`None` is a tombstone.
        at
            Append time in milliseconds since the epoch; it must not go back.
        partition
            Number of the partition; by default the one that Kafka's partitioner gives the key, 0 without a key.

        Raises
        ------
        NearstreamError
            If the topic is no input, or the time goes back.
        """
        self.pipe_batch(topic, [(key, value, headers)], at, partition)

    def pipe_batch(
        self,
        topic: str,
        records: Iterable[tuple[bytes | None, bytes | None, tuple[tuple[str, bytes], ...]]],
        at: int,
        partition: int | None = None,
    ) -> None:
        """Append several records, one micro-batch per partition, and run until nothing is left to do.

        Parameters
        ----------
        topic, at, partition
            Topic, time and partition of all records, as in :meth:`pipe`.
        records
            Key, value and headers of each record.

        Raises
        ------
        NearstreamError
            If the topic is no input, or the time goes back.
        """
        self._move_time(at)
        if topic not in _INPUTS:
            raise NearstreamError(f"{topic} is not an input: expected one of {', '.join(sorted(_INPUTS))}")
        per_partition: dict[int, list[Output]] = {}
        for key, value, headers in records:
            to = self._partition(key) if partition is None else partition
            per_partition.setdefault(to, []).append(Output(topic, to, key, value, headers))
        for outputs in per_partition.values():
            self._append(outputs)
        self._run()

    def advance(self, at: int) -> None:
        """Let time pass without a record; the planes that broadcast work if their interval is over."""
        self._move_time(at)
        self._run()

    def flush(self) -> None:
        """Have the planes that broadcast take what waits for them now, whatever their interval."""
        self._flushed_at = None
        self._run()

    def read(self, topic: str) -> list[Record]:
        """Return the records appended to a kept topic since the last call, in their order."""
        return list(self._unread.pop(topic, ()))

    def assert_empty(self) -> None:
        """Make sure that nothing came out on the kept topics that was not read.

        Raises
        ------
        AssertionError
            Naming the topics and how many records wait there.
        """
        waiting = {topic: len(records) for topic, records in self._unread.items()}
        if waiting:
            raise AssertionError(f"unread records: {waiting}")

    def state(self, plane: str) -> dict[str, Any]:
        """Return all states of a plane, by key."""
        return {key: state for processor in self.processors[plane] for key, state in processor.store.items()}

    def recommend(self, user_id: str) -> list[list[SlateItem]]:
        """Return the slates that a user would be shown at :attr:`now`, one per placement of the settings."""
        users = self.topology.users
        return [slates.items(0, users.read) for slates in self._slates([user_id], [self.now])]

    def recommend_ids(self, user_ids: Sequence[str], moments: Sequence[int]) -> list[list[list[str]]]:
        """Return, for each of several users, the item ids of the slates of a moment of its own, one per placement.

        What is known is known at :attr:`now`, whatever the moments, which are in milliseconds since the epoch.
        """
        users, slates = self.topology.users, self._slates(user_ids, moments)
        return [[part.item_ids(row, users.read) for part in slates] for row in range(len(user_ids))]

    def _slates(self, user_ids: Sequence[str], moments: Sequence[int]) -> list[Slates]:
        profiles = []
        for user_id in user_ids:
            (profile,) = self.processors["users"][self._partition(user_id.encode())].store.read([user_id])
            profiles.append(profile or Profile())
        return self.topology.users.recommend(profiles, moments, self.now)

    def why_not(self, user_id: str, item: str) -> list[WhyNot]:
        """Say, per placement, which stage would keep an item out of a user's slates at :attr:`now`."""
        (profile,) = self.processors["users"][self._partition(user_id.encode())].store.read([user_id])
        return self.topology.users.why_not(profile or Profile(), item, self.now)

    def process(self, plane: str, partition: int, batches: Iterable[SourceBatch], at: int) -> None:
        """Give one partition of a plane a micro-batch directly; the other planes don't run.

        Use it to replay batches with the very offsets that a worker committed. Raises what
        :meth:`~streams.engine.partition.PartitionProcessor.prepare` raises.
        """
        self._move_time(at)
        self._process(self.processors[plane][partition], batches)

    def _partition(self, key: bytes | None) -> int:
        return 0 if key is None else (murmur2(key) & 0x7FFFFFFF) % self.settings.topics.partitions

    def _move_time(self, at: int) -> None:
        if at < self.now:
            raise NearstreamError(f"time must not go back: {at} is before {self.now}")
        self.now = at

    def _run(self) -> None:
        users, *others = self.topology.planes
        while self._take(users):
            pass
        due = self._flushed_at is None or self.now - self._flushed_at >= self.settings.worker.broadcast_interval_ms
        if due:
            worked = [self._take(plane) for plane in others]
            if any(worked):
                self._flushed_at = self.now

    def _take(self, plane: Plane[Any]) -> bool:
        """Process what waits for a plane, and tell whether there was anything."""
        worked = False
        for processor in self.processors[plane.name]:
            waiting = [self._pending.pop((topic, processor.partition), ()) for topic in plane.source_topics]
            batches = [batch for per_topic in waiting for batch in per_topic]
            if batches:
                worked = True
                self._process(processor, batches)
        return worked

    def _process(self, processor: PartitionProcessor[Any], batches: Iterable[SourceBatch]) -> None:
        prepared = processor.prepare(batches)
        if prepared is not None:
            self._append(prepared.outputs)
            changelog = changelog_topic(processor.plane.name)
            end = self._append_changelog(changelog, processor.partition, prepared.changelog)
            processor.commit(prepared, end)

    def _append_changelog(self, topic: str, partition: int, records: list[ChangelogRecord]) -> int:
        if topic in self._keep:
            self._append([Output(topic, partition, key, value) for key, value in records])
        else:
            self._ends[topic, partition] = self._ends.get((topic, partition), 0) + len(records)
        return self._ends[topic, partition]

    def _append(self, outputs: Iterable[Output]) -> None:
        """Append records to topics: keep what is to be read, and hand on what planes and read models consume."""
        per_log: dict[tuple[str, int], list[Record]] = {}
        for output in outputs:
            log = output.topic, output.partition
            offset = self._ends.get(log, 0)
            self._ends[log] = offset + 1
            record = Record(*log, offset, self.now, output.key, output.value, output.headers)
            per_log.setdefault(log, []).append(record)
            if output.topic in BROADCAST_TOPICS and record.key is not None:
                self.topology.broadcast(output.topic, record.key, record.value)
            if output.topic in self._keep:
                self._unread.setdefault(output.topic, deque()).append(record)
        for log, records in per_log.items():
            if log[0] in _CONSUMED:
                batch = SourceBatch(log[0], records[0].offset, records[-1].offset + 1, records)
                self._pending.setdefault(log, []).append(batch)


_INPUTS = {*EVENT_TOPICS, FORWARDED_TOPIC, AUDIENCES_TOPIC, RULES_TOPIC, CATALOG_TOPIC, CAMPAIGNS_TOPIC}
_CONSUMED = {*_INPUTS, SIGNALS_TOPIC, TRAINING_TOPIC, CAMPAIGN_SIGNALS_TOPIC}
