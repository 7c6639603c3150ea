"""Requests for an ad, and what may be known of who is there."""

import json
from typing import Any

import pytest

from tests.processors.ads.shop import NOW, Shop, campaign

AGREED: dict[str, Any] = {"purposes": ["store", "target"]}
NOT_AGREED: dict[str, Any] = {"purposes": ["measure"]}


def test_a_request_is_answered_with_its_id() -> None:
    shop = Shop()
    shop.put("c", campaign())
    answer = shop.request(request_id="r7")
    assert (answer["request_id"], answer["cid"], answer["placement"]) == ("r7", "c", "top")
    shop.see(answer)
    assert shop.ledger().shown == 1


def test_a_request_is_answered_when_there_is_no_campaign() -> None:
    answer = Shop().request()
    assert (answer["nbr"], answer["nbr_text"]) == (500, "there is no campaign")


def test_a_repeated_request_is_not_answered_again() -> None:
    shop = Shop()
    shop.put("c", campaign())
    shop.request(request_id="r7")
    with pytest.raises(IndexError):
        shop.request(request_id="r7")
    assert shop.ledger().spent == 0.0


def test_a_request_is_no_visit() -> None:
    shop = Shop()
    shop.put("c", campaign())
    shop.send("events.click.v1", "u")
    before = shop.profile("u")
    shop.read("recommendations.v1")
    shop.request()
    after = shop.profile("u")
    assert (after.events, after.item_ids, after.last_seen) == (before.events, before.item_ids, before.last_seen)
    assert shop.read("recommendations.v1") == []


@pytest.mark.parametrize(("bidfloor", "price"), [(500.0, 500.0), (100.0, 250.0), (None, 250.0)])
def test_the_higher_floor_counts(bidfloor: float | None, price: float) -> None:
    shop = Shop(floor=250.0)
    shop.put("c", campaign())
    assert shop.request(bidfloor=bidfloor)["price"] == price


@pytest.mark.parametrize(("currency", "price"), [("USD", 400.0), ("usd", 400.0), ("EUR", 500.0), (None, 500.0)])
def test_a_floor_counts_in_the_currency_that_the_request_names(currency: str | None, price: float) -> None:
    shop = Shop(rates={"USD": 0.8})
    shop.put("c", campaign())
    answer = shop.request(bidfloor=500.0, bidfloorcur=currency)
    assert (answer["price"], answer["currency"]) == (price, "EUR")


def test_a_currency_without_a_floor_asks_for_nothing() -> None:
    shop = Shop(floor=250.0)
    shop.put("c", campaign())
    assert shop.request(bidfloorcur="XAU")["price"] == 250.0


def test_a_request_knows_where_its_user_was_and_says_where_the_user_is() -> None:
    shop = Shop()
    shop.put("c", campaign(target={"countries": ["DE"], "devices": ["phone"]}))
    assert shop.request(context={"device": "phone"})["nbr"] == 502
    shop.send("events.click.v1", "u", context={"country": "DE"})
    assert shop.request(context={"device": "phone"})["cid"] == "c"
    assert shop.request(context={"device": "phone", "country": "FR"})["nbr"] == 502
    assert shop.profile("u").context == {"country": "DE"}


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"placement": None}, "missing_field", "placement: missing"),
        ({"placement": 3.5}, "wrong_type", "placement: 3.5"),
        ({"bidfloor": -1}, "bad_floor", "bidfloor: -1"),
        ({"bidfloor": "3"}, "bad_floor", "bidfloor: '3'"),
        (
            {"bidfloor": 3, "bidfloorcur": "XAU"},
            "bad_floor",
            "bidfloorcur: 'XAU', expected one of EUR, USD (money.rates)",
        ),
        ({"bidfloor": 3, "bidfloorcur": ""}, "bad_floor", "bidfloorcur: ''"),
        ({"bidfloor": 3, "bidfloorcur": 978}, "bad_floor", "bidfloorcur: 978, expected a code such as EUR"),
        ({"timestamp": "yesterday"}, "bad_timestamp", "timestamp: 'yesterday'"),
    ],
)
def test_a_request_that_makes_no_sense_is_answered_so(fields: dict[str, Any], reason: str, message: str) -> None:
    shop = Shop(rates={"USD": 0.8})
    shop.put("c", campaign())
    answer = shop.request(request_id="r7", **fields)
    assert (answer["request_id"], answer["nbr"]) == ("r7", 2)
    assert message in answer["nbr_text"]
    (letter,) = shop.driver.read("dead-letters.v1")
    assert dict(letter.headers)["__streams.errors.exception"] == reason.encode()
    assert json.loads(letter.value or b"")["request_id"] == "r7"


def test_a_request_that_does_not_say_who_asked_is_only_a_dead_letter() -> None:
    shop = Shop()
    shop.driver.pipe("ads.requests.v1", b"u", b'{"request_id":"r7","placement":"top"}', NOW)
    assert shop.read("ad-decisions.v1") == []
    assert len(shop.driver.read("dead-letters.v1")) == 1


def test_a_request_on_a_wrong_partition_is_forwarded() -> None:
    shop = Shop()
    shop.put("c", campaign())
    value = {"request_id": "r7", "user_id": "u", "timestamp": shop.now, "placement": "top"}
    for partition in range(2):
        raw = json.dumps({**value, "request_id": f"r{partition}"}).encode()
        shop.driver.pipe("ads.requests.v1", b"u", raw, shop.now, partition=partition)
    assert [answer["request_id"] for answer in shop.read("ad-decisions.v1")] == ["r0", "r1"]


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "cpc", "bid": 1.0},
        {"model": "cpa", "bid": 1.0},
        {"frequency": {"per_day": 1}},
        {"target": {"interests": [{"name": "tents"}]}},
        {"target": {"visitors": "new"}},
        {"target": {"segments": ["0"]}},
        {"exclude": {"viewed_items": ["tent"]}},
        {"exclude_purchasers": True},
    ],
)
def test_without_consent_a_campaign_that_must_know_the_user_has_no_part(fields: dict[str, Any]) -> None:
    shop = Shop()
    shop.put("c", campaign(**fields))
    answer = shop.request(**NOT_AGREED)
    assert (answer["nbr"], answer["nbr_text"]) == (511, "the user has not agreed to what it needs to know")


def test_without_consent_the_moment_decides() -> None:
    shop = Shop()
    shop.put("c", campaign(target={"devices": ["phone"]}))
    shop.send("events.click.v1", "u", context={"device": "phone"})
    assert shop.request(**NOT_AGREED)["nbr"] == 502
    assert shop.request(context={"device": "phone"}, **NOT_AGREED)["cid"] == "c"


def test_without_consent_nothing_of_the_user_is_stored() -> None:
    shop = Shop(floor=500.0)
    shop.put("c", campaign())
    answer = shop.request(**NOT_AGREED)
    assert answer["cid"] == "c"
    assert all(p.store.read(["u"]) == [None] for p in shop.driver.processors["users"])
    (record,) = shop.driver.read("decision-log.v1")
    assert record.key is None
    assert json.loads(record.value or b"")["user_id"] == ""
    assert shop.ledger().spent == 0.5


def test_without_consent_a_visit_is_noted_and_its_ad_is_not() -> None:
    shop = Shop()
    shop.put("c", campaign())
    shop.send("events.browse.v1", "u", context={"placement": "top"}, purposes=["store", "measure"])
    profile = shop.profile("u")
    assert (profile.events, profile.ads.decisions, profile.ads.impressions) == (1, [], {})


@pytest.mark.parametrize(
    ("consent", "fields", "knows"),
    [
        ("assumed", {}, True),
        ("assumed", NOT_AGREED, False),
        ("assumed", {"purposes": []}, False),
        ("assumed", {"purposes": "target"}, False),
        ("assumed", {"purposes": None}, True),
        ("required", {}, False),
        ("required", AGREED, True),
        ("required", {"purposes": ["measure", "target", "store", 3]}, True),
    ],
)
@pytest.mark.parametrize("way", ["request", "event"])
def test_who_is_taken_to_have_agreed(consent: str, fields: dict[str, Any], knows: bool, way: str) -> None:
    shop = Shop(consent=consent)
    shop.put("c", campaign(frequency={"per_day": 9}))
    if way == "request":
        answer = shop.request(**fields)
    else:
        shop.send("events.browse.v1", "u", context={"placement": "top"}, **fields)
        answer = shop.read("ad-decisions.v1")[-1]
    assert ("cid" in answer) == knows


@pytest.mark.parametrize(
    ("zone", "shown"), [("Asia/Tokyo", True), ("America/Lima", False), (None, False), ("Moon/Base", False)]
)
@pytest.mark.parametrize("when", ["now", "before"])
def test_hours_may_be_of_the_users_time_zone(zone: str | None, shown: bool, when: str) -> None:
    shop = Shop()
    shop.put("c", campaign(dayparts={"hours": [7], "of": "user"}))  # in UTC it is 22
    if when == "before":
        shop.send("events.click.v1", "u", context={"time_zone": zone})
        answer = shop.request()
    else:
        answer = shop.request(context={"time_zone": zone})
    assert ("cid" in answer) == shown


def test_a_time_zone_that_there_is_none_of_is_noted_as_a_repair() -> None:
    shop = Shop()
    shop.send("events.click.v1", "u", context={"time_zone": "Moon/Base", "country": "DE"})
    assert shop.profile("u").context == {"country": "DE"}
