"""What could stop or mislead a campaign with a goal: returns, late signals, promised rivals, odd figures."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from processors.ads.advertisers import Advertisers
from processors.ads.campaign import Campaign, Creative, read_campaign
from processors.ads.campaign_view import CampaignView
from processors.ads.goal import Goal
from processors.ads.goal_signal import GoalSignal
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.signals import CampaignSignal
from processors.common.time import DAY_MS, MINUTE_MS
from tests.processors.ads.shop import Shop, campaign, creative
from tests.processors.ads.test_tiers import HOUSE

NOW = 1_700_000_000_000
TENT = Creative("a", "A tent", "https://shop.example/tent")


def test_a_return_of_what_has_faded_stops_nothing() -> None:
    shop = Shop(partitions=1)
    shop.put("c", campaign(goal={"roas": 4.0}, creatives=[creative(item_id="tent")]))
    bought = []
    for user, price in (("u1", 100.0), ("u2", 1.0)):
        decision = shop.ask(user)
        shop.see(decision)
        shop.click(decision, item_id="tent")
        sale = {"item_id": "tent", "price": price, "quantity": 1, "decision_id": decision["decision_id"]}
        shop.send("events.purchase.v1", user, **sale)
        bought.append(decision)
    for _ in range(22):
        shop.ask("x", after_ms=DAY_MS)
    back = {"item_id": "tent", "action": "refund", "decision_id": bought[1]["decision_id"]}
    shop.send("events.purchase.v1", "u2", **back)
    shop.ask("y")
    pursued = shop.view("c").goal
    assert pursued is not None
    assert pursued.factor > 0.0
    figures = shop.ledger("c").goal
    assert figures is not None
    assert figures.purchases == figures.value == 0.0, "what is left of the other sale was no purchase of its own"


def _after_a_minute(late_ms: int) -> tuple[float, float, float]:
    """Return factor, purchases and spending after a minute of signals, every second one of them late."""
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, Campaign("shop", (TENT,), bid=2.0, budget=1e6, model="cpc", goal=Goal(cpa=10.0)))
    first = GoalSignal(expected=150.0, purchases=150, delays=(150, 0, 0, 0, 0, 0), pursuit=1, cost=3e3, charged=3e3)
    sold = CampaignSignal("c", NOW, decided=3000, shown=3000, expected_cost=3000.0, charged=3000.0, goal=first)
    keeper.learn(state, sold)
    for number in range(1, 601):
        now = NOW + 100 * number
        if late_ms:
            keeper.learn(state, CampaignSignal("c", now - late_ms, shown=1))
        keeper.learn(state, CampaignSignal("c", now, opportunities=1))
    assert state.goal is not None
    return state.goal.factor, state.goal.purchases, state.goal.spent


@pytest.mark.parametrize("late_ms", [30 * MINUTE_MS, 720 * MINUTE_MS])
def test_late_signals_neither_hurry_the_factor_nor_forget(late_ms: int) -> None:
    assert _after_a_minute(late_ms) == pytest.approx(_after_a_minute(0), rel=0.06)


def test_a_clock_that_was_ahead_holds_the_factor_up_for_no_longer_than_it_is_right() -> None:
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, Campaign("shop", (TENT,), bid=2.0, budget=1e6, model="cpc", goal=Goal(cpa=10.0)))
    ahead = CampaignSignal("c", NOW + 400 * DAY_MS, decided=1, shown=1, expected_cost=3000.0, charged=3000.0)
    ahead.goal = GoalSignal(expected=9.0, pursuit=1, cost=3000.0, charged=3000.0)
    keeper.learn(state, ahead)
    for minute in range(60):
        keeper.learn(state, CampaignSignal("c", NOW + minute * MINUTE_MS, opportunities=1))
    assert state.goal is not None
    assert state.goal.factor < 0.5


def test_a_promised_rival_does_not_raise_what_is_bid() -> None:
    shop = Shop(partitions=1, log_losers=1.0)
    shop.put("promised", campaign(bid=10.0, priority=9, budget=1e6, advertiser="p"))
    shop.put("c", campaign(bid=1000.0, model="cpc", budget=1e6, goal={"cpa": 10.0}))
    for number in range(220):
        shop.ask(f"u{number}", after_ms=10_000)
    for number in range(20):
        shop.ask(f"v{number}", after_ms=10 * MINUTE_MS)
    pursued = shop.view("c").goal
    assert pursued is None or pursued.factor == 1.0


def test_the_house_is_shown_though_its_advertiser_has_no_money_left() -> None:
    shop = Shop(partitions=1, floor=1000.0)
    shop.put("paid", campaign(advertiser="shop", bid=1000.0, budget=100.0, advertiser_budget=2.0))
    shop.put("own", {**HOUSE, "advertiser": "shop"})
    shown = []
    for number in range(4):
        decision = shop.ask(f"u{number}")
        shop.see(decision)
        shown.append(decision["cid"])
    assert shown[0] == "paid"
    assert shown[-1] == "own"


def test_an_advertiser_has_one_purse_however_it_is_spelt() -> None:
    advertisers = Advertisers()
    advertisers.note("a", CampaignView(Campaign("Gin", (TENT,), 2.0, 90.0, advertiser_budget=50.0), spent=20.0))
    advertisers.note("b", CampaignView(Campaign("GIN", (TENT,), 2.0, 90.0), spent=25.0))
    assert advertisers.money(("a", "b"), np.zeros(1), {}).left.tolist() == [[5.0]]


def test_whoever_names_the_budget_is_forgotten_last() -> None:
    advertisers = Advertisers(most=3)
    advertisers.note("b", CampaignView(Campaign("Gin", (TENT,), 2.0, 90.0), spent=45.0))
    advertisers.note("names", CampaignView(Campaign("Gin", (TENT,), 2.0, 90.0, advertiser_budget=50.0)))
    for number in range(4):
        advertisers.note(f"x{number}", CampaignView(Campaign("other", (TENT,), 2.0, 90.0), spent=1.0))
    assert advertisers.money(("b",), np.zeros(1), {}).left.tolist() == [[5.0]]


@pytest.mark.parametrize(
    ("fields", "field"),
    [({"bid": 1e-322}, "bid"), ({"goal": {"roas": 5e-324}}, "goal.roas"), ({"goal": {"cpa": 1e-300}}, "goal.cpa")],
)
def test_amounts_that_are_next_to_nothing_are_refused(fields: dict[str, object], field: str) -> None:
    raw = {**campaign(), **fields}
    with pytest.raises(ValueError, match=field.replace(".", r"\.")):
        read_campaign(msgspec.json.encode(raw))
