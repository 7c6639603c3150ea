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
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, cast

from faust.types import TP

from processors.planes.base import Plane
from streams.engine.topology import Topology, build_topology
from streams.kafka.faust_transport import BatchConsumer, BatchSchema
from streams.settings.sections import Settings
from streams.worker.broker_probe import BrokerProbe
from streams.worker.broker_wait import BrokerWait
from streams.worker.compute_thread import ComputeThread
from streams.worker.faust_app import FaustApp
from streams.worker.faust_control import control_of
from streams.worker.gauges import Gauges
from streams.worker.health import Health
from streams.worker.http import serve
from streams.worker.lags import Lags
from streams.worker.membership import Membership
from streams.worker.metrics import Metrics
from streams.worker.partitions import Partitions
from streams.worker.read_model_feed import ReadModelFeed
from streams.worker.runner import PartitionRunner
from streams.worker.standby import Standby
from streams.worker.stores import Stores
from streams.worker.topic_identity import state_directory
from streams.worker.watchdog import Watchdog

logger = logging.getLogger(__name__)

_ANNOUNCED_WITHIN_S = 0.5
_ASKED_AGAIN_AFTER_S = 5.0

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
    let_go
        Called when it has let go of all partitions, and only the clients of Kafka are left to be stopped.
    before_joining, while_joining
        Called in the compute thread: before it joins the group, and as it waits for partitions.
    served
        Called in a thread of its own before it joins: tells whether other workers run the partitions. It is asked again
        every 5 s as long as it says so and the read models are incomplete; :obj:`None` means that nobody can tell.
    """

    def __init__(
        self,
        settings: Settings,
        topology: Topology | None = None,
        prepare: Callable[[], object] = lambda: None,
        stopping: Callable[[], object] = lambda: None,
        let_go: Callable[[], object] = lambda: None,
        before_joining: Callable[[], None] = lambda: None,
        while_joining: Callable[[], None] = lambda: None,
        served: Callable[[], bool | None] = lambda: False,
    ) -> None:
        self.settings = settings
        self._prepare = prepare
        self._let_go = let_go
        self._stopping, self._before_joining, self._while_joining = stopping, before_joining, while_joining
        self._served = served
        self.topology = topology or build_topology(settings)
        self.metrics = Metrics()
        self._compute = ComputeThread()
        self.feed = ReadModelFeed(settings, self.topology, self._compute)
        self._probe = BrokerProbe(settings)
        self._wait = BrokerWait(settings.kafka)
        self.web_port = 0
        self._parts: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[Any]] = set()
        self._failed: asyncio.Future[None] | None = None
        self.app = FaustApp(settings)
        self._consumer = control_of(self.app)
        self._stores = Stores(settings)
        fencing = settings.worker.processing_guarantee == "exactly_once"
        self._partitions = Partitions(self._make_runner, self, self.feed.complete, fencing)
        self.runners = self._partitions.runners
        self.standby = Standby(settings, self.topology.planes, self._stores, self.runners, self.feed.complete)
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
            self.standby,
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
            self._parts.append(self.start(self._start(), "start"))
            try:
                await asyncio.wait([waiting, failed], return_when=asyncio.FIRST_COMPLETED)
            finally:
                logger.info("stopping")
                self._stopping()
                await self._end(self._parts[:1])  # or it might start something yet
                await self._partitions.stop()
                self._let_go()
                await self.app.stop()
                await self._end([waiting, *self._parts])
                self._compute.close()
        logger.info("stopped")
        if failed.done():
            failed.result()

    async def _start(self) -> None:
        """Wait for the brokers, and start everything that needs them."""
        await self._wait.over(self._prepare)
        self._parts += [
            self.start(self.feed.run(), "read model"),
            self.start(self._probe.run(), "probe"),
            self.start(self._watchdog.run(), "watchdog"),
            self.start(self._run_faust(), "faust"),
            self.start(self._announce(), "announcement"),
        ]
        if self.settings.worker.standby:
            self._parts.append(self.start(self.standby.run(), "standby"))

    async def _announce(self) -> None:
        """Say in the log when the worker has become ready, and again when it is with another number of partitions."""
        said = None
        while True:
            held = len(self.runners)
            if held != said and not self.health.unready():
                said = held
                logger.info("ready, with %d partitions", held)
            await asyncio.sleep(_ANNOUNCED_WITHIN_S)

    async def _refresh(self) -> None:
        async with self._compute.turn():
            self._gauges.refresh()

    async def _run_faust(self) -> None:
        await self._compute.run(self._before_joining)
        if await self._read_while_others_serve():
            await self._compute.run(self._while_joining)
            self._membership.ask()
            await self.app.start()
        else:
            self._membership.ask()
            await asyncio.gather(self.app.start(), self._compute.run(self._while_joining))
        await self.app.wait_until_stopped()
        reason = self.app.crash_reason
        if reason is not None:
            raise reason

    async def _read_while_others_serve(self) -> bool:
        """Wait until the read models are complete, and return True; False as soon as no other worker serves any more.

        Partitions that come here before would stand still until then; with others they do not. Those that nobody runs
        are better taken over meanwhile.
        """
        served = await asyncio.to_thread(self._served)
        if not served:
            return False
        while served is not False:
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASKED_AGAIN_AFTER_S):
                    await self.feed.completed()
                    return True
            served = await asyncio.to_thread(self._served)
        logger.info("no other worker serves any more: joining before the read models are complete")
        return False

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
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

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task of a part; whatever comes of it then is no failure."""
        if not task.done():
            self._ending.add(task)
            task.cancel()

    async def _end(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        tasks = [task for task in tasks if not task.done()]
        for task in tasks:
            self.cancel(task)
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
        planes = self.topology.planes
        wanted = {(p.name, tp.partition): p for p in planes for tp in sorted(assigned) if tp.topic in p.source_topics}
        self._partitions.assign(wanted, self.app.consumer_generation_id)
        self._watchdog.forget()
        self._membership.join()

    async def _on_revoked(self, *_: Any, **_kwargs: Any) -> None:
        self._membership.leave()
        await self._partitions.revoke()

    def _make_runner(self, plane: Plane[Any], partition: int) -> PartitionRunner:
        worker = self.settings.worker
        interval = worker.commit_interval_ms if plane.name == "users" else worker.broadcast_interval_ms
        if plane.name == "campaigns":
            interval *= CAMPAIGNS_EVERY
        return PartitionRunner(
            self.settings, plane, partition, self._consumer, interval, self.metrics, self._stores, self._compute
        )
