"""A higher tier comes first, whatever it is worth; the house comes last, costs nothing, and knows no floor."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.alerts import alerts_of
from processors.ads.auction import auction
from processors.ads.campaign import Campaign, Creative, read_campaign
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.no_bid import NoBid, loss_of
from streams.operations.campaigns import status_of, with_pause
from tests.processors.ads.shop import Shop, campaign, creative

HOUSE: dict[str, Any] = {"advertiser": "shop", "house": True, "creatives": [creative()]}


def losses(shop: Shop) -> dict[str, int]:
    logged = shop.read("decision-log.v1")[-1]
    return {candidate["cid"]: candidate.get("loss", 0) for candidate in logged["candidates"]}


def shop_with(floor: float = 0.0, **campaigns: dict[str, Any]) -> Shop:
    shop = Shop(partitions=1, log_losers=1.0, floor=floor)
    for cid, fields in campaigns.items():
        shop.put(cid, fields)
    return shop


def test_a_higher_tier_wins_whatever_it_is_worth_and_pays_for_its_own_tier_alone() -> None:
    shop = shop_with(
        rich=campaign(bid=2000.0), first=campaign(bid=300.0, priority=7), second=campaign(bid=200.0, priority=7)
    )
    decision = shop.ask()
    assert (decision["cid"], decision["price"]) == ("first", 200.0)
    assert losses(shop) == {"first": 0, "second": loss_of(NoBid.OUTBID), "rich": loss_of(NoBid.LOWER_TIER)}


def test_alone_in_its_tier_it_pays_the_floor() -> None:
    shop = shop_with(50.0, rich=campaign(bid=2000.0), first=campaign(bid=300.0, priority=6))
    assert (shop.ask()["price"], NoBid.LOWER_TIER.text) == (50.0, "one of a higher priority is shown")


@pytest.mark.parametrize(
    ("fields", "price"),
    [
        ({"bid": 100.0}, 200.0),  # below the floor
        ({"paused": True}, 200.0),
        ({"frequency": {"total": 1}}, 200.0),
        ({"budget": 0.3, "bid": 300.0}, 200.0),
    ],
)
def test_a_higher_tier_that_may_not_be_shown_keeps_nobody_away(fields: dict[str, Any], price: float) -> None:
    shop = shop_with(200.0, first=campaign(**{"bid": 300.0, "priority": 9, **fields}), rest=campaign(bid=900.0))
    for _ in range(2):
        last = shop.ask()
        shop.see(last)
    last = shop.ask()
    assert (last["cid"], last["price"]) == ("rest", price)


def test_without_a_priority_the_auction_is_as_ever() -> None:
    shop = shop_with(a=campaign(bid=900.0), b=campaign(bid=700.0, priority=5), c=campaign(bid=800.0))
    assert [shop.ask()[field] for field in ("cid", "price")] == ["a", 800.0]


def test_the_house_is_shown_where_nobody_pays_and_is_charged_nothing() -> None:
    shop = shop_with(500.0, own=HOUSE, poor=campaign(bid=100.0))
    decision = shop.ask()
    assert (decision["cid"], decision["price"], decision["charge"]) == ("own", 0.0, 0.0)
    assert losses(shop) == {"own": 0, "poor": 100}
    shop.see(decision)
    shop.click(decision)
    ledger = shop.ledger("own")
    assert (ledger.shown, ledger.clicks, ledger.spent, ledger.over) == (1, 1, 0.0, 0.0)
    shop.put("paying", campaign(bid=600.0, priority=1))
    paid = shop.ask()
    assert (paid["cid"], paid["price"]) == ("paying", 500.0)
    assert losses(shop) == {"own": loss_of(NoBid.LOWER_TIER), "poor": 100, "paying": 0}


def test_the_house_is_never_held_back_and_never_out_of_money() -> None:
    shop = shop_with(own=HOUSE)
    for n in range(60):
        decision = shop.ask(f"u{n}")
        assert decision["cid"] == "own"
        shop.see(decision)
    assert shop.view("own").rate == 1.0


def test_a_value_in_the_log_is_money_and_the_house_is_worth_none() -> None:
    shop = shop_with(own=HOUSE)
    shop.ask()
    logged = shop.read("decision-log.v1")[-1]
    (candidate,) = logged["candidates"]
    assert logged["priority"] == 0
    assert candidate["cid"] == "own"
    assert candidate.get("value", 0.0) == 0.0
    assert candidate["p_click"] > 0.0


def test_of_several_campaigns_of_the_house_that_is_shown_more_which_is_clicked() -> None:
    shop = shop_with(a=HOUSE, b=HOUSE)
    shown = {"a": 0, "b": 0}
    for n in range(150):
        decision = shop.ask(f"u{n}")
        shown[decision["cid"]] += n >= 100
        shop.see(decision)
        if decision["cid"] == "b":
            shop.click(decision)
    assert shown["b"] > 2 * shown["a"]


def test_other_limits_hold_for_the_house() -> None:
    shop = shop_with(own={**HOUSE, "frequency": {"total": 1}, "target": {"placements": ["top"]}})
    assert shop.ask(placement="side")["nbr"] == NoBid.NOT_MEANT
    shop.see(shop.ask())
    assert shop.ask()["nbr"] == NoBid.FREQUENCY_CAP


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a bid": ({"bid": 2.0}, "bid: 2.0, expected none, as house is true: the shop pays itself nothing"),
    "a budget": ({"budget": 5.0}, "budget: 5.0, expected none, as house is true"),
    "a daily budget": ({"budget_daily": 5.0}, "budget_daily: 5.0, expected none, as house is true"),
    "a floor": ({"bidfloor": 5.0}, "bidfloor: 5.0, expected none, as house is true"),
    "a model": ({"model": "cpc"}, "model: cpc, expected none, as house is true"),
    "a priority": (
        {"priority": 9},
        "priority: 9, expected none, as house is true: what pays nothing comes after all that pays",
    ),
    "no bid, and not of the house": ({"house": False, "budget": 5.0}, "bid: missing, expected an amount"),
    "no budget, and not of the house": ({"house": False, "bid": 5.0}, "budget: missing, expected an amount"),
    "a priority that there is not": ({"house": False, "bid": 5, "budget": 5, "priority": 10}, "`$.priority`"),
}


@pytest.mark.parametrize(("fields", "said"), BAD.values(), ids=BAD)
def test_what_contradicts_the_house_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_campaign(json.dumps({**HOUSE, **fields}).encode())


def test_a_campaign_of_the_house_can_be_written_and_read_again() -> None:
    own = read_campaign(json.dumps(HOUSE).encode())
    assert read_campaign(with_pause(CampaignView(own), paused=False)) == own
    view = CampaignView(own, left=0.0)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(view), type=CampaignView) == view
    status = status_of("own", view)
    assert (status.house, status.bid, status.budget) == (True, 0.0, 0.0)
    assert alerts_of(view, 0) == ()


def test_a_campaign_of_an_older_release_is_as_it_was() -> None:
    older = read_campaign(json.dumps(campaign(frequency={"per_day": 3})).encode())
    assert (older.tier, older.is_paced, older.approved == older.creatives, older.adomain) == (5, False, True, ())
    written = msgspec.json.decode(msgspec.json.encode(older))
    assert written == {**campaign(frequency={"per_day": 3}), "budget": 100.0}, "and is written as it was"


def test_places_among_the_campaigns_go_by_tier_first() -> None:
    tent = (Creative("a", "A tent", "https://shop.example/tent"),)
    index = CampaignIndex(max_campaigns=2)
    for cid, one in {
        "rich": Campaign("shop", tent, 9.0, 100.0),
        "own": Campaign("shop", tent, house=True),
        "first": Campaign("shop", tent, 1.0, 100.0, priority=6),
        "poor": Campaign("shop", tent, 0.5, 100.0),
    }.items():
        index.apply(cid, CampaignView(one, left=50.0, left_today=50.0))
    assert sorted(index.views) == ["first", "rich"]


bids = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=8)


@given(bids)
def test_the_winner_is_the_best_of_the_highest_tier_that_reaches_the_floor(drawn: list[tuple[int, int, int]]) -> None:
    tiers, values, floors = (np.array(column) for column in zip(*drawn, strict=True))
    ties, rows = np.arange(len(drawn), dtype=np.uint64), np.zeros(len(drawn), np.int64)
    winners, beaten = auction(rows, values.astype(float), floors.astype(float), ties, 1, tiers)
    able = [n for n, (_, value, floor) in enumerate(drawn) if value >= floor and value > 0]
    best = min(able, key=lambda n: (-drawn[n][0], -drawn[n][1], n), default=-1)
    assert winners[0] == best
    if best >= 0:
        rivals = [drawn[n][1] for n in able if n != best and drawn[n][0] == drawn[best][0]]
        assert beaten[0] == max([*rivals, drawn[best][2]])


def test_how_likely_an_ad_was_shown_knows_tiers() -> None:
    """Whoever is alone in the highest tier, and above its floor in every draw, is shown for certain."""
    shop = shop_with(first=campaign(priority=6), a=campaign(model="cpc", bid=50.0), b=campaign(bid=9000.0))
    assert shop.ask()["propensity"] == 1.0


def test_how_likely_an_ad_of_another_tier_was_shown_is_what_happens() -> None:
    """Each ad is shown about as often as its probabilities say: the sum of their inverses is the number of auctions."""
    shop = shop_with(30.0, first=campaign(bid=0.6, model="cpc", priority=6), rest=campaign(bid=500.0))
    inverses = {"first": 0.0, "rest": 0.0}
    for n in range(300):
        decision = shop.ask(f"u{n}")
        inverses[decision["cid"]] += 1.0 / decision["propensity"]
    assert inverses == {cid: pytest.approx(300, rel=0.15) for cid in inverses}
