"""The worker: a Faust app whose agents deliver batches of records to one runner per partition.

The path of a record: Faust's consumer (:mod:`streams.kafka.faust_transport`) fetches it as part of a batch → the agent
of the plane delivers the batch to the partition's :class:`streams.worker.runner.PartitionRunner` → the runner applies
it to the partition's states (:mod:`streams.engine.partition`) and publishes what came of it
(:mod:`streams.kafka.publisher`) → every worker updates its read models from what was broadcast
(:mod:`streams.worker.read_model_feed`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, cast

from aiokafka.errors import IllegalStateError
from faust.types import TP

from processors.planes.base import Plane
from streams.engine.topology import Topology, build_topology
from streams.kafka.faust_transport import BatchConsumer, BatchSchema
from streams.settings.sections import Settings
from streams.worker.broker_probe import BrokerProbe
from streams.worker.broker_wait import BrokerWait
from streams.worker.compute_thread import ComputeThread
from streams.worker.consumer_control import ConsumerControl
from streams.worker.faust_app import FaustApp
from streams.worker.gauges import Gauges
from streams.worker.health import Health
from streams.worker.http import serve
from streams.worker.lags import Lags
from streams.worker.membership import Membership
from streams.worker.metrics import Metrics
from streams.worker.read_model_feed import ReadModelFeed
from streams.worker.runner import PartitionRunner
from streams.worker.stores import Stores
from streams.worker.topic_identity import state_directory
from streams.worker.watchdog import Watchdog

logger = logging.getLogger(__name__)

CAMPAIGNS_EVERY = 4
"""Broadcast intervals between two transactions of the campaigns plane: once a second is enough for campaigns."""


class Worker:
    """One worker process.

    Parameters
    ----------
    settings
        All settings.
    topology
        By default the production wiring.
    prepare
        Called in a thread once the brokers take connections, and again while it raises ``BrokerUnavailable``. Topics
        must exist after it (:func:`streams.kafka.topics.ensure_topics`).
    stopping
        Called as it begins to stop, for whatever reason.
    before_joining, while_joining
        Called in the compute thread: before it joins the group, and as it waits for partitions.
    """

    def __init__(
        self,
        settings: Settings,
        topology: Topology | None = None,
        prepare: Callable[[], object] = lambda: None,
        stopping: Callable[[], object] = lambda: None,
        before_joining: Callable[[], None] = lambda: None,
        while_joining: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self._prepare = prepare
        self._stopping, self._before_joining, self._while_joining = stopping, before_joining, while_joining
        self.topology = topology or build_topology(settings)
        self.metrics = Metrics()
        self._compute = ComputeThread()
        self.feed = ReadModelFeed(settings, self.topology, self._compute)
        self._probe = BrokerProbe(settings)
        self._wait = BrokerWait(settings.kafka)
        self.runners: dict[tuple[str, int], PartitionRunner] = {}
        self.web_port = 0
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._parts: list[asyncio.Task[None]] = []
        self._leaving: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._generation = 0
        self._ending: set[asyncio.Task[Any]] = set()
        self._failed: asyncio.Future[None] | None = None
        self.app = FaustApp(settings)
        self._consumer = ConsumerControl(self._seek, self._beginning, self._end_of_log, self._pause, self._resume)
        self._stores = Stores(settings)
        self.lags = Lags(self.topology.planes, self.runners, lambda: cast(BatchConsumer, self.app.consumer))
        self._membership = Membership()
        self._watchdog = Watchdog(self.lags, self._probe, self._membership, settings.worker.stalled_after_s)
        own = settings.worker
        self.health = Health(
            own.stalled_after_s,
            self.runners,
            self.lags,
            self._watchdog,
            self.feed,
            self._probe,
            self._membership,
            self._wait,
        )
        self._gauges = Gauges(
            self.metrics,
            self.topology,
            self.runners,
            self.lags,
            self.feed,
            self._probe,
            self.health,
            own.campaign_metrics,
        )
        for signal, handler in (
            (self.app.on_partitions_assigned, self._on_assigned),
            (self.app.on_partitions_revoked, self._on_revoked),
        ):
            cast(Any, signal).connect(handler, weak=False)
        for plane in self.topology.planes:
            self._add_agent(plane)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set.

        Raises
        ------
        Exception
            What a part of the worker failed with: the process must end (:mod:`streams.worker.failures`).
        """
        failed = self._failed = asyncio.get_running_loop().create_future()
        host, port = self.settings.worker.web_host, self.settings.worker.web_port
        state_directory(self.settings)
        registry, health = self.metrics.registry, self.health
        async with serve(host, port, registry, health.unhealthy, health.unready, self._refresh) as self.web_port:
            logger.info("metrics and health on http://%s:%d", host, self.web_port)
            waiting = asyncio.create_task(stop.wait())
            self._parts.append(self._guard(self._start(), "start"))
            try:
                await asyncio.wait([waiting, failed], return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._stopping()
                await self._end(self._parts[:1])  # or it might start something yet
                await self._stop_runners(list(self._tasks))
                await self.app.stop()
                await self._end([waiting, *self._parts])
                self._compute.close()
        if failed.done():
            failed.result()

    async def _start(self) -> None:
        """Wait for the brokers, and start everything that needs them."""
        await self._wait.over(self._prepare)
        self._parts += [
            self._guard(self.feed.run(), "read model"),
            self._guard(self._probe.run(), "probe"),
            self._guard(self._watchdog.run(), "watchdog"),
            self._guard(self._run_faust(), "faust"),
        ]

    async def _refresh(self) -> None:
        async with self._compute.turn():
            self._gauges.refresh()

    async def _run_faust(self) -> None:
        await self._compute.run(self._before_joining)
        self._membership.ask()
        await asyncio.gather(self.app.start(), self._compute.run(self._while_joining))
        await self.app.wait_until_stopped()
        reason = self.app.crash_reason
        if reason is not None:
            raise reason

    def _guard(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a part of the worker in a task; if it raises anything, the worker fails with that."""

        def done(task: asyncio.Task[None]) -> None:
            if task in self._ending:
                self._ending.discard(task)
                return
            error = RuntimeError(f"{name} was cancelled by nobody") if task.cancelled() else task.exception()
            if error is not None and self._failed is not None and not self._failed.done():
                logger.error("%s failed: %s", name, error)
                self._failed.set_exception(error)

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(done)
        return task

    async def _end(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        tasks = [task for task in tasks if not task.done()]
        self._ending.update(tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---------------------------------------------------------------- agents and assignment

    def _add_agent(self, plane: Plane[Any]) -> None:
        topic = self.app.topic(*plane.source_topics, schema=BatchSchema(), internal=False)

        async def deliver(stream: Any) -> None:
            async for event in stream.noack().events():
                runner = self.runners.get((plane.name, event.message.partition))
                if runner is not None:
                    runner.deliver(event.value, partial(self._acknowledge, event.message))

        self.app.agent(topic, name=f"nearstream.{plane.name}", concurrency=1)(deliver)

    def _acknowledge(self, message: Any) -> None:
        consumer = self.app.consumer
        if message.generation_id == self.app.consumer_generation_id:
            consumer.ack(message)

    async def _on_assigned(self, _: Any, assigned: set[TP], **_kwargs: Any) -> None:
        """Let go of the partitions that went to others, take over those that are new, and go on with the rest.

        Of a worker that missed a generation, another may have had its partitions in between: all are taken over anew.
        """
        wanted = {
            (plane.name, tp.partition): plane
            for plane in self.topology.planes
            for tp in sorted(assigned)
            if tp.topic in plane.source_topics
        }
        generation = self.app.consumer_generation_id
        missed, self._generation = generation != self._generation + 1, generation
        for name in [name for name in self._tasks if missed or name not in wanted]:
            self._let_go(name)
        for name, plane in wanted.items():
            if name in self.runners:
                self.runners[name].confirm()
            else:
                self._run_partition(plane, name[1])
        self._watchdog.forget()
        self._membership.join()

    def _run_partition(self, plane: Plane[Any], partition: int) -> None:
        worker, name = self.settings.worker, (plane.name, partition)
        interval = worker.commit_interval_ms if plane.name == "users" else worker.broadcast_interval_ms
        if plane.name == "campaigns":
            interval *= CAMPAIGNS_EVERY
        self.runners[name] = runner = PartitionRunner(
            self.settings, plane, partition, self._consumer, interval, self.metrics, self._stores, self._compute
        )
        before = self._leaving.get(name)

        async def run() -> None:
            if before is not None:
                await asyncio.wait([before])  # it has the store open
            await runner.run(self.feed.complete)

        self._tasks[name] = self._guard(run(), f"{plane.name}-{partition}")

    async def _on_revoked(self, *_: Any, **_kwargs: Any) -> None:
        """Go on with what was delivered until the group has decided: most partitions stay where they are.

        Whoever gets one of them fences the publisher that is at work here. Without transactions nothing would, so that
        all have to be let go of first; and so are those that are being taken over, as they would fence the next owner.
        """
        self._membership.leave()
        fencing = self.settings.worker.processing_guarantee == "exactly_once"
        for runner in self.runners.values():
            runner.doubt()
        await self._stop_runners([name for name, runner in self.runners.items() if not fencing or not runner.processor])

    def _let_go(self, name: tuple[str, int]) -> None:
        """Cancel a runner, whatever it is doing, without waiting until it has let go of its partition."""
        task = self._tasks.pop(name)
        self.runners.pop(name, None)
        self._ending.add(task)
        task.cancel()
        self._leaving[name] = task
        task.add_done_callback(lambda done: self._leaving.get(name) is done and self._leaving.pop(name))

    async def _stop_runners(self, names: Sequence[tuple[str, int]]) -> None:
        """Cancel runners, and wait until these and all that were let go of before have let go of their partitions."""
        for name in names:
            self._let_go(name)
        if self._leaving:
            await asyncio.wait(list(self._leaving.values()))

    # ---------------------------------------------------------------- the consumer, as runners see it

    async def _seek(self, topic: str, partition: int, offset: int) -> None:
        try:
            await self.app.consumer.seek_wait({TP(topic, partition): offset})
        except IllegalStateError:
            # It went to another worker just now: the runner is about to be told.
            if TP(topic, partition) in self.app.consumer.assignment():
                raise

    async def _beginning(self, topic: str, partition: int) -> int:
        tp = TP(topic, partition)
        offsets = await self.app.consumer.earliest_offsets(tp)
        return int(next(iter(offsets.values())))

    async def _end_of_log(self, topic: str, partition: int) -> int:
        tp = TP(topic, partition)
        offsets = await self.app.consumer.highwaters(tp)
        return int(next(iter(offsets.values())))

    def _pause(self, topic: str, partition: int) -> None:
        self.app.consumer.pause_partitions({TP(topic, partition)})

    def _resume(self, topic: str, partition: int) -> None:
        tp = TP(topic, partition)
        if tp in self.app.consumer.assignment():
            self.app.consumer.resume_partitions({tp})
