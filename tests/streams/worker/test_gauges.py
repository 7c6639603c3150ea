"""What the gauges say of a worker, and what they no longer say."""

from collections import Counter
from types import SimpleNamespace
from typing import Any, cast

import pytest

from processors.ranking.rules import Items, Rule
from streams.worker.gauges import Gauges
from streams.worker.metrics import Metrics
from tests.streams.worker.fakes import WatchedWorker


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def gauges(worker: WatchedWorker, metrics: Metrics) -> Gauges:
    return Gauges(
        metrics,
        worker.topology,
        worker.runners,
        worker.lags,
        cast(Any, worker.feed),
        cast(Any, worker.probe),
        worker.health,
        named_campaigns=0,
        standby=cast(Any, SimpleNamespace(counts=lambda: Counter({"users": 2}), behind=Counter({"users": 7}))),
    )


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"nearstream_{name}", labels)


async def test_a_partition_has_its_lag_age_and_size(worker: WatchedWorker, gauges: Gauges, metrics: Metrics) -> None:
    worker.end = 510
    worker.now += 7
    gauges.refresh()
    here = {"plane": "users", "partition": "0"}
    assert value(metrics, "lag_records", topic="events.click.v1", partition="0") == 500
    assert value(metrics, "commit_age_seconds", **here) == 7
    assert (value(metrics, "store_bytes", **here), value(metrics, "store_memory_bytes", **here)) == (2000, 300)
    assert value(metrics, "assigned_partitions", plane="users") == 1
    assert value(metrics, "assigned_partitions", plane="items") == 0


async def test_copies_of_other_workers_partitions_are_counted(gauges: Gauges, metrics: Metrics) -> None:
    gauges.refresh()
    assert (
        value(metrics, "standby_partitions", plane="users"),
        value(metrics, "standby_partitions", plane="items"),
    ) == (2, 0)
    assert value(metrics, "standby_behind_records", plane="users") == 7


async def test_a_partition_that_went_elsewhere_leaves_no_figures(
    worker: WatchedWorker, gauges: Gauges, metrics: Metrics
) -> None:
    gauges.refresh()
    here = {"plane": "users", "partition": "0"}
    names = ("commit_age_seconds", "store_bytes", "store_memory_bytes", "store_decoded_bytes")
    assert None not in [value(metrics, name, **here) for name in names]
    worker.runners.clear()
    gauges.refresh()
    assert value(metrics, "lag_records", topic="events.click.v1", partition="0") is None
    assert [value(metrics, name, **here) for name in names] == [None] * 4
    assert value(metrics, "assigned_partitions", plane="users") == 0


async def test_readiness_and_silence_are_shown(worker: WatchedWorker, gauges: Gauges, metrics: Metrics) -> None:
    worker.membership.join()
    gauges.refresh()
    assert (value(metrics, "ready"), value(metrics, "broker_silence_seconds")) == (1, 0)
    worker.probe.silent_s, worker.probe.problem = 9.0, "no answer"
    gauges.refresh()
    assert (value(metrics, "ready"), value(metrics, "broker_silence_seconds")) == (0, 9)


async def test_rules_are_judged_by_complete_read_models_only(
    worker: WatchedWorker, gauges: Gauges, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    worker.topology.users.read.rules.apply("no-tents", Rule("exclude", Items(ids=("tent",))))
    worker.feed.complete.clear()
    gauges.refresh()
    assert value(metrics, "rules", state="known") is None
    assert caplog.messages == []
    worker.feed.complete.set()
    gauges.refresh()
    assert (value(metrics, "rules", state="known"), value(metrics, "rules", state="without_items")) == (1, 1)
    assert caplog.messages == ["rule no-tents matches no item there is"]


async def test_a_worker_without_learned_weights_says_that_it_falls_back(gauges: Gauges, metrics: Metrics) -> None:
    gauges.refresh()
    assert value(metrics, "ranker_fallback") == 1
    assert value(metrics, "read_model_items") == 0
