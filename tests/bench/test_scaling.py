"""The benchmark of scaling: what it measures is there, and what it prints can be planned with again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from bench.scaling import read_costs, run_scaling
from bench.scaling_costs import Costs
from bench.scaling_load import Load
from bench.scaling_measure import Extent, measure
from bench.scaling_page import COSTS, EXAMPLES, PAGE, page
from bench.scaling_plan import plan
from bench.scaling_shop import Shop
from bench.scaling_worker import measure_shell
from processors.common.errors import NearstreamError
from processors.common.topics import CAMPAIGN_SIGNALS_TOPIC, SIGNALS_TOPIC, TRAINING_TOPIC
from streams.cli.bench import app

MAY_BE_NOTHING = {"sent_us", "received_us", "example_us", "training_us"}
"""Differences of two times, which a short measurement may not show."""


@pytest.fixture(scope="module")
def costs() -> Costs:
    return measure(Extent(300, 200, 400, rounds=2, batch_events=100, old_events=100), lambda: (0.5, 400.0))


def test_every_cost_is_measured(costs: Costs) -> None:
    figures = msgspec.structs.asdict(costs)
    assert [name for name, figure in figures.items() if name not in MAY_BE_NOTHING and not figure] == []
    assert [name for name, figure in figures.items() if isinstance(figure, float) and not figure >= 0] == []
    assert costs.shell_us > (costs.users_us + costs.items_us) / 4
    assert (costs.users, costs.items, costs.events, costs.batch_events) == (300, 200, 800, 100)


def test_sizes_are_those_of_what_is_sent(costs: Costs) -> None:
    assert 100 < costs.event_bytes < 1_000
    assert costs.slate_bytes * 2 * costs.answers_per_event == pytest.approx(costs.recommendation_bytes, rel=0.01)
    assert 0 < costs.answers_per_event <= 1 <= costs.changes_per_event


def test_micro_batches_of_many_partitions_are_as_full_and_send_to_each() -> None:
    shop = Shop(100, 200, partitions=8)
    meter = shop.take(2, 150)
    assert meter.batches["users"] == 2
    assert meter.records["events"] == 300
    assert 8 < meter.records[SIGNALS_TOPIC] <= 16


def test_without_campaigns_the_campaigns_plane_is_neither_sent_anything_nor_a_partner() -> None:
    shop = Shop(100, 200, partitions=8)
    meter = shop.take(2, 150)
    assert meter.records[CAMPAIGN_SIGNALS_TOPIC] == meter.batches["campaigns"] == 0
    partners = shop.driver.processors["users"][0].position.sent
    assert sorted(partners) == sorted([f"{TRAINING_TOPIC}/0", *(f"{SIGNALS_TOPIC}/{number}" for number in range(8))])


def test_measured_costs_can_be_planned_with(costs: Costs, tmp_path: Path) -> None:
    load = Load(users=1e6, events_per_s=1e4)
    file = tmp_path / "result.json"
    file.write_bytes(msgspec.json.encode({"costs": costs, "plan": {}}))
    result = run_scaling(load, file)
    assert (result.costs, result.load) == (costs, load)
    assert result.plan == plan(costs, load)


def test_a_file_without_costs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    for text in ('{"costs": {"users_us": 1}}', "[]", "no json"):
        file.write_text(text)
        with pytest.raises(NearstreamError, match="expected costs of bench scaling"):
            read_costs(file)


def test_the_tables_of_the_page_are_those_of_its_costs() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert page(text, read_costs(COSTS)) == text, "python -m bench.scaling_page --write"


@pytest.mark.parametrize("load", EXAMPLES.values(), ids=EXAMPLES)
def test_the_command_beside_an_example_prints_its_figures(load: Load) -> None:
    options = ["--users", f"{load.users:.0f}", "--events-per-s", f"{load.events_per_s:.0f}"]
    options += ["--items", f"{load.items:.0f}", "--costs", str(COSTS), "--json"]
    done = CliRunner().invoke(app, ["scaling", *options], catch_exceptions=False)
    (line,) = done.stdout.splitlines()
    expected = msgspec.to_builtins(plan(read_costs(COSTS), load))
    assert json.loads(line)["plan"] == json.loads(json.dumps(expected))
    assert f"{expected['workers']:,}" in PAGE.read_text(encoding="utf-8")


def test_a_table_for_people(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["scaling", "--costs", str(COSTS)], catch_exceptions=False)
    assert "workers" in done.stdout
    assert "users us" in done.stdout


def test_no_line_of_help_is_cut_at_80_columns() -> None:
    shown = CliRunner().invoke(app, ["scaling", "--help"], env={"COLUMNS": "80", "TERM": "dumb"}).stdout
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.kafka
def test_a_worker_does_something_beside_computing(kafka_tools: None) -> None:
    shell = measure_shell(events=200, warm=100)
    assert shell.ratio > 0
    assert shell.memory_mb > 50
