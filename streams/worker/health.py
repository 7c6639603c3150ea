"""What a worker says of itself: lag and progress of its partitions, gauges, health, readiness; and the watchdog."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic, time
from typing import Protocol, cast

from faust.types import TP

from processors.models.exploration_rate import PARTS
from streams.engine.topology import Topology
from streams.kafka.faust_transport import BatchConsumer
from streams.settings.sections import Settings
from streams.worker.ad_metrics import refresh_ads
from streams.worker.broker_probe import BrokerProbe
from streams.worker.faust_app import FaustApp
from streams.worker.metrics import Metrics
from streams.worker.read_model_feed import ReadModelFeed
from streams.worker.rule_warnings import RuleWarnings
from streams.worker.runner import PartitionRunner

logger = logging.getLogger(__name__)

_WATCH_INTERVAL_S = 2.0
_STALL_S = 10.0
_STUCK_S = 30.0
_LATE_S = 0.5


class Watched(Protocol):
    """The parts of a worker that are watched."""

    settings: Settings
    topology: Topology
    metrics: Metrics
    reader: ReadModelFeed
    contact: BrokerProbe
    runners: dict[tuple[str, int], PartitionRunner]
    app: FaustApp


class Health:
    """Watches over a worker.

    Parameters
    ----------
    worker
        Whose partitions, read model and contact with the brokers are watched.
    """

    def __init__(self, worker: Watched) -> None:
        self._worker = worker
        self._progress: dict[TP, tuple[int, float]] = {}
        self._reread_at: dict[TP, float] = {}
        self._in_group = False
        self._busy_at = self._silent_at = 0.0
        self._rules = RuleWarnings(worker.topology.users.read.rules, worker.topology.index)

    def joined(self) -> None:
        """Note that the group has assigned partitions."""
        self._progress.clear()
        self._reread_at.clear()
        self._in_group = True

    def left(self) -> None:
        """Note that the group takes the partitions back."""
        self._in_group = False

    async def watch(self) -> None:
        """Look for partitions that stand still while their log goes on, and have them read again."""
        while True:
            asleep_since = monotonic()
            await asyncio.sleep(_WATCH_INTERVAL_S)
            self.woke(late_s=monotonic() - asleep_since - _WATCH_INTERVAL_S)
            for tp, lag in self.lags().items():
                await self._look_at(tp, lag)

    def woke(self, late_s: float) -> None:
        """Note how late the watchdog woke: while a worker is busy its records wait in line, and none are lost."""
        if late_s > _LATE_S:
            self._busy_at = monotonic()

    async def _look_at(self, tp: TP, lag: int) -> None:
        offset, now = self._offset(tp) or 0, monotonic()
        known, since = self._progress.get(tp, (-1, now))
        if offset != known or lag == 0:
            self._progress[tp] = offset, now
            return
        if self._worker.contact.problem:
            self._silent_at = now
        since = max(since, self._busy_at, self._silent_at)
        runner = self._runner(tp)
        # To read again is no progress: what does not help must show in the end.
        if runner is None or now - max(since, self._reread_at.get(tp, since)) <= _STALL_S:
            return
        self._reread_at[tp] = now
        begun = runner.publishing_since
        if begun is not None and now - max(begun, since) > _STUCK_S:
            runner.give_up_publishing()
            return
        if not runner.idle:
            logger.warning("%s[%d] stands at %d with %d records to go: %s", *tp, offset, lag, runner.activity)
            return
        logger.warning("%s[%d] stands at %d with %d records to go; reading it again", *tp, offset, lag)
        try:
            async with asyncio.timeout(_STALL_S):
                await runner.reseek()
        except TimeoutError:
            # Another partition may be in need of this watchdog, and this one is looked at again.
            logger.warning("%s[%d] could not be read again: no answer from the brokers in %.0f s", *tp, _STALL_S)

    def _runner(self, tp: TP) -> PartitionRunner | None:
        for plane in self._worker.topology.planes:
            if tp.topic in plane.source_topics:
                return self._worker.runners.get((plane.name, tp.partition))
        return None

    def _offset(self, tp: TP) -> int | None:
        runner = self._runner(tp)
        if runner is None or runner.processor is None:
            return None
        return runner.processor.position.offsets.get(tp.topic)

    def lags(self) -> dict[TP, int]:
        """Records not applied yet, per assigned partition that is restored."""
        consumer = cast(BatchConsumer, self._worker.app.consumer)
        lags: dict[TP, int] = {}
        for tp in list(consumer.assignment()):
            offset, end = self._offset(tp), consumer.end(tp)
            if offset is None or end is None:
                continue
            start, stop = consumer.recordless.get(tp, (0, 0))
            if start <= offset < stop:
                offset = stop
            lags[tp] = max(0, end - offset)
        return lags

    def refresh(self) -> None:
        """Bring the gauges up to date."""
        metrics, now = self._worker.metrics, monotonic()
        # Partitions that went elsewhere must not linger with their last figures.
        for gauge in (metrics.lag, metrics.commit_age, metrics.store_bytes, metrics.store_memory):
            gauge.clear()
        for tp, lag in self.lags().items():
            metrics.lag.labels(tp.topic, str(tp.partition)).set(lag)
        ready = dict.fromkeys((plane.name for plane in self._worker.topology.planes), 0)
        for (plane, partition), runner in self._worker.runners.items():
            if runner.processor is not None:
                ready[plane] += 1
                metrics.commit_age.labels(plane, str(partition)).set(now - runner.committed_at)
                store = runner.processor.store
                metrics.store_bytes.labels(plane, str(partition)).set(store.size_bytes())
                metrics.store_memory.labels(plane, str(partition)).set(store.memory_bytes())
        for plane, n in ready.items():
            metrics.assigned.labels(plane).set(n)
        metrics.read_model_items.set(len(self._worker.topology.index))
        metrics.read_model_evictions.set(self._worker.topology.index.evictions)
        metrics.read_model_age.set(max(0.0, time() - self._worker.reader.changed_at))
        self._refresh_ranker()
        self._refresh_rules()
        self._refresh_groups()
        refresh_ads(metrics, self._worker.topology.users.ads, self._worker.settings.worker.campaign_metrics)
        metrics.broker_silence.set(self._worker.contact.silent_s)
        metrics.ready.set(0 if self.unready() else 1)

    def _refresh_rules(self) -> None:
        # Half a read model would have rules look as if they matched nothing.
        if self._worker.reader.complete.is_set():
            for state, count in self._rules.look(int(time() * 1000)).items():
                self._worker.metrics.rules.labels(state).set(count)

    def _refresh_groups(self) -> None:
        gauge = self._worker.metrics.groups
        gauge.clear()  # a group's top category changes, and its old series must not stay
        for number, view in enumerate(self._worker.topology.users.read.groups.views):
            gauge.labels(str(number), view.labels[0] if view.labels else "").set(view.share)

    def _refresh_ranker(self) -> None:
        self._worker.metrics.refresh_quality()
        metrics, view = self._worker.metrics, self._worker.topology.users.read.weights.view
        metrics.ranker_fallback.set(1 if view is None or view.fallback else 0)
        metrics.exploration.set(PARTS[self._worker.topology.users.read.weights.arm])
        self._refresh_exposure()
        if view is not None:
            metrics.ranker_examples.set(view.examples)
            metrics.ranker_loss.set(view.loss)
            metrics.ranker_gain.labels("learned").set(view.gain)
            metrics.ranker_gain.labels("covisitation").set(view.plain_gain)
            metrics.ranker_alarms.set(view.alarms)
            metrics.ranker_rollbacks.set(view.rollbacks)

    def _refresh_exposure(self) -> None:
        metrics, rules = self._worker.metrics, self._worker.topology.users.read.rules
        gauges = metrics.exposure_share, metrics.exposure_offset, metrics.exposure_min, metrics.exposure_max
        for gauge in gauges:
            gauge.clear()  # a rule that was withdrawn must leave no series behind
        for rule, exposure in rules.exposure.items():
            bounds = rules.exposure_bounds(rule)
            if bounds is not None:
                for gauge, figure in zip(gauges, (exposure.share, exposure.offset, *bounds), strict=True):
                    gauge.labels(rule).set(figure)

    def unready(self) -> dict[str, str]:
        """What keeps the worker from being ready.

        No answer from the brokers, not in the group, partitions being restored, read model incomplete. A worker that
        the group has no partitions for is ready: it stands by.
        """
        problems = {"brokers": silence} if (silence := self._worker.contact.problem) else {}
        if not self._worker.reader.complete.is_set():
            problems["read model"] = "still being read"
        if not self._in_group:
            problems["group"] = "not joined yet"
        for (plane, partition), runner in self._worker.runners.items():
            if runner.processor is None:
                problems[f"{plane}-{partition}"] = "being restored"
        return problems

    def unhealthy(self) -> dict[str, str]:
        """What has not been well for longer than a worker may take to get over it.

        Partitions that have work and make no progress, or that are not taken over; silent brokers.
        """
        limit = self._worker.settings.worker.stalled_after_s
        now = monotonic()
        lagging = {tp for tp, lag in self.lags().items() if lag > 0}
        contact = self._worker.contact
        problems = {"brokers": silence} if contact.silent_s > limit and (silence := contact.problem) else {}
        for (plane, partition), runner in self._worker.runners.items():
            if runner.processor is None and now - runner.moved_at > limit:
                problems[f"{plane}-{partition}"] = f"not taken over for {now - runner.moved_at:.0f} s"
        for tp in lagging:
            owner = self._runner(tp)
            if owner is not None and now - owner.committed_at > limit:
                known = self._progress.get(tp)
                if known is not None and now - known[1] > limit:
                    problems[f"{tp.topic}[{tp.partition}]"] = f"no progress for {now - owner.committed_at:.0f} s"
        return problems
