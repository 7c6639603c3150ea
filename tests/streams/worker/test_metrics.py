"""What is counted of a step."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from processors.planes.base import Output, Step
from processors.planes.users_step import UsersStep
from streams.engine.partition import Prepared
from streams.kafka.publisher import Appended
from streams.worker.metrics import Metrics
from streams.worker.step_metrics import StepSeconds

SECONDS = StepSeconds(prepare=0.2, publish=0.03, store=0.001)
CLICKS = "events.click.v1"


def prepared(step: Step[Any], *times_ms: int, expired: int = 0) -> Prepared[Any]:
    records = [SimpleNamespace(timestamp=time_ms) for time_ms in times_ms]
    outputs = [Output("out", 0, b"k", b"v")] * 3
    return cast(Prepared[Any], SimpleNamespace(step=step, batch=records, outputs=outputs, expired=expired))


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"nearstream_{name}", labels) or 0.0


def test_a_step_counts_its_records_outcomes_outputs_and_seconds() -> None:
    metrics = Metrics()
    step: Step[Any] = Step()
    step.outcomes[CLICKS, "accepted"] = 2
    step.refusals["not_json"] = 1
    step.seconds = {"fold": 0.15, "publish": 0.05}
    metrics.count_step("items", prepared(step, 1, 2, 3), SECONDS, None)
    assert value(metrics, "events_total", topic=CLICKS, outcome="accepted") == 2
    assert value(metrics, "dead_letters_total", reason="not_json") == 1
    assert value(metrics, "outputs_total", topic="out") == 3
    assert value(metrics, "batch_records_sum", plane="items") == 3
    took = [value(metrics, "step_seconds_sum", plane="items", step=name) for name in ("prepare", "publish", "store")]
    assert took == list(SECONDS)
    stages = [value(metrics, "stage_seconds_total", plane="items", stage=name) for name in ("fold", "publish")]
    assert stages == [0.15, 0.05]
    assert value(metrics, "event_to_recommendation_seconds_count") == 0


def test_a_step_says_what_it_held_back_and_for_how_long() -> None:
    metrics = Metrics()
    for held, held_ms in ((3, 45_000), (2, 10_000), (0, 0)):
        metrics.count_step("items", prepared(Step(held=held, held_ms=held_ms), 1), SECONDS, None)
        age = value(metrics, "held_broadcast_age_seconds", plane="items")
        assert age == held_ms / 1000, "of the latest step"
    assert value(metrics, "held_broadcasts_total", plane="items") == 5


def test_expired_states_are_counted() -> None:
    metrics = Metrics()
    for expired in (0, 3, 2):
        metrics.count_step("users", prepared(Step(), 1, expired=expired), SECONDS, None)
    assert value(metrics, "expired_states_total", plane="users") == 5


@pytest.mark.parametrize(("appended_at", "count", "seconds"), [(5000, 2, 4.0), (None, 0, 0.0), (-1, 0, 0.0)])
def test_latency_runs_from_each_event_to_its_recommendation(
    appended_at: int | None, count: int, seconds: float
) -> None:
    metrics = Metrics()
    metrics.count_step("users", prepared(UsersStep(), 1000, 6000), SECONDS, Appended(9, appended_at))
    assert value(metrics, "event_to_recommendation_seconds_count") == count
    assert value(metrics, "event_to_recommendation_seconds_sum") == seconds


def test_a_step_of_users_counts_what_it_decided_and_attributed() -> None:
    metrics, step = Metrics(), UsersStep()
    step.decisions["filled"] = 4
    step.delays.append(("click", 3000))
    step.removed["rules"] = 7
    metrics.count_step("users", prepared(step, 1), SECONDS, None)
    assert value(metrics, "ad_decisions_total", outcome="filled") == 4
    assert value(metrics, "attribution_delay_seconds_sum", event="click") == 3
    assert value(metrics, "candidates_removed_total", stage="rules") == 7
