"""A short run of faults, and that the plan follows from the seed."""

from __future__ import annotations

import argparse
import random
from typing import cast

import pytest
from prometheus_client import generate_latest

from streams.worker.metrics import Metrics
from tests.chaos import faults
from tests.chaos.__main__ import TRIED_BY, planned, run, without
from tests.chaos.faults import FAULTS
from tests.support import WorkerProcess


def asked(**given: object) -> argparse.Namespace:
    return argparse.Namespace(
        **{
            "faults": 3,
            "kills": 0,
            "seed": 1,
            "workers": 2,
            "rate": 60.0,
            "only": None,
            "poison": 3000,
            "between": 3.0,
            "session": 6,
            "standby": False,
            "away": 0.0,
            **given,
        }
    )


def test_the_plan_follows_from_the_seed_and_has_every_fault_before_any_comes_twice() -> None:
    plans = [planned(asked(faults=30), random.Random(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    assert set(plans[0][: len(FAULTS)]) == set(FAULTS)
    assert {fault.__name__ for fault in planned(asked(kills=5), random.Random(1))} == {"kill_one"}
    assert {fault.__name__ for fault in planned(asked(only="freeze"), random.Random(1))} == {"freeze"}


def test_faults_know_how_many_partitions_a_worker_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    for plane, partition, age in (("users", 0, 0.3), ("users", 1, 0.9), ("users", 2, 1.5), ("items", 0, 0.1)):
        metrics.partitions.commit_age.labels(plane, str(partition)).set(age)
    lines = generate_latest(metrics.registry).decode().splitlines()
    monkeypatch.setattr(faults, "_metrics", lambda _: lines)
    assert faults._committing(cast("WorkerProcess", None)) == 2


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.kafka
@pytest.mark.parametrize("seed", [801])  # restart, full disk, killed broker
def test_nothing_is_lost_doubled_or_wrong_whatever_happens(kafka_tools: None, seed: int) -> None:
    verdict = run(asked(seed=seed))
    assert verdict["verdict"] == "ok", verdict
    assert verdict["back_max_s"] > 0.0, "how long partitions take to commit once the broker answers"
    assert (verdict["faults"], sum(verdict["by_fault"].values())) == (3, 3)
    assert verdict["seek_rounds"] <= 3, "no more than one round for each fault"


@pytest.mark.slow
@pytest.mark.unmeasured
@pytest.mark.kafka
@pytest.mark.parametrize("safeguard", ["fence", "gaps"])  # the others with make chaos ARGS=--safeguards
def test_the_verifier_notices_what_comes_of_workers_without_a_safeguard(kafka_tools: None, safeguard: str) -> None:
    assert safeguard in TRIED_BY
    assert without(safeguard, seed=1)
