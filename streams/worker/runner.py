"""The life of one partition in a worker: take over, restore, then gather, prepare, publish, commit, acknowledge."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic, time_ns
from typing import Any

from processors.common.errors import CorruptStoreError, DeliveryGap, FencedError, StateError, StuckTransactionError
from processors.common.time import stamp
from processors.common.topics import RECOMMENDATIONS_TOPIC, changelog_topic
from processors.events.event import EVENT_TOPICS
from processors.planes.base import Output, Plane
from streams.engine.partition import PartitionProcessor, Prepared
from streams.engine.source_batch import SourceBatch
from streams.kafka.publisher import Appended, Publisher
from streams.settings.sections import Settings
from streams.worker.compute_thread import ComputeThread
from streams.worker.consumer_control import ConsumerControl
from streams.worker.metrics import Metrics
from streams.worker.record_buffer import Acknowledge, RecordBuffer
from streams.worker.restore import restore
from streams.worker.step_metrics import count_step
from streams.worker.stores import Stores
from streams.worker.topic_identity import check_source_end

logger = logging.getLogger(__name__)

_LONGEST_REST_S = 60.0
_FIRST_RECORD_S = 0.001
"""What a record is taken to cost before any was seen."""

_FEWEST_RECORDS = 50
_MEMORY = 0.8


class PartitionRunner:
    """Runs one partition of one plane.

    Parameters
    ----------
    settings
        Of the worker.
    plane, partition
        What to run.
    source
        The consumer that the batches come from.
    interval_ms
        Time between two transactions.
    metrics
        Where to count.
    stores
        Of this process.
    compute
        Where steps are computed.

    Attributes
    ----------
    processor
        Once restored; :obj:`None` before.
    activity : str
        What it is doing, for people.
    committed_at : float
        Monotonic seconds of the last commit, or of the moment the runner was ready.
    moved_at : float
        As long as there is no processor: monotonic seconds of the last step towards one.
    publishing_since : float
        Monotonic seconds at which the transaction at hand was begun; :obj:`None` between two of them.
    """

    def __init__(
        self,
        settings: Settings,
        plane: Plane[Any],
        partition: int,
        source: ConsumerControl,
        interval_ms: int,
        metrics: Metrics,
        stores: Stores,
        compute: ComputeThread,
    ) -> None:
        self.settings, self.plane, self.partition = settings, plane, partition
        self._source, self._metrics, self._stores, self._compute = source, metrics, stores, compute
        self._interval = interval_ms / 1000.0
        self._publisher = self._new_publisher()
        self._arrived = asyncio.Event()
        self._inbox = RecordBuffer(
            4 * settings.worker.batch_max_records,
            settings.worker.buffer_bytes,
            pause=lambda topic: source.pause(topic, partition),
            resume=lambda topic: source.resume(topic, partition),
        )
        self.processor: PartitionProcessor[Any] | None = None
        self.committed_at = self.moved_at = monotonic()
        self._started_at = 0.0
        self._working = False
        self._patience = asyncio.timeout(None)
        self.publishing_since: float | None = None
        self._record_s = _FIRST_RECORD_S
        self.activity = "taking over"
        self._rest_s = self._shortest_rest_s
        self._labels = {"plane": plane.name, "partition": str(partition)}

    def deliver(self, batch: SourceBatch, acknowledge: Acknowledge) -> None:
        """Take a batch from the consumer. Beyond a bound its topic is paused until the runner has caught up."""
        self._inbox.put(batch, acknowledge)
        self._arrived.set()

    @property
    def _shortest_rest_s(self) -> float:
        """Long enough for the group to tell a worker that was frozen that the partition has gone to another.

        Heartbeats go out four times in a session.
        """
        return self.settings.kafka.session_timeout_s / 2

    def _new_publisher(self) -> Publisher:
        return Publisher(self.settings, f"{self.plane.name}-{self.partition}")

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be applied, and nothing is being applied."""
        return not self._inbox and not self._working

    async def run(self, ready: asyncio.Event) -> None:
        """Take over the partition and run it until cancelled, which is how the worker says that it has gone elsewhere.

        Who is fenced takes it over again after a rest: either the group has it cancelled by then, or whoever fenced it
        was not given the partition. So does whose transaction is stuck, and who finds the files of the store damaged,
        once, without them.

        Parameters
        ----------
        ready
            What must be set before the first batch is applied: the read model.
        """
        try:
            while True:
                try:
                    await self._run(ready)
                except (FencedError, StuckTransactionError) as error:
                    await self._let_go()
                    await self._rest(error)
                except CorruptStoreError as error:
                    await self._let_go()
                    if not self._stores.rebuild(self.plane, self.partition):
                        raise
                    logger.warning("%s; starting it anew from the changelog", error)
                self._publisher = self._new_publisher()
        finally:
            await self._let_go()

    async def _run(self, ready: asyncio.Event) -> None:
        await self._take_over()
        await ready.wait()
        while True:
            await self._gather()
            self._working = True
            try:
                await self._work()
            finally:
                self._working = False

    async def _rest(self, error: StateError) -> None:
        logger.warning("%s; unless the group says so within %.0f s, this one takes it back", error, self._rest_s)
        await asyncio.sleep(self._rest_s)
        self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S)

    async def _let_go(self) -> None:
        """Close what belongs to the partition."""
        if self.processor is not None:
            self._stores.close(self.processor.store)
            self.processor = None
            self.moved_at = monotonic()
        await self._publisher.stop()

    async def _take_over(self) -> None:
        """Fence the predecessor, restore the store, and make the consumer follow it."""
        self.activity = "taking over"
        begun = monotonic()
        store = self._stores.open(self.plane, self.partition)
        try:
            await self._publisher.start()
            read = await restore(self.settings, self.plane, self.partition, store, self._publisher, self._move)
            processor = PartitionProcessor(self.plane, self.partition, store)
            processor.begin(time_ns() // 1_000_000)
            await self._compare(processor)
            if not self._publisher.transactional:
                await self._renumber(processor)
            await self._seek(processor)
        except BaseException:
            self._stores.close(store)
            raise
        self.processor = processor
        self.committed_at = monotonic()
        self._metrics.restored.labels(self.plane.name).inc(read)
        self._metrics.restore_seconds.labels(**self._labels).set(monotonic() - begun)
        logger.info("%s-%d ready: %d changelog records in %.1f s", self.plane.name, self.partition, read,
                    monotonic() - begun)  # fmt: skip

    def _move(self) -> None:
        self.moved_at = monotonic()

    async def _renumber(self, processor: PartitionProcessor[Any]) -> None:
        """Without transactions, skip the number that a batch sent before a crash may have used up.

        Receivers drop what carries a number they know; a batch made anew after the crash is another batch.
        """
        processor.position.number += 1
        records = processor.store.encode({}, processor.position)
        topic = changelog_topic(self.plane.name)
        appended = await self._publisher.publish(Output(topic, self.partition, *record) for record in records)
        processor.store.commit(records, appended[topic, self.partition].end)

    async def _gather(self) -> None:
        """Wait for work, and then for what else arrives until the interval since the last commit is over."""
        self.activity = "waiting for records"
        while not self._inbox:
            self._arrived.clear()
            await self._arrived.wait()
        pause = self._started_at + self._interval - monotonic()
        if pause > 0.0 and self._inbox.records < self._most_records() and self._inbox.size_bytes < self._most_bytes:
            await asyncio.sleep(pause)
        self._started_at = monotonic()

    def _take(self) -> list[tuple[SourceBatch, Acknowledge]]:
        return self._inbox.take(self._most_records(), self._most_bytes)

    @property
    def _most_bytes(self) -> int:
        return self.settings.worker.buffer_bytes // 4

    def _most_records(self) -> int:
        """Records that can be computed within the time a step may take."""
        foretold = int(self.settings.worker.step_ms / 1000.0 / self._record_s)
        return min(self.settings.worker.batch_max_records, max(_FEWEST_RECORDS, foretold))

    async def _work(self) -> None:
        """Take, prepare, publish, commit, acknowledge: the order that makes it exact."""
        processor = self.processor
        assert processor is not None
        self.activity = f"waiting for its turn since {stamp(time_ns() // 1_000_000)}"
        try:
            # What arrives while others compute is taken along.
            async with self._compute.turn() as call:
                self.activity, begun = f"computing since {stamp(time_ns() // 1_000_000)}", monotonic()
                taken = self._take()
                prepared = await call(processor.prepare, [batch for batch, _ in taken])
        except DeliveryGap as gap:
            await self._mend(gap, processor)
            return
        if prepared is not None:
            computed = monotonic()
            if len(prepared.batch) >= _FEWEST_RECORDS:  # fewer cost more each, and say nothing of many
                cost = (computed - begun) / len(prepared.batch)
                self._record_s = _MEMORY * self._record_s + (1.0 - _MEMORY) * cost
            appended = await self._publish(prepared)
            published = monotonic()
            end = appended[changelog_topic(self.plane.name), self.partition].end
            processor.commit(prepared, end)
            self._rest_s = self._shortest_rest_s
            self.committed_at = monotonic()
            steps = (computed - begun, published - computed, self.committed_at - published)
            recommended = appended.get((RECOMMENDATIONS_TOPIC, self.partition))
            count_step(self._metrics, self.plane.name, prepared, steps, recommended)
        self._count_dropped(processor)
        for _, acknowledge in taken:
            acknowledge()

    async def _publish(self, prepared: Prepared[Any]) -> dict[tuple[str, int], Appended]:
        self.activity = f"publishing since {stamp(time_ns() // 1_000_000)}"
        self.publishing_since = monotonic()
        try:
            async with asyncio.timeout(None) as self._patience:
                return await self._publisher.publish(self._records(prepared))
        except TimeoutError as error:
            name = f"{self.plane.name}-{self.partition}"
            raise StuckTransactionError(f"{name}: a transaction found no end while the brokers answered") from error
        finally:
            self.publishing_since = None

    def give_up_publishing(self) -> None:
        """Break off the transaction at hand, if there is one, and take the partition over anew.

        Whether it came through after all is read from the changelog then. Clients have been seen to wait for ever for
        an answer that a broker, killed and started again, did not give.
        """
        if self.publishing_since is not None:
            self._patience.reschedule(asyncio.get_running_loop().time())

    def _records(self, prepared: Prepared[Any]) -> list[Output]:
        """What to publish, the changelog last: without transactions it is what says that the rest was published."""
        topic = changelog_topic(self.plane.name)
        changelog = [Output(topic, self.partition, key, value) for key, value in prepared.changelog]
        return prepared.outputs + changelog

    async def _mend(self, gap: DeliveryGap, processor: PartitionProcessor[Any]) -> None:
        """Have everything from the gap on handed over again, or step over it if the log has lost it."""
        self._metrics.gaps.labels(self.plane.name).inc()
        logger.info("%s; seeking back", gap)
        await self._compare(processor)
        await self._seek(processor)

    async def reseek(self) -> None:
        """Have everything beyond the position handed over again: what the watchdog does for a stalled partition."""
        if self.processor is not None:
            await self._compare(self.processor)
            await self._seek(self.processor)

    async def _seek(self, processor: PartitionProcessor[Any]) -> None:
        """Have the consumer hand over from the position on, and nothing that it fetched before.

        The position may move on while the consumer is asked, so that inbox and consumer are told of the same one.
        """
        offsets = {topic: processor.position.offsets[topic] for topic in self.plane.source_topics}
        self._inbox.seek(offsets)
        for topic, offset in offsets.items():
            await self._source.seek(topic, self.partition, offset)

    async def _compare(self, processor: PartitionProcessor[Any]) -> None:
        """Compare the position with what the logs still have, and step over what they have lost.

        Raises
        ------
        StateError
            If a log ends before the position: it is another log, and its records would be taken for repeated ones.
        """
        for topic in self.plane.source_topics:
            first = await self._source.beginning(topic, self.partition)
            offset = processor.position.offsets.get(topic)
            if offset is not None and first > offset:
                self._count_deleted(topic, offset, first)
            processor.start_at(topic, first)
            # Only Kafka is to be believed: brokers without transactions give wrong ends.
            if self._publisher.transactional:
                end = await self._source.end(topic, self.partition)
                check_source_end(self.settings, topic, self.partition, processor.position.offsets[topic], end)

    def _count_deleted(self, topic: str, offset: int, first: int) -> None:
        """Tell of offsets that retention deleted before they were applied.

        Each may have held a record, or what a transaction leaves behind; nobody can tell any more. On the apps' topics
        they count as lost. On our own every transaction leaves a marker, so an idle one ends in one that is deleted
        unread as a matter of course; what is lost there shows as a broken chain.
        """
        logger.warning(
            "%s[%d]: read up to %d, but the log begins at %d now: retention has deleted what was in between, records "
            "or only what transactions leave behind", topic, self.partition, offset, first,
        )  # fmt: skip
        if topic in EVENT_TOPICS:
            self._metrics.lost.labels(topic).inc(first - offset)

    def _count_dropped(self, processor: PartitionProcessor[Any]) -> None:
        self._metrics.repeated.labels(self.plane.name).inc(processor.repeated)
        self._metrics.chain_breaks.labels(self.plane.name).inc(processor.chain_breaks)
        processor.repeated = processor.chain_breaks = 0
