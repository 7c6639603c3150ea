"""Ads obey the shop: limits, stock and rules of slates, and not what the user just had; one campaign a page."""

import json
from typing import Any

import pytest

from processors.ads.no_bid import NoBid
from tests.processors.ads.shop import NOW, Shop, campaign, creative

GIN = [creative(item_id="gin")]


def with_row(shop: Shop, **row: Any) -> Shop:
    shop.driver.pipe("catalog.items.v1", b"gin", json.dumps({"category": "drinks", **row}).encode(), NOW)
    return shop


def with_rule(shop: Shop, **rule: Any) -> Shop:
    shop.driver.pipe("catalog.rules.v1", b"r", json.dumps(rule).encode(), NOW)
    return shop


def asked(shop: Shop, creatives: list[dict[str, Any]] | None = None, **fields: Any) -> NoBid | None:
    """Ask for an ad with one campaign there; why there is none."""
    shop.put("c", campaign(creatives=creatives or GIN))
    told = shop.request(**fields)
    return NoBid(told["nbr"]) if "nbr" in told else None


@pytest.mark.parametrize(("age", "found"), [(15, NoBid.NOT_ALLOWED), (None, NoBid.NOT_ALLOWED), (30, None)])
def test_the_age_of_an_item_is_that_of_its_ad(age: int | None, found: NoBid | None) -> None:
    shop = with_row(Shop(), min_age=18)
    shop.send("events.click.v1", "u", age=age)
    assert asked(shop) is found


@pytest.mark.parametrize(("country", "found"), [("DE", None), ("FR", NoBid.NOT_ALLOWED), (None, NoBid.NOT_ALLOWED)])
def test_so_are_its_regions(country: str | None, found: NoBid | None) -> None:
    context = {"country": country} if country else {}
    assert asked(with_row(Shop(), regions=["DE"]), context=context) is found


def test_what_cannot_be_bought_is_not_advertised() -> None:
    assert asked(with_row(Shop(), available=False)) is NoBid.OUT_OF_STOCK
    withdrawn = with_row(Shop())
    withdrawn.driver.pipe("catalog.items.v1", b"gin", None, NOW)
    assert asked(withdrawn) is NoBid.OUT_OF_STOCK
    assert asked(Shop()) is None


@pytest.mark.parametrize(
    ("rule", "creatives", "found"),
    [
        ({"kind": "exclude", "items": {"ids": ["gin"]}}, GIN, NoBid.RULED_OUT),
        ({"kind": "exclude", "items": {"categories": ["drinks"]}}, GIN, NoBid.RULED_OUT),
        ({"kind": "exclude", "items": {"categories": ["drinks"]}}, [creative(category="drinks")], NoBid.RULED_OUT),
        ({"kind": "exclude", "items": {"categories": ["toys"]}}, [creative(category="drinks")], None),
        ({"kind": "expert_only", "items": {"categories": ["toys"]}}, GIN, NoBid.RULED_OUT),
        ({"kind": "exclude", "items": {"ids": ["gin"]}, "placements": ["home"]}, GIN, None),
    ],
)
def test_the_rules_of_slates_hold_for_ads(
    rule: dict[str, Any], creatives: list[dict[str, Any]], found: NoBid | None
) -> None:
    assert asked(with_rule(with_row(Shop()), **rule), creatives) is found


def test_a_campaign_goes_on_with_what_is_left() -> None:
    shop = with_row(Shop(), available=False)
    shop.put("c", campaign(creatives=[creative("a", item_id="gin"), creative("b", item_id="rum"), creative("d")]))
    shown = {shop.request(f"u{n}")["crid"] for n in range(40)}
    assert shown == {"b", "d"}


def test_what_the_user_looks_at_or_has_just_bought_is_not_advertised() -> None:
    shop = Shop()
    shop.put("c", campaign(creatives=GIN))
    shop.send("events.browse.v1", "u", item_id="gin", context={"placement": "top"})
    assert shop.read("ad-decisions.v1")[-1]["nbr"] == NoBid.AT_HAND
    assert shop.request().get("cid") == "c"
    shop.send("events.purchase.v1", "u", item_id="gin")
    assert shop.request()["nbr"] == NoBid.JUST_BOUGHT
    assert shop.request(after_ms=8 * 86_400_000).get("cid") == "c"


def test_a_page_shows_a_campaign_once() -> None:
    shop = Shop()
    for cid in ("c", "d"):
        shop.put(cid, campaign())
    page = {"page": "front"}
    shown = [shop.request(placement=name, after_ms=1, context=page) for name in ("top", "side", "foot")]
    assert {told.get("cid") for told in shown[:2]} == {"c", "d"}
    assert shown[2]["nbr"] == NoBid.SAME_PAGE
    assert shop.request(after_ms=10_000, context=page).get("cid")


@pytest.mark.parametrize("apart", [False, True])
def test_rivals_keep_off_a_page_by_setting(apart: bool) -> None:
    shop = Shop(rivals_apart=apart)
    shop.put("c", campaign(creatives=[creative(category="gin")], bid=2000.0))
    shop.put("d", campaign(creatives=[creative(category="gin")], advertiser="rival"))
    first, second = (shop.request(placement=name, after_ms=1, context={"page": "p"}) for name in ("top", "side"))
    assert first["cid"] == "c"
    assert second.get("cid") == (None if apart else "d")
