"""What is counted of a step once it has come true."""

from __future__ import annotations

from typing import Any

from processors.planes.users_step import UsersStep
from streams.engine.partition import Prepared
from streams.kafka.publisher import Appended
from streams.worker.metrics import STEPS, Metrics


def count_step(
    metrics: Metrics,
    plane: str,
    prepared: Prepared[Any],
    seconds: tuple[float, float, float],
    recommended: Appended | None,
) -> None:
    """Count a micro-batch and what came of it.

    Parameters
    ----------
    seconds
        What each of :data:`streams.worker.metrics.STEPS` took.
    recommended
        Where its recommendations were appended, if there are any: the end of the latency of its records.
    """
    metrics.batch_records.labels(plane).observe(len(prepared.batch))
    for name, took in zip(STEPS, seconds, strict=True):
        metrics.step_seconds.labels(plane, name).observe(took)
    for (topic, outcome), n in prepared.step.outcomes.items():
        metrics.events.labels(topic, outcome).inc(n)
    for reason, n in prepared.step.refusals.items():
        metrics.dead_letters.labels(reason).inc(n)
    if isinstance(prepared.step, UsersStep):
        _count_users_step(metrics, prepared.step)
    for output in prepared.outputs:
        metrics.outputs.labels(output.topic).inc()
    if recommended is not None and recommended.time_ms is not None and recommended.time_ms > 0:
        for record in prepared.batch:
            metrics.latency.observe(max(0, recommended.time_ms - record.timestamp) / 1000.0)


def _count_users_step(metrics: Metrics, step: UsersStep) -> None:
    metrics.quality.take(step.quality)
    for outcome, n in step.decisions.items():
        metrics.ad_decisions.labels(outcome).inc(n)
    for event, delay_ms in step.delays:
        metrics.attribution_delay.labels(event).observe(max(0, delay_ms) / 1000.0)
