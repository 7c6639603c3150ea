"""The metrics of a worker, in groups: names in base units, no ids of users or items in labels.

Two groups that are filled from one kind of thing have files of their own, with the code that fills them:
:mod:`streams.worker.step_metrics` and :mod:`streams.worker.ad_metrics`. The gauges of the groups here are set by
:mod:`streams.worker.gauges`, the counters where what they count happens.
"""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from processors.evaluation.live_quality import LiveQuality
from processors.planes.campaigns import CampaignsStep
from processors.planes.users_step import UsersStep
from streams.engine.partition import Prepared
from streams.kafka.publisher import Appended
from streams.worker.ad_metrics import AdMetrics
from streams.worker.metric_factory import MetricFactory
from streams.worker.step_metrics import StepMetrics, StepSeconds

_QUALITY_TEXTS = {
    "hit_rate": (
        "Share of choices whose item was among the first so many of the slate last published, lately.",
        ("placement", "user", "depth"),
    ),
    "reciprocal_rank": (
        "Mean reciprocal rank of the item chosen in the slate last published, lately.",
        ("placement", "user"),
    ),
    "calibration": ("What the ranker expected of its first candidate over what came true.", ("head",)),
    "coverage": ("Distinct items per position of the slates, lately.", ("placement",)),
    "inequality": (
        "Gini coefficient of how often items were shown, among those shown at all, lately.",
        ("placement",),
    ),
    "novelty": ("Mean self-information of the items shown, in bits, lately.", ("placement",)),
    "diversity": ("Share of pairs in a slate that are of different categories, lately.", ("placement",)),
}


class Metrics:
    """All metrics of a worker, in a registry of its own.

    Attributes
    ----------
    registry : CollectorRegistry
        What ``/metrics`` shows.
    broker_silence, ready : Gauge
        Figures of the worker as a whole: seconds without an answer, and 1 while it is ready.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.steps.events.labels(topic="events.click.v1", outcome="accepted").inc(3)
    >>> metrics.registry.get_sample_value(
    ...     "nearstream_events_total", {"topic": "events.click.v1", "outcome": "accepted"}
    ... )
    3.0
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        factory = MetricFactory(self.registry)
        self.steps = StepMetrics(factory)
        self.partitions = PartitionMetrics(factory)
        self.read_models = ReadModelMetrics(factory)
        self.ranker = RankerMetrics(factory)
        self.rules = RuleMetrics(factory)
        self.ads = AdMetrics(factory)
        self.quality = QualityMetrics(factory)
        self.broker_silence = factory.gauge(
            "broker_silence_seconds", "Seconds without an answer from the brokers; 0 if they do."
        )
        self.ready = factory.gauge("ready", "1 if the worker is ready: partitions restored, read model complete.")

    def count_step(
        self, plane: str, prepared: Prepared[Any], seconds: StepSeconds, recommended: Appended | None
    ) -> None:
        """Count a step of a plane that is published and stored.

        Parameters are those of :meth:`streams.worker.step_metrics.StepMetrics.count`.
        """
        self.steps.count(plane, prepared, seconds, recommended)
        step = prepared.step
        if isinstance(step, UsersStep):
            self.quality.live.take(step.quality)
            for behaviour, n in step.unlearned.items():
                self.ranker.unlearned.labels(behaviour).inc(n)
            for stage, n in step.removed.items():
                self.ranker.removed.labels(stage).inc(n)
            self.ads.count(step.decisions, step.delays)
        if isinstance(step, CampaignsStep):
            self.ads.count_folded(step.folded)


class PartitionMetrics:
    """How partitions are delivered, restored, applied and stored."""

    def __init__(self, factory: MetricFactory) -> None:
        self.repeated = factory.counter("repeated_records", "Records dropped by fence or chain.", "plane")
        self.gaps = factory.counter(
            "delivery_gaps", "Batches given back because records before them were missing.", "plane"
        )
        self.lost = factory.counter(
            "lost_records", "Offsets of the apps' topics that retention deleted before they were read.", "topic"
        )
        self.chain_breaks = factory.counter("chain_breaks", "Chained messages whose predecessor never came.", "plane")
        self.lag = factory.gauge("lag_records", "Records of a topic-partition not applied yet.", "topic", "partition")
        self.commit_age = factory.gauge(
            "commit_age_seconds", "Seconds since a partition last committed.", "plane", "partition"
        )
        self.store_bytes = factory.gauge("store_bytes", "Size of a partition store.", "plane", "partition")
        self.store_memory = factory.gauge(
            "store_memory_bytes", "Memory of a partition store: caches, memtables, indexes.", "plane", "partition"
        )
        self.store_decoded = factory.gauge(
            "store_decoded_bytes", "Encoded size of the states that a store keeps decoded.", "plane", "partition"
        )
        self.restored = factory.counter("restored_records", "Changelog records read to restore stores.", "plane")
        self.restore_seconds = factory.gauge(
            "restore_seconds", "Seconds the last restore of a partition took.", "plane", "partition"
        )
        self.standby = factory.gauge(
            "standby_partitions", "Partitions of other workers that this worker keeps a copy of.", "plane"
        )
        self.standby_behind = factory.gauge(
            "standby_behind_records", "Changelog records that copies of other workers' partitions lack.", "plane"
        )
        self.assigned = factory.gauge("assigned_partitions", "Partitions this worker owns and has restored.", "plane")


class ReadModelMetrics:
    """Size and age of what every worker holds in memory."""

    def __init__(self, factory: MetricFactory) -> None:
        self.items = factory.gauge("read_model_items", "Items in the read model.")
        self.evictions = factory.gauge("read_model_evictions", "Items evicted from the read model so far.")
        self.age = factory.gauge("read_model_age_seconds", "Seconds since the read model last changed.")
        self.groups = factory.gauge(
            "interest_group_share",
            "Share of users in an interest group, by number and top category.",
            "group",
            "category",
        )


class RankerMetrics:
    """How well the ranker learns, and whether its weights are in use."""

    def __init__(self, factory: MetricFactory) -> None:
        self.examples = factory.gauge("ranker_examples", "Examples the ranker has learned from so far.")
        self.loss = factory.gauge("ranker_loss", "Mean negative log-likelihood of the item chosen, lately.")
        self.gain = factory.gauge(
            "ranker_reciprocal_rank", "Mean reciprocal rank of the item chosen, lately, by what ranks.", "order"
        )
        self.fallback = factory.gauge(
            "ranker_fallback", "1 if slates are ranked by co-visitation, not by what is learned."
        )
        self.alarms = factory.gauge("ranker_drift_alarms", "Drift alarms of the ranker so far.")
        self.missed = factory.gauge(
            "ranker_missed_share", "Share of choices of users with a history that were not in the first 20, lately."
        )
        self.miss_alarms = factory.gauge("ranker_miss_alarms", "Times that the share of misses has risen so far.")
        self.rollbacks = factory.gauge("ranker_rollbacks", "Times the ranker's weights went back to good ones so far.")
        self.exploration = factory.gauge(
            "exploration_part", "Part of the share allowed for exploration that is in use."
        )
        self.unlearned = factory.counter(
            "unlearned_events", "Events of users who behave like machines: nothing was learned from them.", "behaviour"
        )
        self.removed = factory.counter(
            "candidates_removed", "Candidates that a stage of the ranking removed, over all placements.", "stage"
        )


class RuleMetrics:
    """Business rules, and the exposure that some of them bound."""

    def __init__(self, factory: MetricFactory) -> None:
        self.states = factory.gauge(
            "rules", "Business rules known, in conflict with another, without an item they match, refused.", "state"
        )
        self.share = factory.gauge("exposure_share", "Share of positions that the items of a rule got lately.", "rule")
        self.minimum = factory.gauge("exposure_share_min", "Share of positions that they are to get at least.", "rule")
        self.maximum = factory.gauge("exposure_share_max", "Share of positions that they are to get at most.", "rule")
        self.offset = factory.gauge("exposure_offset", "What pushes the items of a rule towards its bounds.", "rule")


class QualityMetrics:
    """Quality of slates as users' choices show it.

    Attributes
    ----------
    live : LiveQuality
        What observations are added to; :meth:`refresh` copies its figures to the gauges.
    """

    def __init__(self, factory: MetricFactory) -> None:
        self.live = LiveQuality()
        self._gauges = {
            name: factory.gauge(f"quality_{name}", text, *labels) for name, (text, labels) in _QUALITY_TEXTS.items()
        }

    def refresh(self) -> None:
        """Set the gauges to the figures of now."""
        for (name, *labels), value in self.live.figures().items():
            self._gauges[name].labels(*labels).set(value)
