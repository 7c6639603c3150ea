"""Metrics of steps: counted once a step is published and stored, so that one that is done again counts once."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from streams.engine.partition import Prepared
from streams.kafka.publisher import Appended
from streams.worker.metric_factory import MetricFactory

STEPS = ("prepare", "publish", "store")
"""What a micro-batch's time goes to: computing it, the Kafka transaction, the local write."""

_LATENCY_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STEP_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class StepSeconds(NamedTuple):
    """Seconds that each of :data:`STEPS` took."""

    prepare: float
    publish: float
    store: float


class StepMetrics:
    """What micro-batches consist of, what becomes of their records, and how long that takes."""

    def __init__(self, factory: MetricFactory) -> None:
        self.events = factory.counter("events", "Source records by topic and outcome.", "topic", "outcome")
        self.dead_letters = factory.counter("dead_letters", "Refused records by reason.", "reason")
        self.outputs = factory.counter("outputs", "Records published, by topic.", "topic")
        self.held = factory.counter(
            "held_broadcasts", "Changes not broadcast because they say nothing new, by plane.", "plane"
        )
        self.held_age = factory.gauge(
            "held_broadcast_age_seconds",
            "Seconds since the last broadcast of what the latest step held back the longest.",
            "plane",
        )
        self.expired = factory.counter(
            "expired_states", "States deleted because nothing happened to them for long, by plane.", "plane"
        )
        self.batch_records = factory.histogram(
            "batch_records", "Source records per micro-batch.", _SIZE_BUCKETS, "plane"
        )
        self.seconds = factory.histogram(
            "step_seconds", "Seconds per micro-batch and step.", _STEP_BUCKETS, "plane", "step"
        )
        self.stages = factory.counter(
            "stage_seconds",
            "Seconds that computing micro-batches took, waits for a core included, by plane and stage.",
            "plane",
            "stage",
        )
        self.latency = factory.histogram(
            "event_to_recommendation_seconds",
            "From the append time of an event to the append time of its recommendation.",
            _LATENCY_BUCKETS,
        )

    def count(self, plane: str, prepared: Prepared[Any], seconds: StepSeconds, recommended: Appended | None) -> None:
        """Count a micro-batch and what came of it.

        Parameters
        ----------
        plane
            Name of the plane that computed it.
        prepared
            What was computed.
        seconds
            What it took.
        recommended
            Where its recommendations were appended, :obj:`None` if there are none. Their append time is the end of
            the latency of the records of the batch.
        """
        self.batch_records.labels(plane).observe(len(prepared.batch))
        for name, took in zip(STEPS, seconds, strict=True):
            self.seconds.labels(plane, name).observe(took)
        for stage, took in prepared.step.seconds.items():
            self.stages.labels(plane, stage).inc(took)
        for (topic, outcome), n in prepared.step.outcomes.items():
            self.events.labels(topic, outcome).inc(n)
        for reason, n in prepared.step.refusals.items():
            self.dead_letters.labels(reason).inc(n)
        for topic, n in Counter(output.topic for output in prepared.outputs).items():
            self.outputs.labels(topic).inc(n)
        if prepared.step.held:
            self.held.labels(plane).inc(prepared.step.held)
        if prepared.expired:
            self.expired.labels(plane).inc(prepared.expired)
        self.held_age.labels(plane).set(prepared.step.held_ms / 1000.0)
        if recommended is not None and recommended.time_ms is not None and recommended.time_ms > 0:
            for record in prepared.batch:
                self.latency.observe(max(0, recommended.time_ms - record.timestamp) / 1000.0)
