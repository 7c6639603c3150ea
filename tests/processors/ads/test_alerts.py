"""What is said to be the matter with a campaign is what happened to it, in a shop that runs."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from processors.ads.alerts import TEXTS, Alert, alerts_of, in_stock_of
from processors.ads.campaign import Campaign
from processors.ads.campaign_view import CampaignView
from processors.common.time import DAY_MS, HOUR_MS, stamp
from tests.processors.ads.shop import NOW, Shop, campaign, creative


def alerts(shop: Shop, cid: str = "c") -> tuple[Alert, ...]:
    return alerts_of(shop.view(cid), shop.now, in_stock_of(shop.driver.topology.index))


def running(**fields: Any) -> Shop:
    shop = Shop()
    shop.put("c", campaign(**fields))
    shop.see(shop.ask())
    return shop


def test_nothing_is_the_matter_with_a_campaign_that_is_shown() -> None:
    assert alerts(running()) == ()


def test_money_that_runs_out_is_told_in_time_and_once_it_has() -> None:
    shop = running(bid=1000.0, bidfloor=1000.0, budget=10.0)
    seen = set[Alert]()
    for user in range(20):
        decision = shop.ask(f"user {user}", after_ms=60_000)
        if "cid" in decision:
            shop.see(decision)
        share = shop.ledger().spent / 10.0
        found = alerts(shop)
        seen.update(found)
        assert ("spent_80" in found) == (0.8 <= share < 1.0)
        assert ("spent" in found) == (share >= 1.0)
    assert seen == {"spent_80", "spent"}


def test_a_campaign_that_is_outbid_for_an_hour_is_not_shown_though_it_could_be() -> None:
    shop = running(bid=100.0, bidfloor=10.0)
    shop.put("rival", campaign(bid=90_000.0, budget=1e6))
    first = 0
    for _ in range(14):
        decision = shop.ask("somebody", after_ms=5 * 60_000)
        first = first or shop.now
        expected = shop.now - first > HOUR_MS
        shop.see(decision)
        assert ("not_shown" in alerts(shop)) == expected
    assert alerts(shop) == ("not_shown",)
    shop.now += DAY_MS
    assert alerts(shop) == (), "nobody has been there lately: that is not the campaign's fault"


def test_the_first_ask_after_a_night_is_no_hour_without_an_ad() -> None:
    shop = running()
    shop.ask(after_ms=9 * HOUR_MS)
    assert alerts(shop) == ()


def test_dates_and_pauses_are_all_that_is_said_of_campaigns_that_rest() -> None:
    shop = running(ends_at=stamp(NOW + HOUR_MS))
    shop.now += 2 * HOUR_MS
    assert alerts(shop) == ("ended",)
    shop.put("later", campaign(starts_at=stamp(NOW + 9 * HOUR_MS)))
    assert alerts(shop, "later") == ("not_begun",)
    shop.put("later", campaign(paused=True))
    assert alerts(shop, "later") == ("paused",)


def test_a_campaign_of_which_nothing_can_be_bought_says_so() -> None:
    shop = running(creatives=[creative("a", item_id="tent"), creative("b", item_id="lamp")])
    for item, expected in (("tent", ()), ("lamp", ("out_of_stock",))):
        row = {"title": item, "available": False}
        shop.driver.pipe("catalog.items.v1", item.encode(), json.dumps(row).encode(), shop.now)
        assert alerts(shop) == expected
    shop.driver.pipe("catalog.items.v1", b"tent", None, shop.now)
    assert alerts(shop) == ("out_of_stock",), "withdrawn is no better"


def test_what_pays_for_clicks_is_learning_until_there_were_some() -> None:
    shop = running(model="cpc", bid=1.0, bidfloor=10.0, budget=1e4)
    assert alerts(shop) == ("learning",)
    for user in range(25):
        shop.click(shop.ask(f"user {user}"))
    assert alerts(shop) == ()


def test_a_campaign_far_behind_its_plan_says_so() -> None:
    shop = running(pacing="even", bid=10.0, budget=1e4, budget_daily=100.0)
    for hour in range(34):
        shop.see(shop.ask(f"user {hour}", after_ms=HOUR_MS))
    view = shop.view()
    assert view.planned - view.spent_today > 0.2 * view.day_budget
    assert "behind_plan" in alerts(shop)


def test_what_decisions_will_still_be_charged_is_no_shortfall() -> None:
    even = msgspec.convert(campaign(pacing="even", budget=1e4), Campaign)
    view = CampaignView(even, left=9e3, planned=60.0, spent_today=10.0, day_budget=100.0)
    held = msgspec.structs.replace(view, held=40.0, held_ms=NOW, held_fades_ms=HOUR_MS)
    assert ("behind_plan" in alerts_of(view, NOW), "behind_plan" in alerts_of(held, NOW)) == (True, False)
    assert "behind_plan" in alerts_of(held, NOW + 3 * HOUR_MS), "they did not come"


def test_every_alert_has_a_text() -> None:
    assert all(TEXTS.values())
