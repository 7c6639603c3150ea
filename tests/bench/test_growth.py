"""The benchmark of growth: as many items and users as it says are there, and its ratios are those of its costs."""

import json

import pytest
from typer.testing import CliRunner

from bench.growth import copy_states, grown, run_growth
from streams.cli.bench import app


def test_ratios_are_those_of_the_costs() -> None:
    result = run_growth(events=100, items=50, users=50, segments=1, segment_events=60)
    assert (result.events, result.items, result.users, result.segments) == (100, 50, 50, 1)
    assert result.items_ratio == pytest.approx(result.more_items_us / result.base_us, abs=0.01)
    assert result.users_ratio == pytest.approx(result.more_users_us / result.base_us, abs=0.01)
    assert result.age_ratio == pytest.approx(result.old_us / result.young_us, abs=0.01)


def test_all_items_are_in_the_index_and_all_users_in_the_store() -> None:
    run = grown(events=200, items=300, users=5_000)
    assert len(run.driver.topology.index) == 300
    assert {f"shopper-{number:04d}" for number in range(5_000)} <= run.driver.state("users").keys()


def test_a_run_answers_its_events() -> None:
    run = grown(events=200, items=100, users=100)
    assert run.driver.topology.users.publishes
    before = run.driver.now
    assert run.take(700) > 0
    assert run.driver.now == before + 2_000, "700 events are two steps"


def test_copies_are_those_of_the_states_in_turn() -> None:
    driver = grown(events=200, items=100, users=100).driver
    states = driver.state("users")
    copy_states(driver, "users", [f"copy {n}" for n in range(len(states) + 1)])
    copies = driver.state("users")
    first = next(iter(states.values()))
    assert copies["copy 0"] == copies[f"copy {len(states)}"] == first
    assert copies.keys() - states.keys() == {f"copy {n}" for n in range(len(states) + 1)}


def test_one_line_of_json() -> None:
    options = ["growth", "--events", "100", "--items", "100", "--users", "100", "--segments", "1", "--json"]
    done = CliRunner().invoke(app, options, catch_exceptions=False)
    (line,) = done.stdout.splitlines()
    assert {"items_ratio", "users_ratio", "age_ratio", "base_us", "young_us", "old_us"} <= json.loads(line).keys()
