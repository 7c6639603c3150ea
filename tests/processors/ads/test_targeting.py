"""Who and what a campaign is for."""

from typing import Any

import pytest

from processors.ads.no_bid import NoBid
from processors.ads.user_facts import shares_of
from processors.models.interest_groups import GroupView, vectors_of
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


NAMES = [("TENTS", "tents"), ("cafe\u0301", "CAF\u00c9"), ("Straße", "STRASSE"), ("ｔｅｎｔｓ", "tents")]


@pytest.mark.parametrize(("said", "asked"), NAMES)
def test_names_are_the_same_in_every_case_and_unicode_form(said: str, asked: str) -> None:
    for target in (
        {"interests": [{"name": asked, "at_least": 0.9}]},
        {"viewed_categories": [asked]},
        {"cities": [asked]},
        {"placements": [asked]},
    ):
        shop = Shop()
        shop.put("c", campaign(target=target))
        shop.put("never", campaign(bid=2000.0, exclude=target))
        shop.send("events.click.v1", "u", item_id="tent", category=said)
        decision = shop.ask(placement=said, city=said)
        assert decision.get("cid") == "c", target
        assert decision["reasons"][0]["kind"] in ("interest", "viewed_category", "place", "best_value")
        assert decision["reasons"][0]["kind"] != "best_value" or "placements" in target


def test_shares_of_one_interest_in_two_spellings_add_up() -> None:
    assert shares_of(Profile(categories={"Tents": 1.0, "tents": 1.0, "boats": 2.0}), {"tents"}) == {"tents": 0.5}


def test_who_asks_after_a_pause_has_returned() -> None:
    shop = Shop()
    shop.put("back", campaign(target={"visitors": "returning"}))
    shop.put("new", campaign(target={"visitors": "new"}))
    assert shop.request()["cid"] == "new"
    shop.send("events.click.v1", "u")
    assert shop.request(after_ms=60_000)["cid"] == "new"
    assert shop.request(after_ms=1_800_000)["cid"] == "back"
    assert shop.profile("u").sessions == 1, "a request is no visit"


def test_language_and_place_are_remembered_alike() -> None:
    shop = Shop()
    shop.put("c", campaign(target={"languages": ["DE"], "countries": ["de"], "cities": ["Kiel"]}))
    assert shop.request()["nbr"] == NoBid.NOT_MEANT
    shop.send("events.click.v1", "u", context={"country": "DE", "city": "Kiel", "locale": "de-DE"})
    assert shop.request(after_ms=40 * 86_400_000)["cid"] == "c"
    assert shop.request(context={"locale": "fr"})["nbr"] == NoBid.NOT_MEANT


@pytest.mark.parametrize(
    ("name", "shown"),
    [("1", True), ("group 1", True), ("Group-1", True), ("segment:1", True), ("TENTS", True), ("0", False),
     ("group 0", False), ("boats", False), ("lamps", False), ("my group 1", False)],
)  # fmt: skip
def test_a_segment_is_named_by_its_number_or_by_what_it_chooses_most(name: str, shown: bool) -> None:
    shop = Shop()
    groups = shop.driver.topology.users.read.groups
    centres = vectors_of([Profile(categories={"boats": 1.0}), Profile(categories={"tents": 1.0})]).astype("<f4")
    labels = (("boats",), ("tents", "lamps"))
    groups.apply([GroupView(row.tobytes(), 0.5, label, (), ()) for row, label in zip(centres, labels, strict=True)])
    shop.put("c", campaign(target={"segments": [name]}))
    shop.put("others", campaign(bid=900.0, exclude={"segments": [name]}))
    for _ in range(3):
        shop.send("events.click.v1", "u", category="tents")
    assert shop.ask()["cid"] == ("c" if shown else "others")
