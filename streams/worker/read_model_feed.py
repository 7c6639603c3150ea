"""Feed the read models: every worker reads the broadcast topics from their beginnings and follows them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic, time

import msgspec
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from processors.common.errors import StateError, StuckTransactionError
from processors.common.topics import BROADCAST_TOPICS
from processors.planes.base import Output
from streams.engine.topology import Topology
from streams.kafka.clients import start_client
from streams.kafka.consumer import manual_consumer
from streams.kafka.publisher import Publisher
from streams.kafka.upstream.stopping import stop_client
from streams.settings.sections import Settings
from streams.worker.compute_thread import ComputeThread

logger = logging.getLogger(__name__)

_MARKER_KEY = b"\x00marker"
_CHUNK_RECORDS = 1000
_AGAIN_S = 1.0
_REST_S = 0.05
"""Seconds between two fetches once the read models are complete: what other planes say comes in one answer of the
brokers instead of many small ones."""


class ReadModelFeed:
    """Keeps the read models current.

    Parameters
    ----------
    settings
        Brokers and number of partitions.
    topology
        Has the read models. Nobody else may write to them.
    compute
        Thread in which they are written to, between two steps of the planes.

    Attributes
    ----------
    complete : asyncio.Event
        Set once everything that was broadcast before the start has been applied.
    changed_at : float
        Seconds since the epoch when something was last applied.
    applied : int
        Number of broadcast records applied so far.
    """

    def __init__(self, settings: Settings, topology: Topology, compute: ComputeThread) -> None:
        self._settings, self._topology, self._compute = settings, topology, compute
        self.complete = asyncio.Event()
        self.changed_at = time()
        self.applied = 0
        self._awaited_since: float | None = None
        self._read_at = 0.0

    @property
    def stuck_s(self) -> float:
        """Seconds for which somebody has waited for the read models and nothing was read; 0 if nobody waits."""
        if self._awaited_since is None or self.complete.is_set():
            return 0.0
        return monotonic() - max(self._awaited_since, self._read_at)

    async def completed(self) -> None:
        """Wait until the read models are complete."""
        self._awaited_since = self._awaited_since or monotonic()
        await self.complete.wait()

    async def run(self) -> None:
        """Read the topics from their beginnings and follow them until cancelled.

        Raises
        ------
        KafkaError
            If the brokers refuse to be read.
        """
        consumer = manual_consumer(self._settings)
        numbers = range(self._settings.topics.partitions)
        partitions = [TopicPartition(topic, number) for topic in BROADCAST_TOPICS for number in numbers]
        consumer.assign(partitions)
        await start_client(consumer)
        try:
            ends = await self._marked(partitions)
            await consumer.seek_to_beginning(*partitions)
            while True:
                await self._read(consumer)
                if self.complete.is_set():
                    await asyncio.sleep(_REST_S)
                else:
                    reached = [await consumer.position(tp) >= ends[tp] for tp in partitions]
                    if all(reached):
                        self.complete.set()
                        logger.info("read models complete: %d items", len(self._topology.index))
        finally:
            await stop_client(consumer)

    async def _marked(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Append the markers, again if the brokers went away meanwhile."""
        while True:
            try:
                return await self._mark(partitions)
            except StuckTransactionError as error:
                logger.warning("%s; again", error)
                await asyncio.sleep(_AGAIN_S)

    async def _mark(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Append a marker to each partition, and return the offsets behind the markers.

        The read models are complete once those offsets are reached. Markers are tombstones, so that compaction
        removes them. Needed because not every broker reports end offsets rightly.
        """
        publisher = Publisher(_without_transactions(self._settings), "read-model")
        await publisher.start()
        try:
            appended = await publisher.publish(
                Output(topic, partition, _MARKER_KEY, None) for topic, partition in partitions
            )
        finally:
            await publisher.stop()
        return {TopicPartition(*log): end.end for log, end in appended.items()}

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=200, max_records=_CHUNK_RECORDS)
        views = [
            record
            for records in fetched.values()
            for record in records
            if record.key is not None and record.key != _MARKER_KEY
        ]
        if fetched:
            self._read_at = monotonic()
        if views:
            await self._compute.run(self._apply, views)
            self.applied += len(views)
            self.changed_at = time()

    def _apply(self, views: Sequence[ConsumerRecord]) -> None:
        for view in views:
            try:
                self._topology.broadcast(view.topic, view.key, view.value)
            except (ValueError, OverflowError, IndexError) as error:  # msgspec's and Unicode's errors are ValueErrors
                where = f"{view.topic}[{view.partition}], offset {view.offset}, key {view.key!r}"
                raise StateError(f"{where}: no read model can take it over: {error}") from error


def _without_transactions(settings: Settings) -> Settings:
    worker = msgspec.structs.replace(settings.worker, processing_guarantee="at_least_once")
    return msgspec.structs.replace(settings, worker=worker)
