"""``nearstream campaigns report``: what its options mean, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from processors.ads.alerts import alerts_of
from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_view import CampaignView
from processors.ads.doubts import doubts_of
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.signals import CampaignSignals
from processors.common.time import DAY_MS
from streams.cli import app, connections
from streams.operations import campaigns, reports
from tests.processors.ads.shop import NOW


@pytest.fixture(autouse=True)
def _ledgers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign with two creatives at two placements on two days, as if it came from the changelog."""
    ledger, keeper = Ledger(), LedgerKeeper()
    for n in range(8):
        signals = CampaignSignals(1)
        at_ms = NOW + n // 4 * DAY_MS
        signals.add("spring", "ab"[n % 2], ("top", "side")[n // 2 % 2], at_ms, decided=1, shown=n % 2)
        signals.of("spring", at_ms).add_opportunities(("top", "side")[n // 2 % 2], 3)
        keeper.learn(ledger, signals.of("spring", at_ms))

    @contextmanager
    def consuming(_: Any) -> Iterator[None]:
        yield None

    monkeypatch.setattr(connections, "consuming", consuming)
    monkeypatch.setattr(reports, "_ledgers", lambda *_: {"spring": ledger})


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["campaigns", "report", *arguments])
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.mark.parametrize(
    ("by", "count"),
    [
        ("campaign", 1),
        ("day", 2),
        ("creative", 2),
        ("placement", 2),
        ("creative,day", 4),
        ("day, placement,creative", 8),
    ],
)
def test_lines_are_apart_by_what_is_asked_for(by: str, count: int) -> None:
    rows = [json.loads(line) for line in run("--by", by, "--json").splitlines()]
    assert len(rows) == count
    assert sum(row["won"] for row in rows) == 8
    for name in ("day", "creative", "placement"):
        assert ({row[name] for row in rows} == {"all"}) == (name not in by)
    assert {row["ctr"] for row in rows} <= {0.0, None}
    assert {row["roas"] for row in rows} == {None}, "nothing was spent"


def test_what_cannot_be_told_apart_is_empty_in_csv() -> None:
    names, *rows = run("--by", "creative", "--csv").splitlines()
    assert names.startswith("cid,day,creative,placement,eligible,won")
    assert [row.split(",")[:6] for row in rows] == [["spring", "all", one, "all", "", "4"] for one in "ab"]


def test_the_table_has_a_column_for_what_lines_are_apart_by() -> None:
    head, first, second = run("--by", "placement").splitlines()
    assert head.split()[:4] == ["campaign", "placement", "eligible", "won"]
    assert [first.split()[:4], second.split()[:4]] == [["spring", "side", "12", "4"], ["spring", "top", "12", "4"]]
    assert "placement" not in run().splitlines()[0]
    assert run("--by", "creative").splitlines()[1].split()[:4] == ["spring", "a", "-", "4"]


def test_it_says_what_lines_may_be_apart_by() -> None:
    found = CliRunner().invoke(app, ["campaigns", "report", "--by", "creative,colour"])
    assert found.exit_code == 2
    assert "colour" in found.output
    assert "placement" in found.output


def test_the_list_names_priorities_and_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    tent = Creative("a", "A tent", "https://shop.example/", status="pending")
    found = {
        "own": Campaign("shop", (tent,), house=True),
        "first": Campaign("shop", (tent,), 2.0, 100.0, priority=8),
        "plain": Campaign("shop", (tent,), 2.0, 100.0),
        "c" * 40: Campaign("shop", (tent,), 2.0, 100.0),
    }
    statuses = [
        campaigns.status_of(cid, CampaignView(one), alerts_of(CampaignView(one), 0), doubts_of(one))
        for cid, one in found.items()
    ]
    monkeypatch.setattr(campaigns, "statuses", lambda *_: statuses)
    lines = CliRunner().invoke(app, ["campaigns", "list"]).stdout.splitlines()[1:]
    assert [line.split()[:2] for line in lines if not line.startswith(" ")] == [
        ["own", "house"],
        ["first", "cpm"],
        ["plain", "cpm"],
        ["c" * 40, "cpm"],
    ]
    assert [line.strip() for line in lines[4:5]] == ["priority 8"]
    assert sum("not_approved: it rests" in line for line in lines) == 4
    assert sum("doubtful: creatives: none is approved (1 pending)" in line for line in lines) == 4
