"""Feeding the read model: every worker reads the whole broadcast topic and follows it."""

from __future__ import annotations

import asyncio
import logging
from time import time

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.item_index import ItemIndex, decode_view
from processors.items_plane import BROADCAST_TOPIC
from processors.plane import Output
from streams.clients import stop_client
from streams.publisher import Publisher
from streams.restore import manual_consumer
from streams.settings import Settings

logger = logging.getLogger(__name__)

_MARKER_KEY = b"\x00marker"
_CHUNK_RECORDS = 1000


class BroadcastReader:
    """Keeps an item index current.

    Parameters
    ----------
    settings
        Brokers.
    index
        The read model. Only this reader writes to it, and only between two steps of the planes: both run in one
        event loop and neither yields in between.

    Attributes
    ----------
    complete : asyncio.Event
        Set once everything that had been broadcast before the start has been read.
    changed_at : float
        Seconds since the epoch when something was last read.
    applied : int
        Item views read so far.
    """

    def __init__(self, settings: Settings, index: ItemIndex) -> None:
        self._settings, self._index = settings, index
        self.complete = asyncio.Event()
        self.changed_at = time()
        self.applied = 0

    async def run(self) -> None:
        """Read the topic from its beginning and follow it until cancelled."""
        consumer = manual_consumer(self._settings)
        partitions = [TopicPartition(BROADCAST_TOPIC, p) for p in range(self._settings.topics.partitions)]
        consumer.assign(partitions)
        await consumer.start()
        try:
            ends = await self._mark()
            await consumer.seek_to_beginning(*partitions)
            while True:
                await self._read(consumer)
                if not self.complete.is_set():
                    reached = [await consumer.position(tp) >= ends[tp.partition] for tp in partitions]
                    if all(reached):
                        self.complete.set()
                        logger.info("read model complete: %d items", len(self._index))
        finally:
            await stop_client(consumer)

    async def _mark(self) -> dict[int, int]:
        """Append a marker to each partition; what is read up to it is complete.

        A tombstone, so that compaction removes it. Needed because not every broker reports end offsets rightly.
        """
        publisher = Publisher(_without_transactions(self._settings), "read-model")
        await publisher.start()
        try:
            partitions = range(self._settings.topics.partitions)
            appended = await publisher.publish(Output(BROADCAST_TOPIC, p, _MARKER_KEY, None) for p in partitions)
        finally:
            await publisher.stop()
        return {partition: end.end for (_, partition), end in appended.items()}

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        fetched = await consumer.getmany(timeout_ms=200, max_records=_CHUNK_RECORDS)
        for records in fetched.values():
            for record in records:
                if record.key is not None and record.key != _MARKER_KEY:
                    self._index.apply(record.key.decode(), decode_view(record.value))
                    self.applied += 1
                    self.changed_at = time()


def _without_transactions(settings: Settings) -> Settings:
    worker = msgspec.structs.replace(settings.worker, processing_guarantee="at_least_once")
    return msgspec.structs.replace(settings, worker=worker)
