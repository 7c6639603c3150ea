"""What settings or requests block is not shown, nor what has another size, nor what nobody has approved."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from processors.ads.campaign import Campaign, Creative, read_campaign
from processors.ads.creative_limits import Blocks, CreativeLimits
from processors.ads.doubts import doubts_of
from processors.ads.no_bid import NoBid
from processors.common.domains import domain_of
from tests.processors.ads.shop import Shop, campaign, creative

GIN = [creative(landing_url="https://ads.gin.example/a", category="Drinks")]


def told(shop: Shop, fields: dict[str, Any] | None = None, **request: Any) -> NoBid | None:
    """Ask for an ad with one campaign there; why there is none."""
    shop.put("c", campaign(**{"advertiser": "Gin & Co", "creatives": GIN, **(fields or {})}))
    answer = shop.request(**request)
    return NoBid(answer["nbr"]) if "nbr" in answer else None


@pytest.mark.parametrize(
    ("lists", "found"),
    [
        ({"badv": ["ads.gin.example"]}, NoBid.BLOCKED_ADVERTISER),
        ({"badv": ["rum.example", "WWW.Gin.example"]}, NoBid.BLOCKED_ADVERTISER),
        ({"badv": ["gin & co"]}, NoBid.BLOCKED_ADVERTISER),
        ({"badv": ["in.example", "other.gin.example", "gin"]}, None),
        ({"bcat": ["drinks"]}, NoBid.BLOCKED_CATEGORY),
        ({"bcat": ["drink"]}, None),
        ({"badv": ["gin.example"], "bcat": ["drinks"]}, NoBid.BLOCKED_ADVERTISER),
        ({"badv": [], "bcat": None}, None),
    ],
)
def test_a_request_says_what_it_does_not_want(lists: dict[str, Any], found: NoBid | None) -> None:
    assert told(Shop(), **lists) is found


@pytest.mark.parametrize(
    ("settings", "placement", "found"),
    [
        ({"blocked_advertisers": ["GIN & CO"]}, "top", NoBid.BLOCKED_ADVERTISER),
        ({"blocked_advertisers": ["gin.example"]}, "top", None),
        ({"blocked_domains": ["gin.example"]}, "top", NoBid.BLOCKED_ADVERTISER),
        ({"blocked_domains": ["gin & co"]}, "top", None),
        ({"blocked_categories": ["DRINKS"]}, "top", NoBid.BLOCKED_CATEGORY),
        ({"blocked_at": {"top": {"categories": ["drinks"]}}}, "top", NoBid.BLOCKED_CATEGORY),
        ({"blocked_at": {"top": {"categories": ["drinks"]}}}, "side", None),
    ],
)
def test_settings_say_what_is_not_shown_anywhere_or_somewhere(
    settings: dict[str, Any], placement: str, found: NoBid | None
) -> None:
    assert told(Shop(**settings), placement=placement) is found
    shop = Shop(**settings)
    shop.put("c", campaign(advertiser="Gin & Co", creatives=GIN))
    assert shop.ask(placement=placement).get("nbr") == found, "events without a request are held to it, too"


def test_lists_of_request_and_settings_add_up() -> None:
    shop = Shop(blocked_categories=["toys"], blocked_at={"top": {"domains": ["rum.example"]}})
    lists: dict[str, dict[str, Any]] = {
        "toys": {"creatives": [creative(category="toys")]},
        "rum": {"creatives": [creative(landing_url="https://rum.example/a")]},
        "beer": {"advertiser": "beer"},
        "left": {"bid": 10.0},
    }
    for cid, fields in lists.items():
        shop.put(cid, campaign(**fields))
    assert shop.request(badv=["beer"])["cid"] == "left"


def test_the_domains_of_a_campaign_stand_for_those_that_its_creatives_lead_to() -> None:
    own = {"adomain": ["distillery.example"]}
    assert told(Shop(), own, badv=["distillery.example"]) is NoBid.BLOCKED_ADVERTISER
    assert told(Shop(), own, badv=["gin.example"]) is None
    with pytest.raises(ValueError, match=r"adomain: 'no domain', expected a domain such as shop\.example"):
        read_campaign(json.dumps(campaign(adomain=["no domain"])).encode())


def test_a_category_of_the_iab_stands_for_its_parts() -> None:
    wine, food = [creative(category="IAB8-18")], [creative(category="IAB80-1")]
    assert told(Shop(), {"creatives": wine}, bcat=["IAB8"]) is NoBid.BLOCKED_CATEGORY
    assert told(Shop(), {"creatives": wine}, bcat=["IAB8-5"]) is None
    assert told(Shop(), {"creatives": food}, bcat=["IAB8"]) is None


@pytest.mark.parametrize(
    ("blocked", "found"), [("DRINKS", NoBid.BLOCKED_CATEGORY), ("toys", NoBid.BLOCKED_CATEGORY), ("books", None)]
)
def test_the_category_of_an_item_is_that_of_its_ad(blocked: str, found: NoBid | None) -> None:
    shop = Shop()
    shop.driver.pipe("catalog.items.v1", b"gin", b'{"category":"Drinks"}', shop.now)
    shop.driver.pipe("catalog.items.v1", b"mat", b'{"category":"books"}', shop.now)
    ads = [creative(item_id="gin"), creative("b", item_id="unknown"), creative("d", category="toys", item_id="gin")]
    assert told(shop, {"creatives": [ads[0]]}, bcat=["drinks"]) is NoBid.BLOCKED_CATEGORY
    assert told(shop, {"creatives": [ads[2]]}, bcat=[blocked]) is found
    shop.put("c", campaign(creatives=ads))
    assert {shop.request(f"u{n}", bcat=["drinks"])["crid"] for n in range(10)} == {"b"}


def test_a_campaign_goes_on_with_what_is_not_blocked() -> None:
    shop = Shop()
    shop.put("c", campaign(creatives=[*GIN, creative("b"), creative("d", category="toys")]))
    assert {shop.request(f"u{n}", bcat=["drinks"])["crid"] for n in range(30)} == {"b", "d"}
    assert shop.request(bcat=["drinks"], badv=["shop.example"])["nbr"] == NoBid.BLOCKED_CATEGORY


def test_what_the_shop_forbids_and_what_a_request_does_add_up() -> None:
    shop = Shop()
    shop.driver.pipe("catalog.items.v1", b"gin", b'{"category":"drinks","available":false}', shop.now)
    shop.put("c", campaign(creatives=[creative("a", item_id="gin"), creative("b", category="toys")]))
    assert shop.request()["crid"] == "b"
    assert shop.request(bcat=["toys"])["nbr"] == NoBid.BLOCKED_CATEGORY
    assert shop.request(bcat=["books"])["crid"] == "b"


@pytest.mark.parametrize(
    ("size", "asked", "fits"),
    [
        ((300, 250), {}, True),
        ((300, 250), {"w": 300, "h": 250}, True),
        ((300, 250), {"w": 250, "h": 300}, False),
        ((300, 250), {"format": [{"w": 728, "h": 90}, {"w": 300, "h": 250}]}, True),
        ((300, 250), {"format": [{"w": 728, "h": 90}]}, False),
        ((300, 250), {"format": [{"w": 728, "h": 90}], "w": 300, "h": 250}, True),
        ((300, 250), {"format": []}, True),
        (None, {"w": 300, "h": 250}, True),
    ],
)
def test_a_creative_has_one_of_the_sizes_that_are_asked_for(
    size: tuple[int, int] | None, asked: dict[str, Any], fits: bool
) -> None:
    sized: dict[str, Any] = {"w": size[0], "h": size[1]} if size else {}
    found = told(Shop(), {"creatives": [creative(**sized)]}, **asked)
    assert found is (None if fits else NoBid.OTHER_SIZE)


def test_the_answer_says_which_size_it_is() -> None:
    shop = Shop()
    shop.put("c", campaign(creatives=[creative("a", w=300, h=250), creative("b", w=728, h=90)]))
    answer = shop.request(format=[{"w": 728, "h": 90}, {"w": 1, "h": 1}])
    assert (answer["crid"], answer["w"], answer["h"]) == ("b", 728, 90)


@pytest.mark.parametrize(("given", "missing"), [("w", "h"), ("h", "w")])
def test_a_creative_has_both_sides_or_neither(given: str, missing: str) -> None:
    with pytest.raises(ValueError, match=rf"creatives\[0\].{missing}: missing, expected a"):
        read_campaign(json.dumps(campaign(creatives=[{**creative(), given: 300}])).encode())


@pytest.mark.parametrize(
    ("fields", "reason", "message"),
    [
        ({"badv": "gin.example"}, "bad_blocks", "badv: 'gin.example', expected a list of at most 1000 texts"),
        ({"badv": ["a"] * 1001}, "bad_blocks", "badv: ['a', 'a'"),
        ({"bcat": ["a", 7]}, "bad_blocks", "bcat[1]: 7, expected a text of 1 to 256 characters"),
        ({"w": 300}, "bad_size", "h: None, expected pixels, a whole number from 1 to 10000"),
        ({"w": "300", "h": 250}, "bad_size", "w: '300', expected pixels"),
        ({"w": 0, "h": 250}, "bad_size", "w: 0, expected pixels"),
        ({"format": {"w": 1, "h": 1}}, "bad_size", "format: {'w': 1, 'h': 1}, expected a list of at most 32 sizes"),
        ({"format": [{"w": 1.5, "h": 1}]}, "bad_size", "format[0].w: 1.5, expected pixels"),
        ({"format": [3]}, "bad_size", "format[0]: 3, expected an object with w and h"),
    ],
)
def test_lists_and_sizes_that_cannot_be_read_are_refused(fields: dict[str, Any], reason: str, message: str) -> None:
    shop = Shop()
    shop.put("c", campaign())
    answer = shop.request(**fields)
    assert answer["nbr"] == NoBid.INVALID_REQUEST
    assert message in answer["nbr_text"]
    (letter,) = shop.driver.read("dead-letters.v1")
    assert dict(letter.headers)["__streams.errors.exception"] == reason.encode()


def test_loss_reasons_are_those_of_openrtb() -> None:
    shop = Shop(log_losers=1.0)
    lost: dict[str, dict[str, Any]] = {
        "advertiser": {"advertiser": "gin"},
        "category": {"creatives": [creative(category="toys")]},
        "size": {"creatives": [creative(w=1, h=1)]},
        "pending": {"creatives": [creative(status="pending"), creative("b", status="rejected")]},
        "rejected": {"creatives": [creative(status="rejected")]},
    }
    for cid, fields in lost.items():
        shop.put(cid, campaign(**fields))
    shop.request(badv=["gin"], bcat=["toys"], w=2, h=2)
    (logged,) = shop.read("decision-log.v1")
    assert {one["cid"]: one["loss"] for one in logged["candidates"]} == {
        "advertiser": 205, "category": 209, "size": 203, "pending": 201, "rejected": 202,
    }  # fmt: skip


def test_only_approved_creatives_are_shown() -> None:
    shop = Shop()
    states = {"a": "pending", "b": "approved", "d": "rejected"}
    ads = [creative(crid, status=status) for crid, status in states.items()]
    shop.put("c", campaign(creatives=[*ads, creative("e")]))
    assert {shop.request(f"u{n}")["crid"] for n in range(30)} == {"b", "e"}


@pytest.mark.parametrize(("status", "found"), [("pending", NoBid.PENDING), ("rejected", NoBid.REJECTED)])
def test_a_campaign_without_an_approved_creative_rests_until_it_has_one(status: str, found: NoBid) -> None:
    shop = Shop()
    assert told(shop, {"creatives": [creative(status=status)]}) is found
    shop.put("d", campaign(bid=10.0))
    assert shop.request()["cid"] == "d", "and keeps nobody else away"
    shop.put("d", None)
    assert told(shop, {"creatives": [creative(status=status), creative("b")]}) is None


def test_what_rests_for_want_of_approval_takes_no_place() -> None:
    shop = Shop(max_campaigns=1)
    shop.put("c", campaign(bid=900.0, creatives=[creative(status="pending")]))
    shop.put("d", campaign(bid=10.0))
    assert shop.request()["cid"] == "d"


def test_that_a_campaign_waits_for_approval_is_said() -> None:
    ads = [creative("a", status="pending"), creative("b", status="rejected"), creative("d", status="pending")]
    said = doubts_of(read_campaign(json.dumps(campaign(creatives=ads)).encode()))
    assert said == ("creatives: none is approved (2 pending, 1 rejected): it is shown to nobody",)
    assert doubts_of(read_campaign(json.dumps(campaign(creatives=[*ads, creative("e")])).encode())) == ()


def test_that_settings_keep_a_campaign_back_everywhere_is_said() -> None:
    one = read_campaign(json.dumps(campaign(creatives=[*GIN, creative("b", category="toys")])).encode())
    assert doubts_of(one, blocked=Blocks(categories=("drinks",))) == ()
    (said,) = doubts_of(one, blocked=Blocks(categories=("drinks", "toys")))
    assert said == "creatives: the settings users.ads.blocked_* keep back all that are approved: it is shown to nobody"


def test_what_is_remembered_of_lists_is_bounded_and_right() -> None:
    ads = [creative(str(n), category=f"c{n % 7}") for n in range(20)]
    limits = CreativeLimits.of([read_campaign(json.dumps(campaign(creatives=ads)).encode())])
    for n in [*range(200), *range(5)]:
        codes = limits.blocked(Blocks(categories=(f"c{n}",)))
        assert ([] if codes is None else codes.nonzero()[0].tolist()) == [k for k in range(20) if k % 7 == n]
    assert len(limits._found) <= 64


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("http://user:secret@Shop.example:80/a@b", "shop.example"),
        ("https://shop.example\\@evil.example/", "shop.example"),
        ("https://shop.example?x=http://other.example", "shop.example"),
        ("shop.example/path", "shop.example"),
        ("shop.example:8080", "shop.example"),
        ("www.shop.example", "shop.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("https://[::1]/", ""),
        ("", ""),
        ("gin & co", ""),
        (f"{'a' * 70}.example", f"{'a' * 70}.example"),
    ],
)
def test_domains_are_read_off_addresses(text: str, domain: str) -> None:
    assert domain_of(text) == domain


@pytest.mark.parametrize(
    "address",
    ["https:///evil.example/x", "https://a@b@evil.example/", "https://ev%69l.example/", "https://\\evil.example/"],
)
def test_an_address_without_a_plain_domain_is_refused_and_blocked_wherever_one_is(address: str) -> None:
    one = Campaign("Gin", (Creative("a", "t", address),), 2.0, 10.0)
    with pytest.raises(ValueError, match="landing_url"):
        read_campaign(msgspec.json.encode(one))
    assert CreativeLimits.of([one]).blocked(Blocks(domains=("other.example",))) is not None
    assert CreativeLimits.of([one]).blocked(Blocks(categories=("drinks",))) is None
