"""Bring the gauges of a worker up to date, right before Prometheus reads them."""

from __future__ import annotations

from time import monotonic, time

from processors.models.exploration_rate import PARTS
from streams.engine.topology import Topology
from streams.worker.broker_probe import BrokerProbe
from streams.worker.health import Health
from streams.worker.lags import Lags, Runners
from streams.worker.metrics import Metrics
from streams.worker.read_model_feed import ReadModelFeed
from streams.worker.rule_warnings import RuleWarnings
from streams.worker.standby import Standby


class Gauges:
    """Copies figures of a worker's parts to its gauges.

    Parameters
    ----------
    metrics
        Has the gauges.
    topology
        Has the planes and their read models.
    runners, lags
        What the worker runs now, and how far that is behind.
    feed
        Knows when the read models last changed and whether they are complete.
    probe
        Knows for how long the brokers have been silent.
    health
        Knows whether the worker is ready.
    named_campaigns
        How many campaigns may have a series with their id as label.
    standby
        Knows how far the copies of other workers' partitions are behind.
    """

    def __init__(
        self,
        metrics: Metrics,
        topology: Topology,
        runners: Runners,
        lags: Lags,
        feed: ReadModelFeed,
        probe: BrokerProbe,
        health: Health,
        named_campaigns: int,
        standby: Standby,
    ) -> None:
        self._metrics, self._topology, self._runners, self._lags = metrics, topology, runners, lags
        self._feed, self._probe, self._health = feed, probe, health
        self._named_campaigns, self._standby = named_campaigns, standby
        self._rule_warnings = RuleWarnings(topology.users.read.rules, topology.index)

    def refresh(self) -> None:
        """Set all gauges. The caller must hold the turn of the compute thread, since read models are looked at."""
        self._refresh_partitions()
        self._refresh_read_models()
        self._refresh_ranker()
        self._refresh_rules()
        self._refresh_exposure()
        self._metrics.quality.refresh()
        self._metrics.ads.refresh(self._topology.users.ads, self._named_campaigns, int(time() * 1000))
        self._metrics.broker_silence.set(self._probe.silent_s)
        self._metrics.ready.set(0 if self._health.unready() else 1)

    def _refresh_partitions(self) -> None:
        gauges, now = self._metrics.partitions, monotonic()
        for gauge in (gauges.lag, gauges.commit_age, gauges.store_bytes, gauges.store_memory, gauges.store_decoded):
            gauge.clear()  # partitions that went elsewhere must not stay with their last figures
        for tp, lag in self._lags.now().items():
            gauges.lag.labels(tp.topic, str(tp.partition)).set(lag)
        owned = dict.fromkeys((plane.name for plane in self._topology.planes), 0)
        for (plane, partition), runner in self._runners.items():
            if runner.processor is not None:
                owned[plane] += 1
                gauges.commit_age.labels(plane, str(partition)).set(now - runner.committed_at)
                store = runner.processor.store
                gauges.store_bytes.labels(plane, str(partition)).set(store.size_bytes())
                gauges.store_memory.labels(plane, str(partition)).set(store.memory_bytes())
                gauges.store_decoded.labels(plane, str(partition)).set(store.decoded_bytes)
        copies = self._standby.counts()
        for plane, n in owned.items():
            gauges.assigned.labels(plane).set(n)
            gauges.standby.labels(plane).set(copies[plane])
            gauges.standby_behind.labels(plane).set(self._standby.behind[plane])

    def _refresh_read_models(self) -> None:
        gauges, index = self._metrics.read_models, self._topology.index
        gauges.items.set(len(index))
        gauges.evictions.set(index.evictions)
        gauges.age.set(max(0.0, time() - self._feed.changed_at))
        gauges.groups.clear()  # a group's top category changes, and its old series must not stay
        for number, view in enumerate(self._topology.users.read.groups.views):
            gauges.groups.labels(str(number), view.labels[0] if view.labels else "").set(view.share)

    def _refresh_ranker(self) -> None:
        gauges, weights = self._metrics.ranker, self._topology.users.read.weights
        view = weights.view
        gauges.fallback.set(1 if view is None or view.fallback else 0)
        gauges.exploration.set(PARTS[weights.arm])
        if view is not None:
            gauges.examples.set(view.examples)
            gauges.loss.set(view.loss)
            gauges.gain.labels("learned").set(view.gain)
            gauges.gain.labels("covisitation").set(view.plain_gain)
            gauges.alarms.set(view.alarms)
            gauges.rollbacks.set(view.rollbacks)
            gauges.missed.set(view.missed)
            gauges.miss_alarms.set(view.miss_alarms)

    def _refresh_rules(self) -> None:
        # Before the read models are complete, rules would look as if they matched no item.
        if self._feed.complete.is_set():
            for state, count in self._rule_warnings.look(int(time() * 1000)).items():
                self._metrics.rules.states.labels(state).set(count)

    def _refresh_exposure(self) -> None:
        metrics, rules = self._metrics.rules, self._topology.users.read.rules
        gauges = metrics.share, metrics.offset, metrics.minimum, metrics.maximum
        for gauge in gauges:
            gauge.clear()  # a rule that was withdrawn must leave no series behind
        for rule, exposure in rules.exposure.items():
            bounds = rules.exposure_bounds(rule)
            if bounds is not None:
                for gauge, figure in zip(gauges, (exposure.share, exposure.offset, *bounds), strict=True):
                    gauge.labels(rule).set(figure)
