"""Take a partition over from whoever had it before, and bring consumer and position together."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic, time_ns
from typing import Any, NamedTuple

from processors.common.topics import changelog_topic
from processors.events.event import EVENT_TOPICS
from processors.planes.base import Output, Plane
from state.store import PartitionStore
from streams.engine.partition import PartitionProcessor
from streams.kafka.publisher import Publisher
from streams.kafka.upstream.swallowed_cancellations import raise_if_cancelled
from streams.settings.sections import Settings
from streams.worker.consumer_control import ConsumerControl
from streams.worker.metrics import Metrics
from streams.worker.record_buffer import RecordBuffer
from streams.worker.restore import restore
from streams.worker.stores import Stores
from streams.worker.topic_identity import check_source_end

logger = logging.getLogger(__name__)


class HeldPartition(NamedTuple):
    """A partition that is taken over: its processor on the restored store, and the only publisher that may write."""

    processor: PartitionProcessor[Any]
    publisher: Publisher


class Takeover:
    """Takes one partition of one plane over, and lets go of it.

    Parameters
    ----------
    settings
        Brokers, guarantee and state directory.
    plane, partition
        What to take over.
    consumer
        Delivers the source records; it is made to seek to the position.
    buffer
        Holds the records that were delivered; it discards those that were fetched before a seek.
    metrics
        Where restored and lost records are counted.
    stores
        Stores of this process.

    Attributes
    ----------
    held : HeldPartition
        What :meth:`hold` yields, while its context is open; :obj:`None` otherwise.
    progressed_at : float
        Monotonic seconds of the last progress of a takeover: a part of the changelog that was read, or the moment at
        which the partition was let go of.
    """

    def __init__(
        self,
        settings: Settings,
        plane: Plane[Any],
        partition: int,
        consumer: ConsumerControl,
        buffer: RecordBuffer,
        metrics: Metrics,
        stores: Stores,
    ) -> None:
        self._settings, self._plane, self._partition = settings, plane, partition
        self._consumer, self._buffer, self._metrics, self._stores = consumer, buffer, metrics, stores
        self.name = f"{plane.name}-{partition}"
        self.held: HeldPartition | None = None
        self.progressed_at = monotonic()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[HeldPartition]:
        """Take the partition over, and let go of it when the context is left, for whatever reason.

        In this order: open the local store; start the publisher, which fences the predecessor; read the rest of the
        changelog into the store; compare its position with the source logs; have the consumer deliver from there.

        Raises
        ------
        CorruptStoreError
            If the files of the store are damaged (see :meth:`rebuild_store`).
        StateError
            If the store cannot be used, or does not belong to the topics that there are.
        """
        began_at = monotonic()
        async with AsyncExitStack() as resources:
            publisher = Publisher(self._settings, self.name)
            resources.push_async_callback(publisher.stop)
            store = await self._stores.take(self._plane, self._partition)
            # The store goes first: a publisher may take seconds to stop, and whoever comes next needs the files.
            resources.callback(self._close, store)
            await publisher.start()
            raise_if_cancelled()
            read = await restore(self._settings, self._plane, self._partition, store, publisher, self._note_progress)
            held = HeldPartition(PartitionProcessor(self._plane, self._partition, store), publisher)
            held.processor.begin(time_ns() // 1_000_000)
            await self._compare(held)
            if not publisher.transactional:
                await self._skip_number(held)
            await self._seek(held.processor)
            raise_if_cancelled()
            self.held = held
            self._report(read, monotonic() - began_at)
            yield held

    async def seek_back(self) -> None:
        """Have everything beyond the position delivered again, stepping over what the logs have lost.

        Used for a delivery gap, and by the watchdog for a partition that stalls. Does nothing while the partition is
        not held: a takeover ends with a seek of its own.

        Raises
        ------
        StateError
            If a source log ends before the position.
        """
        held = self.held
        if held is not None:
            await self._compare(held)
            # The partition may have been let go of while the brokers were asked.
            if self.held is held:
                await self._seek(held.processor)

    def rebuild_store(self) -> bool:
        """Delete the damaged files of the store, so that the next :meth:`hold` makes it anew from the changelog.

        Returns
        -------
        bool
            Whether they were deleted: each store is rebuilt once per process.
        """
        return self._stores.rebuild(self._plane, self._partition)

    def _close(self, store: PartitionStore[Any]) -> None:
        self._stores.close(store)
        if self.held is not None:
            self.held = None
            self._note_progress()

    def _note_progress(self) -> None:
        self.progressed_at = monotonic()

    def _report(self, read: int, seconds: float) -> None:
        partitions = self._metrics.partitions
        partitions.restored.labels(self._plane.name).inc(read)
        partitions.restore_seconds.labels(self._plane.name, str(self._partition)).set(seconds)
        logger.info("%s ready: %d changelog records in %.1f s", self.name, read, seconds)

    async def _skip_number(self, held: HeldPartition) -> None:
        """Without transactions, skip the number that a batch sent before a crash may have used up.

        Receivers drop what carries a number they know; a batch computed again after the crash is another batch.
        """
        processor = held.processor
        processor.position.number += 1
        records = processor.store.encode({}, processor.position)
        topic = changelog_topic(self._plane.name)
        appended = await held.publisher.publish(Output(topic, self._partition, *record) for record in records)
        processor.store.commit(records, appended[topic, self._partition].end)

    async def _seek(self, processor: PartitionProcessor[Any]) -> None:
        """Have the consumer deliver from the position on, and the buffer discard what was fetched before."""
        # Looked up once: the position may move on while the consumer is asked, and both must get the same offsets.
        offsets = {topic: processor.position.offsets[topic] for topic in self._plane.source_topics}
        self._buffer.seek(offsets)
        await self._consumer.seek(offsets, self._partition)

    async def _compare(self, held: HeldPartition) -> None:
        """Compare the position with what the source logs still have, and move it beyond what they have lost.

        Raises
        ------
        StateError
            If a log ends before the position: it is another log, and its records would be taken for repeated ones.
        """
        topics = self._plane.source_topics
        for topic, first in (await self._consumer.beginnings(topics, self._partition)).items():
            offset = held.processor.position.offsets.get(topic)
            if offset is not None and first > offset:
                self._count_deleted(topic, offset, first)
            held.processor.start_at(topic, first)
        # Brokers without transactions are not always right about the end of a log.
        if held.publisher.transactional:
            # Looked up before: the position may move on while the consumer is asked.
            applied = {topic: held.processor.position.offsets[topic] for topic in topics}
            for topic, end in (await self._consumer.ends(topics, self._partition)).items():
                check_source_end(self._settings, topic, self._partition, applied[topic], end)

    def _count_deleted(self, topic: str, offset: int, first: int) -> None:
        """Report offsets that retention deleted before they were applied.

        Each may have held a record or the marker of a transaction, which nobody can tell any more. On the apps' topics
        they count as lost. On Nearstream's own topics every transaction leaves a marker, so one that is idle loses
        markers as a matter of course; a record lost there shows as a broken chain.
        """
        logger.warning(
            "%s[%d]: read up to %d, but the log begins at %d now: retention has deleted what was in between, records "
            "or only what transactions leave behind", topic, self._partition, offset, first,
        )  # fmt: skip
        if topic in EVENT_TOPICS:
            self._metrics.partitions.lost.labels(topic).inc(first - offset)
