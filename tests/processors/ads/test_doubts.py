"""What cannot be meant in a valid campaign is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processors.ads.campaign import read_campaign
from processors.ads.doubts import doubts_of, lacking_of, names_items
from processors.items.index import ItemIndex
from processors.items.view import ItemView, Listing
from tests.processors.ads.shop import Shop, campaign, creative

NOBODY = ": it is shown to nobody"


def doubts(target: dict[str, Any] | None = None, exclude: dict[str, Any] | None = None) -> tuple[str, ...]:
    return doubts_of(read_campaign(json.dumps(campaign(target=target or {}, exclude=exclude or {})).encode()))


@pytest.mark.parametrize(
    ("target", "exclude", "said"),
    [
        ({}, {"countries": ["DE"]}, ()),
        ({"countries": ["DE", "at"]}, {"countries": ["FR"], "devices": ["phone"]}, ()),
        ({"countries": ["DE", "at"]}, {"countries": ["AT"]}, ("countries: target and exclude both have at",)),
        ({"cities": ["Ulm"]}, {"cities": ["ULM"]}, ("cities: exclude has all that target has, Ulm" + NOBODY,)),
        ({"segments": ["group 3", "1"]}, {"segments": ["3"]}, ("segments: target and exclude both have group 3",)),
        ({"viewed_items": ["a", "b"]}, {"viewed_items": ["A"]}, ()),
        ({"viewed_items": ["a", "b"]}, {"viewed_items": ["a"]}, ("viewed_items: target and exclude both have a",)),
        ({"visitors": "new"}, {"visitors": "returning"}, ()),
        ({"visitors": "new"}, {"visitors": "new"}, ("visitors: target and exclude are both new" + NOBODY,)),
        ({"events_at_least": 3}, {"events_at_least": 4}, ()),
        ({"events_at_least": 3}, {"events_at_least": 3}, ("events_at_least: exclude has 3, target 3" + NOBODY,)),
        ({"seen_within_days": 3}, {"seen_within_days": 1}, ()),
        (
            {"seen_within_days": 3},
            {"seen_within_days": 4},
            ("seen_within_days: exclude has 4.0, target 3.0" + NOBODY,),
        ),
        (
            {"countries": ["uk", "DE", "Deutschland"]},
            {"countries": ["XX"]},
            (
                "target.countries: no country has the code uk, Deutschland, expected one of ISO 3166-1 such as DE",
                "exclude.countries: no country has the code XX, expected one of ISO 3166-1 such as DE",
            ),
        ),
        (
            {"cities": [f"c{n}" for n in range(9)]},
            {"cities": [f"C{n}" for n in range(8)]},
            ("cities: target and exclude both have c0, c1, c2, c3, c4 and 3 more",),
        ),
    ],
)  # fmt: skip
def test_lists_that_contradict_each_other_and_countries_that_are_none_are_named(
    target: dict[str, Any], exclude: dict[str, Any], said: tuple[str, ...]
) -> None:
    assert doubts(target, exclude) == said


@pytest.mark.parametrize(("wanted", "unwanted", "doubtful"), [(0.2, 0.5, False), (0.5, 0.5, True), (0.5, 0.2, True)])
def test_interests_contradict_each_other_if_whoever_has_enough_of_one_is_excluded(
    wanted: float, unwanted: float, doubtful: bool
) -> None:
    target = {"interests": [{"name": "Tents", "at_least": wanted}]}
    exclude = {"interests": [{"name": "tents", "at_least": unwanted}]}
    assert doubts(target, exclude) == (("interests: target and exclude both have Tents",) if doubtful else ())


def _view(listing: Listing | None = None) -> ItemView:
    return ItemView((0.0, 0.0, 0.0), 1, 0, 0, [], b"", b"", listing=listing)


@pytest.mark.parametrize("catalogue", [True, False])
def test_items_that_the_shop_does_not_have_are_named(catalogue: bool) -> None:
    items = ItemIndex()
    items.apply("tent", _view(Listing() if catalogue else None))
    items.apply("lamp", _view())
    raw = campaign(
        creatives=[creative("a", item_id="tent"), creative("b", item_id="lamp"), creative("c", item_id="boat")],
        target={"viewed_items": ["tent", "moon"]},
    )
    found = doubts_of(read_campaign(json.dumps(raw).encode()), lacking_of(items))
    assert found == (
        *(("creative b: the catalogue lacks lamp, which it promotes",) if catalogue else ()),
        "creative c: the catalogue lacks boat, which it promotes",
        "target.viewed_items: the catalogue lacks moon",
    )


def test_before_any_item_is_known_none_is_said_to_be_missing() -> None:
    raw = json.dumps(campaign(creatives=[creative(item_id="tent")])).encode()
    assert doubts_of(read_campaign(raw), lacking_of(ItemIndex())) == ()


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({}, False),
        ({"creatives": [creative(item_id="tent")]}, True),
        ({"exclude": {"viewed_items": ["tent"]}}, True),
        ({"target": {"viewed_categories": ["tents"]}}, False),
    ],
)
def test_items_are_looked_up_only_for_campaigns_that_name_some(fields: dict[str, Any], needed: bool) -> None:
    assert names_items(read_campaign(json.dumps(campaign(**fields)).encode())) is needed


def test_a_campaign_that_is_said_to_be_shown_to_nobody_is_shown_to_nobody() -> None:
    both = {"devices": ["Phone"]}
    assert "it is shown to nobody" in doubts(both, {"devices": ["phone"]})[0]
    shop = Shop()
    shop.put("c", campaign(target=both, exclude={"devices": ["phone"]}))
    assert shop.ask(device="phone")["nbr"] == shop.ask(device="tablet")["nbr"] == 502
