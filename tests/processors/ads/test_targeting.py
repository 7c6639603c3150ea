"""Who and what a campaign is for."""

from typing import Any

import pytest

from processors.ads.no_bid import NoBid
from processors.ads.user_facts import shares_of
from processors.users.profile import Profile
from tests.processors.ads.shop import Shop, campaign, creative

AT: dict[str, Any] = {"device": "Phone", "country": "DE", "locale": "de-CH"}


def answer(**fields: Any) -> Any:
    """What a user who looked at tents on a phone in Germany gets of a campaign: its id, or why not."""
    shop = Shop()
    shop.put("c", campaign(**fields))
    shop.send("events.click.v1", "u", item_id="tent", category="tents", channel="mail")
    shop.send("events.purchase.v1", "u", item_id="lamp", category="lamps", price=30)
    decision = shop.ask(**AT)
    return decision.get("cid") or decision["nbr"]


def test_interests_that_have_faded_to_nothing_are_none() -> None:
    assert shares_of(Profile(categories={"tents": 0.0}), {"tents"}) == {"tents": 0.0}


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ({}, True),
        ({"devices": ["phone"]}, True),
        ({"devices": ["tablet"]}, False),
        ({"devices": ["tablet", "PHONE"], "countries": ["de"]}, True),
        ({"devices": ["phone"], "countries": ["FR"]}, False),
        ({"languages": ["de"]}, True),
        ({"languages": ["en"]}, False),
        ({"channels": ["mail"]}, True),
        ({"channels": ["search"]}, False),
        ({"placements": ["top"]}, True),
        ({"placements": ["side"]}, False),
        ({"cities": ["Kiel"]}, False),
        ({"interests": [{"name": "lamps", "at_least": 0.5}]}, True),
        ({"interests": [{"name": "lamps", "at_least": 0.9}]}, False),
        ({"visitors": "new"}, True),
        ({"visitors": "returning"}, False),
        ({"events_at_least": 3}, True),
        ({"events_at_least": 4}, False),
        ({"spent_at_least": 30}, True),
        ({"spent_at_least": 31}, False),
        ({"seen_within_days": 1}, True),
        ({"viewed_items": ["tent"]}, True),
        ({"viewed_items": ["boat"]}, False),
        ({"viewed_categories": ["tents"]}, True),
        ({"viewed_categories": ["boats"]}, False),
        ({"segments": ["7"]}, False),
    ],
)
def test_a_campaign_is_for_those_that_every_field_agrees_to(target: dict[str, Any], shown: bool) -> None:
    assert answer(target=target) == ("c" if shown else NoBid.NOT_MEANT)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"exclude": {"devices": ["phone"]}}, NoBid.NOT_MEANT),
        ({"exclude": {"viewed_items": ["tent"]}}, NoBid.EXCLUDED),
        ({"exclude": {"viewed_items": ["boat"]}}, "c"),
        ({"exclude_purchasers": True, "creatives": [creative(item_id="lamp")]}, NoBid.EXCLUDED),
        ({"exclude_purchasers": True, "creatives": [creative(item_id="tent")]}, "c"),
        ({"dayparts": {"hours": [22]}}, "c"),
        ({"dayparts": {"hours": [21]}}, NoBid.OTHER_HOURS),
        ({"dayparts": {"hours": [23], "timezone": "Europe/Berlin"}}, "c"),
        ({"dayparts": {"days": ["tue"]}}, "c"),
        ({"dayparts": {"days": ["wed"]}}, NoBid.OTHER_HOURS),
        ({"dayparts": {"days": ["wed"], "timezone": "Asia/Tokyo"}}, "c"),
        ({"paused": True}, NoBid.NOT_RUNNING),
        ({"starts_at": "2024-01-01T00:00:00Z"}, NoBid.NOT_RUNNING),
        ({"ends_at": "2023-01-01T00:00:00Z"}, NoBid.NOT_RUNNING),
        ({"starts_at": "2023-01-01T00:00:00Z", "ends_at": "2024-01-01T00:00:00Z"}, "c"),
    ],
)
def test_what_keeps_a_campaign_away_is_named(fields: dict[str, Any], expected: int | str) -> None:
    assert answer(**fields) == expected


def test_the_reason_is_what_the_campaign_is_for() -> None:
    shop = Shop()
    shop.put("c", campaign(target={"viewed_items": ["tent"], "devices": ["phone"]}))
    shop.send("events.click.v1", "u", item_id="tent")
    reasons = shop.ask(**AT)["reasons"]
    assert [(reason["kind"], reason["value"]) for reason in reasons] == [("viewed_item", "tent"), ("place", "Phone")]


def test_events_without_a_placement_are_no_opportunities() -> None:
    shop = Shop()
    shop.put("c", campaign())
    shop.send("events.browse.v1", "u", context={"device": "phone"})
    shop.send("events.click.v1", "u", context={"placement": "top"})
    assert shop.read("ad-decisions.v1") == []
    both = Shop(on=["browse", "click"])
    both.put("c", campaign())
    both.send("events.click.v1", "u", context={"placement": "top"})
    assert len(both.read("ad-decisions.v1")) == 1
