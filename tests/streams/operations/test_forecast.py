"""A forecast is read from the topics of a running system: the log, the users' profiles and the read models."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition
from typer.testing import CliRunner

from processors.ads.campaign import read_campaign
from processors.ads.campaign_view import CampaignView
from processors.common.time import HOUR_MS
from processors.common.topics import BROADCAST_TOPICS
from streams.cli import app, connections
from streams.engine.driver import TopologyDriver
from streams.operations import campaigns, forecast, present
from tests.processors.ads.shop import Shop, campaign

GERMANS = {**campaign(bid=900.0, target={"countries": ["DE"]}), "cid": "new"}


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Topics of a system whose users, two of three of them in Germany, asked for 90 ads within thirty hours."""
    shop = Shop(floor=0.3)
    shop.driver = TopologyDriver(shop.driver.settings, keep=[*BROADCAST_TOPICS, "decision-log.v1", "ad-decisions.v1"])
    shop.put("rival", campaign(bid=500.0))
    for n in range(90):
        shop.ask(f"u{n}", after_ms=HOUR_MS // 3, country="DE" if n % 3 else "FR")
    kept = {topic: shop.driver.read(topic) for topic in (*BROADCAST_TOPICS, "decision-log.v1")}

    def read_all(_: Any, partitions: list[TopicPartition]) -> list[Any]:
        found = list[Any]()
        for topic, number in partitions:
            if topic in kept:
                found += [record for record in kept[topic] if record.partition == number]
            else:
                store = shop.driver.processors["users"][number].store
                found += [SimpleNamespace(key=key, value=value) for key, value in store.scan()]
        return found

    for module in (forecast, present, campaigns):
        monkeypatch.setattr(module, "read_all", read_all)
    monkeypatch.setattr(connections, "consuming", lambda _: nullcontext())
    return shop


def run(*arguments: str) -> str:
    environment = {"NEARSTREAM_TOPICS__PARTITIONS": "2", "NEARSTREAM_USERS__ADS__FLOOR": "0.3"}
    found = CliRunner().invoke(app, ["campaigns", "forecast", *arguments], env=environment)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "new.jsonl"
    path.write_text(json.dumps(GERMANS))
    return path


def test_a_campaign_of_a_file_is_held_against_what_the_topics_say(system: Shop, file: Path) -> None:
    (found,) = forecast.read_forecasts(system.driver.settings, None, {"new": CampaignView(read_campaign(_raw()))})
    printed = json.loads(run(str(file), "--json"))
    assert printed == json.loads(msgspec.json.encode(found))
    assert (printed["cid"], printed["days"], printed["share"], printed["too_little"]) == ("new", 1, 1.0, "")
    assert printed["decisions"] == 72
    assert printed["users"]["estimate"] == printed["won"]["estimate"] == 48, "two thirds of those of the last day"
    assert printed["cost"]["estimate"] == pytest.approx(48 * 0.5), "it pays what the rival was worth"


def _raw() -> bytes:
    return msgspec.json.encode({name: value for name, value in GERMANS.items() if name != "cid"})


@pytest.mark.usefixtures("system")
def test_it_is_shown_with_what_takes_the_campaign_from_the_others(file: Path) -> None:
    first, step, head, *figures = run(str(file)).splitlines()
    assert first == "new: 72 decisions of 1 days"
    assert step.split()[:3] == ["-24", "33.3%", "targeting:"]
    assert head.endswith("in 95 of 100 cases")
    assert [line.split()[0] for line in figures] == ["users", "opportunities", "won", "cost"]
    assert figures[0].split()[1:2] == ["48"]
    assert figures[-1].endswith(" EUR")


@pytest.mark.usefixtures("system")
def test_a_campaign_that_is_loaded_can_be_asked_about() -> None:
    assert run("--campaign", "rival").startswith("rival: 72 decisions")


@pytest.mark.usefixtures("system")
def test_it_says_where_too_little_is_known(file: Path) -> None:
    file.write_text(json.dumps({**GERMANS, "target": {"countries": ["SE"]}}))
    assert "too little is known: it could have taken part in 0 of these decisions" in run(str(file))


def test_either_a_file_or_a_campaign_is_named() -> None:
    assert CliRunner().invoke(app, ["campaigns", "forecast"]).exit_code == 2
