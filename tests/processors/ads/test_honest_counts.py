"""What is counted and charged is what happened: slow clocks, floods of clicks, decisions that push out others."""

import json
from typing import Any

import pytest

from processors.ads.campaign import Campaign, Creative, Dayparts
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.no_bid import NoBid
from processors.ads.signals import CampaignSignal
from processors.common.time import DAY_MS, HOUR_MS
from processors.users.ad_history import AdHistory, Decision
from tests.processors.ads.shop import NOW, Shop, campaign, creative


def test_caps_count_by_arrival_where_a_clock_is_off() -> None:
    shop = Shop()
    shop.put("c", campaign(frequency={"per_hour": 1}))
    slow = {"request_id": "r", "user_id": "u", "timestamp": NOW + 31 * 60_000, "placement": "top"}
    shop.driver.pipe("ads.requests.v1", b"u", json.dumps(slow).encode(), NOW + 90 * 60_000)
    assert shop.read("ad-decisions.v1")[-1]["cid"] == "c"
    assert shop.request(after_ms=92 * 60_000)["nbr"] == NoBid.FREQUENCY_CAP


def test_a_flood_of_clicks_is_billed_for_a_few() -> None:
    shop = Shop(decisions=200)
    shop.put("c", campaign(model="cpc", bid=1.0, budget=1000.0))
    shown = [shop.request(after_ms=10) for _ in range(50)]
    for decision in shown:
        shop.see(decision, after_ms=10)
    for decision in shown:
        shop.click(decision, after_ms=70)
    ledger = shop.ledger()
    assert (ledger.clicks, ledger.filtered) == (5, 45)
    shop.click(shown[-1], after_ms=120_000)
    assert shop.ledger().clicks == 6


@pytest.mark.parametrize("only_ids", [True, False])
def test_a_click_that_names_no_ad_is_none_on_it_unless_the_setting_says_so(only_ids: bool) -> None:
    shop = Shop(clicks_only_by_id=only_ids)
    shop.put("c", campaign(creatives=[creative(item_id="tent")]))
    shop.see(shop.request())
    shop.send("events.click.v1", "u", item_id="tent")
    assert shop.ledger().clicks == (0 if only_ids else 1)


@pytest.mark.parametrize("action", ["cart", "fav", "rate"])
def test_a_cart_or_a_rating_is_no_click_on_an_ad(action: str) -> None:
    shop = Shop()
    shop.put("c", campaign())
    decision = shop.request()
    shop.click(decision, action=action)
    assert (shop.ledger().clicks, shop.ledger().shown) == (0, 1)


def test_a_dismissal_rests_the_campaign_and_by_setting_its_advertiser() -> None:
    for rests in (False, True):
        shop = Shop(dismissal_rests_advertiser=rests)
        shop.put("c", campaign(bid=2000.0))
        shop.put("d", campaign(advertiser="shop"))
        shop.put("c", campaign(bid=500.0))
        assert shop.request()["cid"] == "d"
        shop.put("c", campaign(bid=2000.0))
        decision = shop.request()
        assert decision["cid"] == "c"
        shop.click(decision, action="dismiss")
        assert shop.request().get("cid") == (None if rests else "d")


def decision(number: int, at_ms: int, **fields: Any) -> Decision:
    return Decision(number, "c", "a", "shop", at_ms, at_ms + 1000, 1.0, "cpm", 0.1, **fields)


def test_the_decision_that_least_may_come_of_goes_first() -> None:
    history = AdHistory([decision(1, 1, clicked_ms=2), decision(2, 2, seen_ms=3), decision(3, 3), decision(4, 9_500)])
    kept = []
    for number in range(5, 9):
        history.note(decision(number, 10_000), decisions=4, campaigns=9)
        kept.append([one.number for one in history.decisions])
    # 3 was never seen and is over; then goes 2, seen only; those not seen yet go before the one that was clicked.
    assert kept == [[1, 2, 4, 5], [1, 4, 5, 6], [1, 5, 6, 7], [1, 6, 7, 8]]


def spent(*zones: tuple[int, str]) -> float:
    """Spend all that a day's budget of 1 allows, an hour after the other, in time zones that are edited."""
    keeper, state = LedgerKeeper(), Ledger()
    changes = dict(zones)
    for hour in range(48):
        if hour in changes:
            dayparts = Dayparts(timezone=changes[hour])
            creatives = (Creative("a", "A", "https://shop.example/"),)
            keeper.replace(state, Campaign("shop", creatives, 1.0, 100.0, budget_daily=1.0, dayparts=dayparts))
        keeper.learn(state, CampaignSignal("c", 1_700_006_400_000 + hour * HOUR_MS, charged=0.5))
    return state.spent


def test_an_edited_time_zone_does_not_give_the_budget_of_a_day_twice() -> None:
    assert 1_700_006_400_000 % DAY_MS == 0
    assert spent((0, "UTC")) == 2.0
    for zone in ("Pacific/Auckland", "America/Los_Angeles", "Asia/Tokyo"):
        assert spent((0, "UTC"), (3, zone)) <= 2.0
        assert spent((0, zone), (3, "UTC")) <= 3.0
        assert spent((0, "UTC"), (3, zone), (5, "UTC"), (7, zone)) <= 2.0
