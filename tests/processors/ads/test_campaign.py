"""Campaigns that make no sense are refused with the field's name; others are known to everybody."""

import json
import re
from typing import Any

import pytest

from processors.ads.campaign import read_campaign
from tests.processors.ads.shop import Shop, campaign, creative

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no budget": ({"budget": 0}, "`$.budget`"),
    "a negative budget": ({"budget": -5}, "`$.budget`"),
    "an absurd budget": ({"budget": 1e12}, "`$.budget`"),
    "more a day than in all": ({"budget_daily": 200.0}, "budget_daily: 200.0, expected at most the budget"),
    "a click dearer than all": ({"model": "cpc", "bid": 500}, "bid: 500.0, expected at most the budget"),
    "an impression dearer than all": ({"bid": 1e6}, "bid: 1000000.0 for a thousand"),
    "over before it begins": (
        {"starts_at": "2025-01-02T00:00:00Z", "ends_at": "2025-01-01T00:00:00Z"},
        "ends_at: 2025-01-01T00:00:00+00:00, expected after starts_at",
    ),
    "no time zone": ({"starts_at": "2025-01-02T00:00:00"}, "starts_at: 2025-01-02T00:00:00, expected a time zone"),
    "no currency": ({"currency": "euro"}, "`$.currency`"),
    "a floor above its bid": (
        {"bidfloor": 5000.0, "bid": 4000.0},
        "bidfloor: 5000.0 for a thousand, expected at most what it bids for as many, 4000.0",
    ),
    "a language with a region": ({"target": {"languages": ["de-AT"]}}, "`$.target.languages[0]`"),
    "no creatives": ({"creatives": []}, "`$.creatives`"),
    "a creative twice": ({"creatives": [creative("a"), creative("a")]}, "creatives: two are called 'a'"),
    "an empty title": ({"creatives": [creative(title="")]}, "`$.creatives[0].title`"),
    "no address": ({"creatives": [creative(landing_url="javascript:alert(1)")]}, "creatives[0].landing_url"),
    "targeting on an unknown field": (
        {"target": {"shoe_size": [42]}},
        "unknown field shoe_size in target; there are ",
    ),
    "an hour that there is not": ({"dayparts": {"hours": [24]}}, "`$.dayparts.hours[0]`"),
    "a time zone that there is not": ({"dayparts": {"timezone": "Mars/Base"}}, "dayparts.timezone: 'Mars/Base'"),
    "an unknown model": ({"model": "cpx"}, "`$.model`, expected one of cpa, cpc, cpm"),
}


@pytest.mark.parametrize(("fields", "said"), BAD.values(), ids=BAD)
def test_what_is_no_campaign_says_why(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_campaign(json.dumps(campaign(**fields)).encode())


def test_what_is_refused_goes_to_the_dead_letters_and_changes_nothing() -> None:
    shop = Shop()
    shop.put("c", campaign())
    shop.put("c", campaign(budget=-1))
    shop.put("d", campaign(currency="USD"))
    assert shop.view().campaign.budget == 100.0
    assert "d" not in shop.driver.topology.users.ads.campaigns.views
    shop.driver.pipe("catalog.campaigns.v1", b"c", json.dumps(campaign()).encode(), shop.now, partition=0)
    shop.driver.pipe("catalog.campaigns.v1", b"c", json.dumps(campaign()).encode(), shop.now, partition=1)
    assert shop.ask()["cid"] == "c"


def test_a_currency_that_ads_are_not_in_is_named() -> None:
    shop = Shop(currency="CHF")
    shop.put("c", campaign())
    letters = list(shop.driver.read("dead-letters.v1"))
    headers = dict(letters[0].headers)
    assert b"currency: EUR, expected CHF (money.currency)" in headers["__streams.errors.message"]
    assert json.loads(letters[0].value or b"") == campaign()


def test_without_campaigns_nothing_is_published() -> None:
    shop = Shop()
    shop.send("events.browse.v1", "u", context={"placement": "top"})
    assert shop.read("ad-decisions.v1") == shop.read("decision-log.v1") == []


def test_a_campaign_that_is_withdrawn_is_not_shown_any_more() -> None:
    shop = Shop()
    shop.put("c", campaign())
    shown = shop.ask()
    assert shown["cid"] == "c"
    shop.put("c", None)
    shop.put("d", campaign(paused=True))
    assert shop.ask()["nbr"] == 501
    shop.click(shown)
    assert shop.ledger().clicks == 1, "what was shown before still counts"
