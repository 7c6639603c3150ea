"""The worker: a Faust app whose agents hand micro-batches to one runner per partition.

A record's way: Faust's consumer (:mod:`streams.transport`) fetches it as part of a batch → the plane's agent gives the
batch to the partition's :class:`streams.runner.PartitionRunner` → the runner folds it in (:mod:`streams.partition`) and
publishes what came of it (:mod:`streams.publisher`) → the read model hears of changed items (:mod:`streams.broadcast`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import Any, cast

from faust.types import TP

from processors.errors import ConfigurationError
from processors.plane import Plane
from streams.app import FaustApp
from streams.broadcast import BroadcastReader
from streams.metrics import Metrics
from streams.runner import PartitionRunner, SourceControl
from streams.settings import Settings
from streams.topology import Topology, build_topology
from streams.transport import BatchConsumer, BatchSchema
from streams.web import serve

logger = logging.getLogger(__name__)

_WATCH_INTERVAL_S = 2.0
_STALL_S = 10.0


class Worker:
    """One worker process.

    Parameters
    ----------
    settings
        All settings. Topics must exist (:func:`streams.topics.ensure_topics`).
    topology
        By default the production wiring.
    """

    def __init__(self, settings: Settings, topology: Topology | None = None) -> None:
        self.settings = settings
        self.topology = topology or build_topology(settings)
        self.metrics = Metrics()
        self.reader = BroadcastReader(settings, self.topology.index)
        self.runners: dict[tuple[str, int], PartitionRunner] = {}
        self.web_port = 0
        self._tasks: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._progress: dict[TP, tuple[int, float]] = {}
        self._joined = False
        self._failed: asyncio.Future[None] | None = None
        self.app = FaustApp(settings)
        self._source = SourceControl(self._seek, self._beginning, self._pause, self._resume)
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
            Whatever a step, the brokers or the state raised: the process must end without acknowledging. What was
            not committed is done again by whoever takes the partitions over.
        """
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        worker = self.settings.worker
        _make_directory(worker.state_dir)
        reading = self._guard(self.reader.run(), "read model")
        watching = self._guard(self._watch(), "watchdog")
        async with serve(
            worker.web_host,
            worker.web_port,
            self.metrics.registry,
            self.unhealthy,
            self.unready,
            self.refresh,
        ) as self.web_port:
            logger.info("metrics and health on http://%s:%d", worker.web_host, self.web_port)
            starting = self._guard(self._run_faust(), "faust")
            waiting = asyncio.create_task(stop.wait())
            ends: set[asyncio.Future[Any]] = {waiting, self._failed}
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                await self._stop_runners(list(self._tasks))
                await self.app.stop()
                for task in (starting, watching, reading):
                    task.cancel()
                await asyncio.gather(starting, watching, reading, return_exceptions=True)
        if self._failed.done():
            self._failed.result()

    async def _run_faust(self) -> None:
        await self.app.start()
        await self.app.wait_until_stopped()
        reason = self.app.crash_reason
        if reason is not None:
            raise reason

    def _guard(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a part of the worker; if it fails, the worker fails."""

        def done(task: asyncio.Task[None]) -> None:
            if task.cancelled() or task.exception() is None:
                return
            logger.error("%s failed", name, exc_info=task.exception())
            if self._failed is not None and not self._failed.done():
                self._failed.set_exception(task.exception() or RuntimeError(name))

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(done)
        return task

    # ---------------------------------------------------------------- agents and assignment

    def _add_agent(self, plane: Plane[Any]) -> None:
        topic = self.app.topic(*plane.source_topics, schema=BatchSchema(), internal=False)

        async def hand_over(stream: Any) -> None:
            async for event in stream.noack().events():
                runner = self.runners.get((plane.name, event.message.partition))
                if runner is not None:
                    runner.deliver(event.value, partial(self._acknowledge, event.message))

        self.app.agent(topic, name=f"nearstream.{plane.name}", concurrency=1)(hand_over)

    def _acknowledge(self, message: Any) -> None:
        consumer = self.app.consumer
        if message.generation_id == self.app.consumer_generation_id:
            consumer.ack(message)

    async def _on_assigned(self, _: Any, assigned: set[TP], **_kwargs: Any) -> None:
        await self._stop_runners(list(self._tasks))
        worker = self.settings.worker
        for plane in self.topology.planes:
            partitions = {tp.partition for tp in assigned if tp.topic in plane.source_topics}
            interval = worker.commit_interval_ms if plane.name == "users" else worker.broadcast_interval_ms
            for partition in sorted(partitions):
                name = plane.name, partition
                runner = PartitionRunner(self.settings, plane, partition, self._source, interval, self.metrics)
                self.runners[name] = runner
                self._tasks[name] = self._guard(runner.run(self.reader.complete), f"{plane.name}-{partition}")
        self._progress.clear()
        self._joined = True

    async def _on_revoked(self, *_: Any, **_kwargs: Any) -> None:
        self._joined = False
        await self._stop_runners(list(self._tasks))

    async def _stop_runners(self, names: list[tuple[str, int]]) -> None:
        """Stop runners wherever they are. A transaction cut short here is aborted, and its batch done again."""
        stopped = [self._tasks.pop(name) for name in names]
        for name in names:
            self.runners.pop(name, None)
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)

    # ---------------------------------------------------------------- the consumer, as runners see it

    async def _seek(self, topic: str, partition: int, offset: int) -> None:
        await self.app.consumer.seek_wait({TP(topic, partition): offset})

    async def _beginning(self, topic: str, partition: int) -> int:
        tp = TP(topic, partition)
        offsets = await self.app.consumer.earliest_offsets(tp)
        return int(next(iter(offsets.values())))

    def _pause(self, topic: str, partition: int) -> None:
        self.app.consumer.pause_partitions({TP(topic, partition)})

    def _resume(self, topic: str, partition: int) -> None:
        tp = TP(topic, partition)
        if tp in self.app.consumer.assignment():
            self.app.consumer.resume_partitions({tp})

    # ---------------------------------------------------------------- watching

    async def _watch(self) -> None:
        """Look for partitions that stand still while their log goes on, and have them read again."""
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            for tp, lag in self.lags().items():
                offset = self._offset(tp) or 0
                known, since = self._progress.get(tp, (-1, monotonic()))
                if offset != known or lag == 0:
                    self._progress[tp] = offset, monotonic()
                elif monotonic() - since > _STALL_S and (runner := self._runner(tp)) and runner.idle:
                    logger.warning("%s[%d] stands at %d with %d records to go; reading it again", *tp, offset, lag)
                    self._progress[tp] = offset, monotonic()
                    await runner.reseek()

    def _runner(self, tp: TP) -> PartitionRunner | None:
        for plane in self.topology.planes:
            if tp.topic in plane.source_topics:
                return self.runners.get((plane.name, tp.partition))
        return None

    def _offset(self, tp: TP) -> int | None:
        runner = self._runner(tp)
        if runner is None or runner.processor is None:
            return None
        return runner.processor.position.offsets.get(tp.topic)

    def lags(self) -> dict[TP, int]:
        """Records not applied yet, per assigned partition that is restored."""
        consumer = cast(BatchConsumer, self.app.consumer)
        lags: dict[TP, int] = {}
        for tp in list(consumer.assignment()):
            offset, end = self._offset(tp), cast("int | None", consumer.highwater(tp))
            if offset is None or end is None:
                continue
            runner = self._runner(tp)
            covered = consumer.covered.get(tp, 0)
            if runner is not None and runner.idle and covered >= end:
                offset = max(offset, covered)  # what is left up to there are markers
            lags[tp] = max(0, end - offset)
        return lags

    def refresh(self) -> None:
        """Bring the gauges up to date."""
        metrics, now = self.metrics, monotonic()
        # Partitions that went elsewhere must not linger with their last figures.
        for gauge in (metrics.lag, metrics.commit_age, metrics.store_bytes):
            gauge.clear()
        for tp, lag in self.lags().items():
            metrics.lag.labels(tp.topic, str(tp.partition)).set(lag)
        ready = dict.fromkeys((plane.name for plane in self.topology.planes), 0)
        for (plane, partition), runner in self.runners.items():
            if runner.processor is not None:
                ready[plane] += 1
                metrics.commit_age.labels(plane, str(partition)).set(now - runner.committed_at)
                metrics.store_bytes.labels(plane, str(partition)).set(runner.processor.store.size_bytes())
        for plane, n in ready.items():
            metrics.assigned.labels(plane).set(n)
        metrics.read_model_items.set(len(self.topology.index))
        metrics.read_model_evictions.set(self.topology.index.evictions)
        metrics.read_model_age.set(max(0.0, time() - self.reader.changed_at))
        metrics.ready.set(0 if self.unready() else 1)

    def unready(self) -> dict[str, str]:
        """What keeps the worker from being ready: not in the group, partitions being restored, read model incomplete.

        A worker that the group has no partitions for is ready: it stands by.
        """
        problems = {}
        if not self.reader.complete.is_set():
            problems["read model"] = "still being read"
        if not self._joined:
            problems["group"] = "not joined yet"
        for (plane, partition), runner in self.runners.items():
            if runner.processor is None:
                problems[f"{plane}-{partition}"] = "being restored"
        return problems

    def unhealthy(self) -> dict[str, str]:
        """Partitions that have work and make no progress."""
        limit = self.settings.worker.stalled_after_s
        now = monotonic()
        lagging = {tp for tp, lag in self.lags().items() if lag > 0}
        problems = {}
        for tp in lagging:
            runner = self._runner(tp)
            if runner is not None and now - runner.committed_at > limit:
                known = self._progress.get(tp)
                if known is not None and now - known[1] > limit:
                    problems[f"{tp.topic}[{tp.partition}]"] = f"no progress for {now - runner.committed_at:.0f} s"
        return problems


def _make_directory(state_dir: str) -> None:
    try:
        Path(state_dir).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"worker.state_dir: {state_dir} cannot be made: {error.strerror}") from error
