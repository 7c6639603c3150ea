"""What is left of an advertiser's money lasts for the day, and it is said when it is gone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from processors.ads.ad_server import AdServer
from processors.ads.alerts import Alert, alerts_of
from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.opportunity import Opportunity
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignal
from processors.common.time import DAY_MS, HOUR_MS, MINUTE_MS
from processors.models.click_model import ClickModel
from processors.models.interest_groups import InterestGroups
from processors.users.profile import Profile
from streams.operations.campaigns import short_advertisers
from streams.worker.metrics import Metrics

MIDNIGHT = 1_700_006_400_000
TENT = Creative("a", "A tent", "https://shop.example/tent")
PER_STEP, STEP_MS, FLOOR = 8, 2 * MINUTE_MS, 0.1
PLACES = ("top", "side")


class Day:
    """Campaigns with a ledger each, and as many visits to their placements every other minute."""

    def __init__(self, campaigns: dict[str, dict[str, Any]]) -> None:
        self.index, self.keeper = CampaignIndex(), LedgerKeeper()
        self.pipeline = AdPipeline(AdSettings(log_losers=0.0), self.index, ClickModel(), ClickModel())
        self.states = {cid: Ledger() for cid in campaigns}
        for cid, fields in campaigns.items():
            plain = {"advertiser": "shop", "bid": 1000.0, "budget": 1e4, "creatives": [msgspec.to_builtins(TENT)]}
            self.keeper.replace(self.states[cid], msgspec.convert({**plain, **fields}, Campaign))
        self._publish(MIDNIGHT)
        self.spent = [0.0]

    def run(self, hours: int) -> Day:
        for step in range(hours * HOUR_MS // STEP_MS):
            self._step(MIDNIGHT + step * STEP_MS)
            if (step + 1) * STEP_MS % HOUR_MS == 0:
                self.spent.append(sum(state.spent for state in self.states.values()))
        return self

    def _publish(self, now: int) -> None:
        for cid, state in self.states.items():
            state.published_ms = now
            self.index.apply(cid, self.keeper.view(state))

    def _step(self, now: int) -> None:
        asked = []
        for n in range(PER_STEP):
            where = PLACES[n % 2]
            asked.append(Opportunity(f"{now} {n}", f"u{n}", Profile(), now, where, {"placement": where}, floor=FLOOR))
        decisions = self.pipeline.decide(asked)
        for cid, state in self.states.items():
            won = [decided for decided in decisions if decided.cid == cid]
            signal = CampaignSignal(cid, now, decided=len(won), shown=len(won))
            signal.opportunities = sum(decided.opportunities.get(cid, 0) for decided in decisions)
            signal.charged = sum(decided.price for decided in won)
            self.keeper.learn(state, signal)
        self._publish(now)


def at(place: str, **fields: Any) -> dict[str, Any]:
    return {"target": {"placements": [place]}, **fields}


def test_campaigns_of_an_advertiser_share_its_day_evenly() -> None:
    """Each plans to spend 60, which would be gone by six in the morning; together they may spend 30."""
    daily = {"budget_daily": 60.0}
    day = Day({"a": at("top", **daily, advertiser_budget_daily=30.0), "b": at("side", **daily)}).run(24)
    assert day.spent[6] == pytest.approx(7.5, abs=1.5)
    assert day.spent[12] == pytest.approx(15.0, abs=1.5)
    assert day.spent[24] == pytest.approx(30.0, abs=1.5)


def test_one_that_cannot_spend_leaves_the_money_to_the_other() -> None:
    daily = {"budget_daily": 60.0}
    day = Day({"a": at("top", **daily, advertiser_budget_daily=30.0), "b": at("nowhere", **daily)}).run(24)
    assert day.states["a"].spent == pytest.approx(30.0, abs=2.0)
    assert day.spent[12] == pytest.approx(15.0, abs=1.5)


class RarelyVisited(Day):
    """Nobody comes to the side after midnight; ledgers are published when something happens to their campaigns."""

    def _step(self, now: int) -> None:
        published = {cid: view for cid, view in self.index.views.items() if cid == "b" and now > MIDNIGHT}
        super()._step(now)
        for cid, view in published.items():
            self.index.apply(cid, view)


def test_one_that_nobody_comes_for_leaves_the_money_to_the_other() -> None:
    """What was published of it last is of midnight."""
    daily = {"budget_daily": 60.0}
    nobody = {**at("side", **daily), "exclude": {"placements": ["side"]}}
    day = RarelyVisited({"a": at("top", **daily, advertiser_budget_daily=30.0), "b": nobody})
    day.keeper.learn(day.states["b"], CampaignSignal("b", MIDNIGHT, opportunities=1))
    day.run(24)
    assert day.spent[12] == pytest.approx(15.0, abs=1.5)
    assert day.spent[24] == pytest.approx(30.0, abs=2.0)


def test_whoever_spends_as_it_can_is_not_held_back_for_the_advertiser() -> None:
    day = Day({"a": at("top", advertiser_budget_daily=30.0, pacing="asap")}).run(4)
    assert day.spent[4] == pytest.approx(30.0, abs=0.2)


def test_an_advertiser_with_money_enough_changes_nothing() -> None:
    plans = [
        Day({"a": at("top", budget_daily=30.0, **more), "b": at("side", budget_daily=30.0)}).run(6).spent
        for more in ({}, {"advertiser_budget_daily": 61.0})
    ]
    assert plans[0] == plans[1]


def test_what_is_left_in_all_is_made_to_last_for_the_day_too() -> None:
    day = Day({"a": at("top", budget_daily=60.0, advertiser_budget=12.0)}).run(24)
    assert day.spent[12] == pytest.approx(6.0, abs=1.0)
    assert day.spent[24] == pytest.approx(12.0, abs=1.0)


def view(spent: float, advertiser: str = "shop", **fields: Any) -> CampaignView:
    campaign = Campaign(advertiser, (TENT,), 2.0, 100.0, **fields)
    return CampaignView(
        campaign, left=100.0 - spent, spent=spent, spent_today=spent, day_ends_ms=MIDNIGHT + DAY_MS, day_budget=40.0
    )


def said(views: dict[str, CampaignView], now_ms: int = MIDNIGHT) -> dict[str, tuple[Alert, ...]]:
    short = short_advertisers(views, now_ms)
    return {cid: alerts_of(one, now_ms, short=short) for cid, one in views.items() if not one.withdrawn}


def test_each_campaign_that_rests_for_its_advertisers_money_says_so() -> None:
    views = {
        "limits": view(3.0, advertiser_budget=10.0),
        "spends": view(4.0, "SHOP"),
        "gone": msgspec.structs.replace(view(3.0), withdrawn=True),
        "house": CampaignView(Campaign("shop", (TENT,), house=True)),
        "paused": view(0.0, paused=True),
        "other": view(50.0, "mill"),
    }
    spent: tuple[Alert, ...] = ("advertiser_spent",)
    assert said(views) == {"limits": spent, "spends": spent, "house": (), "paused": ("paused",), "other": ()}
    views["limits"] = view(2.9, advertiser_budget=10.0)
    assert said(views)["spends"] == ()


def test_the_money_of_a_day_is_back_on_the_next() -> None:
    limits = view(10.0, advertiser_budget_daily=10.0)
    assert said({"c": limits}) == {"c": ("advertiser_spent",)}
    assert said({"c": limits}, MIDNIGHT + DAY_MS) == {"c": ()}


def test_a_campaign_that_its_advertiser_holds_back_is_not_behind_its_plan() -> None:
    plan = {"planned": 30.0, "left": 95.0}
    alone = msgspec.structs.replace(view(5.0), **plan)
    limited = msgspec.structs.replace(view(5.0, advertiser_budget_daily=8.0), **plan)
    assert (said({"c": alone}), said({"c": limited})) == ({"c": ("behind_plan",)}, {"c": ()})


def test_the_metrics_count_them() -> None:
    ads, metrics = AdServer(AdSettings(), InterestGroups(), 1), Metrics()
    ads.campaigns.apply("limits", view(6.0, advertiser_budget=10.0))
    ads.campaigns.apply("spends", view(4.0))
    metrics.ads.refresh(ads, named=0, now_ms=MIDNIGHT)
    value = metrics.registry.get_sample_value
    assert value("nearstream_campaign_alerts", {"alert": "advertiser_spent"}) == 2.0
