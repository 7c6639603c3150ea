"""The loop of one partition in a worker: gather, compute, publish, commit, acknowledge.

That order makes every record count once: see :mod:`state.store` for what each step relies on, and
:mod:`streams.worker.failures` for what happens when one fails.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic, time_ns
from typing import Any

from aiokafka.errors import KafkaError, KafkaTimeoutError, RequestTimedOutError

from processors.common.errors import StateError, StuckTransactionError
from processors.common.time import stamp
from processors.common.topics import RECOMMENDATIONS_TOPIC, changelog_topic
from processors.planes.base import Output, Plane
from streams.engine.partition import PartitionProcessor, Prepared
from streams.engine.source_batch import SourceBatch
from streams.kafka.publisher import Appended, Publisher
from streams.kafka.upstream.swallowed_cancellations import raise_if_cancelled
from streams.settings.sections import Settings
from streams.worker.compute_thread import ComputeThread
from streams.worker.consumer_control import ConsumerControl
from streams.worker.failures import Remedy, Rest, remedy_of
from streams.worker.metrics import Metrics
from streams.worker.pacing import Pacing, most_share_of
from streams.worker.record_buffer import Acknowledge, RecordBuffer
from streams.worker.step_metrics import StepSeconds
from streams.worker.stores import Stores
from streams.worker.takeover import HeldPartition, Takeover

logger = logging.getLogger(__name__)

_AGAIN_S = 1.0
_ROOM_AGAIN_S, _SETTLED_S = 2.0, 10.0

_SILENCE = (KafkaTimeoutError, RequestTimedOutError, TimeoutError)
"""What the clients of Kafka raise when no answer came for as long as they wait."""


class PartitionRunner:
    """Runs one partition of one plane.

    Parameters
    ----------
    settings
        Settings of the worker.
    plane, partition
        What to run.
    consumer
        Delivers the source records, by calls to :meth:`deliver`.
    interval_ms
        Least milliseconds between two transactions.
    metrics
        Where to count.
    stores
        Stores of this process.
    compute
        Thread in which steps are computed.

    Attributes
    ----------
    activity : str
        What it is doing, for log entries.
    taken_over : asyncio.Event
        Set once it has taken the partition over for the first time.
    committed_at : float
        Monotonic seconds of the last commit, or of the end of the takeover.
    publishing_since : float
        Monotonic seconds at which the transaction at hand was begun; :obj:`None` between two of them.
    """

    def __init__(
        self,
        settings: Settings,
        plane: Plane[Any],
        partition: int,
        consumer: ConsumerControl,
        interval_ms: int,
        metrics: Metrics,
        stores: Stores,
        compute: ComputeThread,
    ) -> None:
        self.plane, self.partition = plane, partition
        self._metrics, self._compute = metrics, compute
        self._arrived = asyncio.Event()
        self._buffer = RecordBuffer(
            4 * settings.worker.batch_max_records,
            settings.worker.buffer_bytes,
            pause=lambda topic: consumer.pause(topic, partition),
            resume=lambda topic: consumer.resume(topic, partition),
        )
        self._pacing = Pacing(settings.worker, interval_ms, most_share_of(plane.name))
        self._takeover = Takeover(settings, plane, partition, consumer, self._buffer, metrics, stores)
        self._rest = Rest(settings.kafka.session_timeout_s)
        self._working = False
        self.taken_over = asyncio.Event()
        self._confirmed = asyncio.Event()
        self._confirmed.set()
        self._reseek = False
        self._publish_timeout = asyncio.timeout(None)
        self.publishing_since: float | None = None
        self.committed_at = monotonic()
        self.activity = "taking over"
        self._trouble: str | None = None
        self._taken_over_at = self.committed_at

    @property
    def processor(self) -> PartitionProcessor[Any] | None:
        """Processor of the partition; :obj:`None` while it is not taken over."""
        held = self._takeover.held
        return None if held is None else held.processor

    @property
    def trouble(self) -> str | None:
        """What keeps it from its work until somebody does something about it; :obj:`None` if nothing does.

        It counts until the partition has been held for ten seconds: on a disk that is nearly full it can be taken over,
        and then not written to.
        """
        held = self.processor is not None and monotonic() - self._taken_over_at > _SETTLED_S
        return None if held else self._trouble

    @property
    def progressed_at(self) -> float:
        """Monotonic seconds of the last progress of a takeover, for as long as there is no processor."""
        return self._takeover.progressed_at

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be applied, and nothing is being applied."""
        return not self._buffer and not self._working

    def deliver(self, batch: SourceBatch, acknowledge: Acknowledge) -> None:
        """Take a batch from the consumer.

        Beyond a bound the topic of the batch is paused until the runner has caught up.

        Parameters
        ----------
        batch
            Records and the offsets that they cover.
        acknowledge
            Called once the batch is stored: the consumer may commit its offsets then.
        """
        self._buffer.put(batch, acknowledge)
        self._arrived.set()

    async def run(self, ready: asyncio.Event) -> None:
        """Take over the partition and run it until cancelled, which happens when the group takes it back.

        Parameters
        ----------
        ready
            What must be set before the first batch is applied: the read models are complete.

        Raises
        ------
        Exception
            What must end the process (:mod:`streams.worker.failures`).
        """
        while True:
            # Whoever has swallowed a cancellation would wait here for a group that speaks to its successor.
            raise_if_cancelled()
            await self._confirmed.wait()
            try:
                self.activity, self._reseek = "taking over", False
                async with self._takeover.hold() as held:
                    self.committed_at = self._taken_over_at = monotonic()
                    self.taken_over.set()
                    await ready.wait()
                    while True:
                        raise_if_cancelled()
                        await self._gather()
                        await self._work(held)
            except StateError as error:
                await self._recover(error)
            except _SILENCE as error:
                name = f"{self.plane.name}-{self.partition}"
                await self._recover(StuckTransactionError(f"{name}: the brokers did not answer in time: {error!r}"))

    def doubt(self) -> None:
        """Note that the group may give the partition to another worker.

        What was delivered is still applied. A runner that is fenced takes nothing over until :meth:`confirm`.
        """
        self._confirmed.clear()

    def confirm(self) -> None:
        """Note that the group leaves the partition here, and have the runner seek to its position.

        The consumer has forgotten what it fetched before.
        """
        self._reseek = True
        self._confirmed.set()
        self._arrived.set()

    async def reseek(self) -> None:
        """Have everything beyond the position delivered again: what the watchdog does for a partition that stalls."""
        await self._takeover.seek_back()

    def give_up_publishing(self) -> None:
        """Break off the transaction at hand, if there is one, and take the partition over anew.

        For the watchdog: clients have been seen to wait for ever for an answer that a broker, killed and started
        again, did not give.
        """
        if self.publishing_since is not None:
            self._publish_timeout.reschedule(asyncio.get_running_loop().time())

    async def _recover(self, error: StateError) -> None:
        """Prepare for taking over anew after an error that made the runner let go, or raise the error again."""
        match remedy_of(error):
            case Remedy.TAKE_OVER_AGAIN:
                if not self._confirmed.is_set():
                    logger.warning("%s; the group is about to say whose it is", error)
                    return
                rest_s = self._rest.next_s()
                logger.warning("%s; unless the group says so within %.0f s, this one takes it back", error, rest_s)
                await asyncio.sleep(rest_s)
            case Remedy.WAIT_FOR_ROOM:
                if self.trouble is None:
                    logger.error("%s; trying again until there is room", error)
                self._trouble = str(error)
                await asyncio.sleep(_ROOM_AGAIN_S)
            case Remedy.REBUILD if self._takeover.rebuild_store():
                logger.warning("%s; starting it anew from the changelog", error)
            case _:
                raise error

    async def _gather(self) -> None:
        """Wait for records, and then for what else arrives until a micro-batch is due or full."""
        self.activity = "waiting for records"
        while self._reseek or not self._buffer:
            if self._reseek:
                await self._seek_after_rebalance()
                continue
            self._arrived.clear()
            await self._arrived.wait()
        wait_s = self._pacing.wait_s(self._buffer.records, self._buffer.size_bytes)
        if wait_s > 0.0:
            await asyncio.sleep(wait_s)
        self._pacing.begin()

    async def _seek_after_rebalance(self) -> None:
        """Have everything beyond the position delivered again; brokers that do not answer are asked again."""
        self._reseek = False
        try:
            await self._takeover.seek_back()
        except (KafkaError, TimeoutError) as error:
            logger.warning("%s-%d: seeking after a rebalance: %r; again", self.plane.name, self.partition, error)
            self._reseek = True
            await asyncio.sleep(_AGAIN_S)

    async def _work(self, held: HeldPartition) -> None:
        """Do one step; after a delivery gap seek back instead."""
        self._working = True
        try:
            await self._step(held)
        except StateError as error:
            if remedy_of(error) is not Remedy.SEEK_BACK:
                raise
            self._metrics.partitions.gaps.labels(self.plane.name).inc()
            logger.info("%s; seeking back", error)
            await self._takeover.seek_back()
        finally:
            self._working = False

    async def _step(self, held: HeldPartition) -> None:
        """Take a micro-batch, compute it, complete what came of it, and acknowledge its records."""
        self.activity = _since_now("waiting for its turn")
        async with self._compute.turn() as call:
            self.activity, begun = _since_now("computing"), monotonic()
            # Taken within the turn, so that what arrived while others computed is part of it.
            taken = self._buffer.take(self._pacing.most_records, self._pacing.most_bytes)
            prepared = await call(held.processor.prepare, [batch for batch, _ in taken])
        if prepared is not None:
            await self._complete(held, prepared, monotonic() - begun)
        self._count_dropped(held.processor)
        for _, acknowledge in taken:
            acknowledge()

    async def _complete(self, held: HeldPartition, prepared: Prepared[Any], compute_s: float) -> None:
        """Publish and store a computed micro-batch, and count it once that is done."""
        self._pacing.computed(len(prepared.batch), compute_s)
        begun = monotonic()
        appended = await self._publish(held.publisher, prepared)
        published = monotonic()
        held.processor.commit(prepared, appended[changelog_topic(self.plane.name), self.partition].end)
        self._rest.reset()
        self.committed_at = monotonic()
        self._pacing.committed(compute_s + self.committed_at - begun)
        seconds = StepSeconds(compute_s, published - begun, self.committed_at - published)
        recommended = appended.get((RECOMMENDATIONS_TOPIC, self.partition)) if _recommends(prepared) else None
        self._metrics.count_step(self.plane.name, prepared, seconds, recommended)

    async def _publish(self, publisher: Publisher, prepared: Prepared[Any]) -> dict[tuple[str, int], Appended]:
        """Publish a computed micro-batch.

        Raises
        ------
        StuckTransactionError
            If :meth:`give_up_publishing` was called meanwhile.
        """
        self.activity, self.publishing_since = _since_now("publishing"), monotonic()
        topic = changelog_topic(self.plane.name)
        changelog = [Output(topic, self.partition, key, value) for key, value in prepared.changelog]
        try:
            async with asyncio.timeout(None) as self._publish_timeout:
                # The changelog comes last: without transactions it says that the rest was published.
                return await publisher.publish(prepared.outputs + changelog)
        except TimeoutError as error:
            name = f"{self.plane.name}-{self.partition}"
            raise StuckTransactionError(f"{name}: a transaction found no end while the brokers answered") from error
        finally:
            self.publishing_since = None

    def _count_dropped(self, processor: PartitionProcessor[Any]) -> None:
        self._metrics.partitions.repeated.labels(self.plane.name).inc(processor.repeated)
        self._metrics.partitions.chain_breaks.labels(self.plane.name).inc(processor.chain_breaks)
        processor.repeated = processor.chain_breaks = 0


def _recommends(prepared: Prepared[Any]) -> bool:
    """Tell whether a micro-batch has a slate among its outputs: a tombstone for a user who has expired is none."""
    return any(output.topic == RECOMMENDATIONS_TOPIC and output.value is not None for output in prepared.outputs)


def _since_now(activity: str) -> str:
    return f"{activity} since {stamp(time_ns() // 1_000_000)}"
