"""Copies of the partitions that other workers run: taking one over then reads seconds of its changelog, not all of it.

A copy is a local store that follows the changelog while somebody else writes to it. When the group hands the partition
to this worker, the open store itself is what the takeover goes on with (:meth:`streams.worker.stores.Stores.take`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from processors.common.errors import CorruptStoreError, LockedStoreError, StateError
from processors.common.topics import changelog_topic
from processors.planes.base import Plane
from state.store import ChangelogRecord
from streams.kafka.clients import start_client
from streams.kafka.consumer import manual_consumer
from streams.kafka.upstream.stopping import stop_client
from streams.settings.sections import Settings
from streams.worker.stores import Name, Stores

logger = logging.getLogger(__name__)

_CHUNK_RECORDS = 10_000
_REST_S = 0.5
"""Seconds between two reads once the copies are current: what came meanwhile is written at once."""

_AGAIN_S = 2.0
_LEFT_OUT_S = 60.0


class Runner(Protocol):
    """What is to be known of a partition that this worker runs."""

    @property
    def processor(self) -> object | None:
        """:obj:`None` while the partition is being taken over."""


class Standby:
    """Keeps a copy of every partition that this worker does not run.

    Parameters
    ----------
    settings
        Brokers and number of partitions.
    planes
        Planes of which copies are kept.
    stores
        Stores of this process: the copies are among them.
    runners
        Of the partitions that this worker runs. While one is being taken over, copies wait: what is served goes first.
    ready
        What must be set before the first copy is made: the worker has read what it needs to serve.

    Attributes
    ----------
    behind : dict
        By plane: how many changelog records its copies have not read yet, as of the last answer of the brokers.
    """

    def __init__(
        self,
        settings: Settings,
        planes: Sequence[Plane[Any]],
        stores: Stores,
        runners: Mapping[Name, Runner],
        ready: asyncio.Event,
    ) -> None:
        self._settings, self._stores, self._runners, self._ready = settings, stores, runners, ready
        self._planes = {changelog_topic(plane.name): plane for plane in planes}
        self._left_out: dict[Name, float] = {}
        self.behind: dict[str, int] = dict.fromkeys((plane.name for plane in planes), 0)

    def counts(self) -> dict[str, int]:
        """Return by plane of how many partitions there is a copy."""
        held = Counter(plane for plane, _ in self._stores.copies)
        return {plane.name: held[plane.name] for plane in self._planes.values()}

    async def run(self) -> None:
        """Follow the changelogs until cancelled, and close the copies then."""
        await self._ready.wait()
        consumer = manual_consumer(self._settings)
        await start_client(consumer)
        followed: frozenset[Name] = frozenset()
        try:
            while True:
                try:
                    if any(runner.processor is None for runner in self._runners.values()):
                        await asyncio.sleep(_REST_S)
                        continue
                    await self._open_missing()
                    followed = await self._follow(consumer, followed)
                    if not await self._read(consumer):
                        await asyncio.sleep(_REST_S)
                except (KafkaError, TimeoutError) as error:
                    logger.warning("copies of other workers' partitions: %r; again", error)
                    followed = frozenset()
                    await asyncio.sleep(_AGAIN_S)
        finally:
            try:
                await stop_client(consumer)
            finally:
                async with self._stores.copying:
                    for name in list(self._stores.copies):
                        self._drop(name)

    async def _open_missing(self) -> None:
        """Open a copy of each partition that is neither run here nor copied yet."""
        for topic, number in self._partitions():
            plane = self._planes[topic]
            name = plane.name, number
            async with self._stores.copying:
                if name in self._runners or name in self._stores.copies:
                    continue
                if monotonic() < self._left_out.get(name, 0.0):
                    continue
                try:
                    await self._stores.copy(plane, number)
                except LockedStoreError:
                    continue  # a runner is about to close it, or another worker has the same directory
                except CorruptStoreError as error:
                    logger.warning("%s; the copy is made anew from the changelog", error)
                    if not self._stores.rebuild(plane, number):
                        self._leave_out(name, error)
                except StateError as error:
                    self._leave_out(name, error)

    async def _follow(self, consumer: AIOKafkaConsumer, followed: frozenset[Name]) -> frozenset[Name]:
        """Have the consumer read the changelogs of all copies from where each has got to."""
        wanted = frozenset(self._stores.copies)
        if wanted == followed:
            return followed
        topics = {self._log_of(name): name for name in wanted}
        consumer.assign(list(topics))
        ends = await consumer.end_offsets(list(topics)) if topics else {}
        for tp, name in topics.items():
            async with self._stores.copying:
                copy = self._stores.copies.get(name)
                begin = 0 if copy is None else copy.changelog_offset()
                if begin > ends[tp]:
                    self._leave_out(name, f"the log ends at {ends[tp]}, and the copy was read up to {begin}")
            consumer.seek(tp, begin)
        return wanted

    async def _read(self, consumer: AIOKafkaConsumer) -> bool:
        """Write what has come to the copies; return whether there may be more."""
        if not consumer.assignment():
            return False
        fetched: Mapping[TopicPartition, list[ConsumerRecord]] = await consumer.getmany(
            timeout_ms=200, max_records=_CHUNK_RECORDS
        )
        for tp, records in fetched.items():
            await self._write(tp, records)
        await self._measure(consumer)
        return sum(map(len, fetched.values())) >= _CHUNK_RECORDS

    async def _write(self, tp: TopicPartition, records: list[ConsumerRecord]) -> None:
        name = self._planes[tp.topic].name, tp.partition
        async with self._stores.copying:
            copy = self._stores.copies.get(name)
            if copy is None:
                return  # it was promoted while the records were on their way
            try:
                if records[0].offset < copy.changelog_offset():
                    self._leave_out(name, "its log begins anew")
                    return
                found = [ChangelogRecord(record.key, record.value) for record in records]
                await asyncio.to_thread(copy.restore, found, records[-1].offset + 1)
            except StateError as error:
                self._leave_out(name, error)

    async def _measure(self, consumer: AIOKafkaConsumer) -> None:
        """Count how far the copies of each plane are behind."""
        behind = dict.fromkeys(self.behind, 0)
        for tp in consumer.assignment():
            end = consumer.highwater(tp)
            if end is not None:
                behind[self._planes[tp.topic].name] += max(0, end - await consumer.position(tp))
        self.behind = behind

    def _leave_out(self, name: Name, why: object) -> None:
        """Close a copy that cannot be kept, for a minute: a takeover tells what is wrong, and reads the log itself."""
        logger.warning("no copy of %s-%d is kept: %s", *name, why)
        self._left_out[name] = monotonic() + _LEFT_OUT_S
        self._drop(name)

    def _drop(self, name: Name) -> None:
        copy = self._stores.copies.pop(name, None)
        if copy is not None:
            self._stores.close(copy)

    def _partitions(self) -> Iterable[tuple[str, int]]:
        return ((topic, number) for topic in self._planes for number in range(self._settings.topics.partitions))

    @staticmethod
    def _log_of(name: Name) -> TopicPartition:
        return TopicPartition(changelog_topic(name[0]), name[1])
