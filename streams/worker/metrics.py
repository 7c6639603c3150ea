"""What a worker tells Prometheus: one registry of its own, names in base units, no user or item ids in labels."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from processors.evaluation.live_quality import LiveQuality

_LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STEP_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

_DELAY_BUCKETS = (1, 5, 15, 60, 300, 900, 1800, 3600, 21_600, 86_400, 259_200, 604_800)

STEPS = ("prepare", "publish", "store")
"""What a micro-batch's time goes to: computing it, the Kafka transaction, the local write."""


class Metrics:
    """All metrics of a worker.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.events.labels(topic="events.click.v1", outcome="accepted").inc(3)
    >>> metrics.registry.get_sample_value(
    ...     "nearstream_events_total", {"topic": "events.click.v1", "outcome": "accepted"}
    ... )
    3.0
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"nearstream_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"nearstream_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"nearstream_{name}", text, labels, registry=registry, buckets=buckets)

        self.events = counter("events", "Source records by topic and outcome.", "topic", "outcome")
        self.dead_letters = counter("dead_letters", "Refused records by reason.", "reason")
        self.outputs = counter("outputs", "Records published, by topic.", "topic")
        self.repeated = counter("repeated_records", "Records dropped by fence or chain.", "plane")
        self.gaps = counter("delivery_gaps", "Batches given back because records before them were missing.", "plane")
        self.lost = counter(
            "lost_records", "Offsets of the apps' topics that retention deleted before they were read.", "topic"
        )
        self.chain_breaks = counter("chain_breaks", "Chained messages whose predecessor never came.", "plane")
        self.batch_records = histogram("batch_records", "Source records per micro-batch.", _SIZE_BUCKETS, "plane")
        self.step_seconds = histogram(
            "step_seconds", "Seconds per micro-batch and step.", _STEP_BUCKETS, "plane", "step"
        )
        self.latency = histogram(
            "event_to_recommendation_seconds",
            "From the append time of an event to the append time of its recommendation.",
            _LATENCY_BUCKETS,
        )
        self.lag = gauge("lag_records", "Records of a topic-partition not applied yet.", "topic", "partition")
        self.commit_age = gauge("commit_age_seconds", "Seconds since a partition last committed.", "plane", "partition")
        self.store_bytes = gauge("store_bytes", "Size of a partition store.", "plane", "partition")
        self.store_memory = gauge(
            "store_memory_bytes", "Memory of a partition store: caches, memtables, indexes.", "plane", "partition"
        )
        self.restored = counter("restored_records", "Changelog records read to restore stores.", "plane")
        self.restore_seconds = gauge(
            "restore_seconds", "Seconds the last restore of a partition took.", "plane", "partition"
        )
        self.read_model_items = gauge("read_model_items", "Items in the read model.")
        self.read_model_evictions = gauge("read_model_evictions", "Items evicted from the read model so far.")
        self.read_model_age = gauge("read_model_age_seconds", "Seconds since the read model last changed.")
        self.ranker_examples = gauge("ranker_examples", "Examples the ranker has learned from so far.")
        self.ranker_loss = gauge("ranker_loss", "Mean negative log-likelihood of the item chosen, lately.")
        self.ranker_gain = gauge(
            "ranker_reciprocal_rank", "Mean reciprocal rank of the item chosen, lately, by what ranks.", "order"
        )
        self.ranker_fallback = gauge(
            "ranker_fallback", "1 if slates are ranked by co-visitation, not by what is learned."
        )
        self.ranker_alarms = gauge("ranker_drift_alarms", "Drift alarms of the ranker so far.")
        self.ranker_rollbacks = gauge("ranker_rollbacks", "Times the ranker's weights went back to good ones so far.")
        self.groups = gauge(
            "interest_group_share",
            "Share of users in an interest group, by number and top category.",
            "group",
            "category",
        )
        self.rules = gauge(
            "rules", "Business rules known, in conflict with another, without an item they match, refused.", "state"
        )
        self.exposure_share = gauge("exposure_share", "Share of places that the items of a rule got lately.", "rule")
        self.exposure_min = gauge("exposure_share_min", "Share of places that they are to get at least.", "rule")
        self.exposure_max = gauge("exposure_share_max", "Share of places that they are to get at most.", "rule")
        self.exposure_offset = gauge("exposure_offset", "What pushes the items of a rule towards its bounds.", "rule")
        self.exploration = gauge("exploration_part", "Part of the share allowed for exploration that is in use.")
        self.ad_decisions = counter("ad_decisions", "Ad decisions by outcome: filled, or why not.", "outcome")
        self.campaigns = gauge(
            "campaigns",
            "Campaigns known: running, paused, without budget; and left out beyond users.ads.max_campaigns.",
            "state",
        )
        self.campaign_spent = gauge("campaign_spent", "Spent by campaigns, in the currency of the ads.", "model")
        self.campaign_over = gauge(
            "campaign_unbilled", "Delivered beyond budgets and not billed, in the currency of the ads.", "model"
        )
        self.campaign_budget = gauge("campaign_budget", "Budget of campaigns, in the currency of the ads.", "model")
        self.click_calibration = gauge(
            "click_calibration", "What clicks that are predicted are multiplied with, mean over the campaigns.", "model"
        )
        self.purchase_calibration = gauge(
            "purchase_calibration",
            "What purchases after clicks that are predicted are multiplied with, mean over the campaigns.",
            "model",
        )
        self.campaign_part = gauge(
            "campaign_spent_ratio", "Spent of the budget, of the campaigns that worker.campaign_metrics allows.", "cid"
        )
        self.pacing_error = gauge(
            "pacing_error_ratio",
            "Mean distance of what evenly paced campaigns spent today from their plan, relative to the day's budget.",
        )
        self.ad_log_loss = gauge(
            "ad_log_loss",
            "Log loss of predicted clicks, and of purchases after them, lately: of the model, and of the usual share.",
            "event",
            "by",
        )
        self.ad_entropy = gauge(
            "ad_normalised_entropy", "Log loss of the model over that of the usual share, lately.", "event"
        )
        self.attribution_delay = histogram(
            "attribution_delay_seconds",
            "From seeing an ad to its click, and from its click, or without one from seeing it, to its purchase.",
            _DELAY_BUCKETS,
            "event",
        )
        self.quality = LiveQuality()
        self._quality = {
            name: gauge(f"quality_{name}", text, *labels)
            for name, (text, labels) in {
                "hit_rate": (
                    "Share of choices whose item was among the first so many, lately.",
                    ("head", "user", "depth"),
                ),
                "reciprocal_rank": ("Mean reciprocal rank of the item chosen, lately.", ("head", "user")),
                "calibration": ("What the ranker expected of its first candidate over what came true.", ("head",)),
                "coverage": ("Distinct items per place of the slates, lately.", ("placement",)),
                "inequality": (
                    "Gini coefficient of how often items were shown, among those shown at all, lately.",
                    ("placement",),
                ),
                "novelty": ("Mean self-information of the items shown, in bits, lately.", ("placement",)),
                "diversity": ("Share of pairs in a slate that are of different categories, lately.", ("placement",)),
            }.items()
        }
        self.broker_silence = gauge(
            "broker_silence_seconds", "Seconds without an answer from the brokers; 0 if they do."
        )
        self.assigned = gauge("assigned_partitions", "Partitions this worker owns and has restored.", "plane")
        self.ready = gauge("ready", "1 if the worker is ready: partitions restored, read model complete.")

    def refresh_quality(self) -> None:
        """Bring the gauges of the quality of slates up to date."""
        for (name, *labels), value in self.quality.figures().items():
            self._quality[name].labels(*labels).set(value)
