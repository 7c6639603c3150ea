"""What the campaigns of an advertiser may spend together."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.advertisers import Advertisers
from processors.ads.campaign import Campaign, Creative, read_campaign
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.doubts import disagreements_of
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignal
from processors.ads.spent_for import MOST_PARTS, SpentFor, own_part
from processors.common.hashing import partition_of
from processors.common.time import DAY_MS, HOUR_MS
from processors.models.click_model import ClickModel
from processors.users.profile import Profile
from tests.processors.ads.shop import NOW, Shop, campaign, creative

TENT = Creative("a", "A tent", "https://shop.example/tent")


def of(advertiser: str = "shop", **fields: Any) -> Campaign:
    return Campaign(advertiser, (TENT,), **{"bid": 2.0, "budget": 100.0, **fields})


def left(views: dict[str, CampaignView], now_ms: int = NOW, held: dict[str, float] | None = None) -> dict[str, float]:
    """What the advertiser of each campaign has left; nothing of those without a budget."""
    advertisers = Advertisers()
    for cid, view in views.items():
        advertisers.note(cid, view)
    numbers, found, *_ = advertisers.money(tuple(views), np.array([float(now_ms)]), held or {})
    return {cid: float(found[0, n]) for cid, n in zip(views, numbers.tolist(), strict=True) if n >= 0}


def test_what_all_campaigns_have_spent_is_taken_off_the_smallest_budget() -> None:
    views = {
        "a": CampaignView(of(), spent=20.0),
        "b": CampaignView(of(advertiser_budget=60.0), spent=5.0),
        "c": CampaignView(of(advertiser_budget=50.0, paused=True), spent=4.0),
        "d": CampaignView(of("other"), spent=99.0),
    }
    assert left(views) == {"a": 21.0, "b": 21.0, "c": 21.0}
    assert left(views, held={"a": 1.0, "d": 7.0}) == {"a": 20.0, "b": 20.0, "c": 20.0}


def test_the_day_of_each_campaign_counts_until_it_is_over() -> None:
    noon = NOW + HOUR_MS
    views = {
        "a": CampaignView(of(), spent=90.0, spent_today=6.0, day_ends_ms=noon),
        "b": CampaignView(of(advertiser_budget_daily=10.0), spent=90.0, spent_today=3.0, day_ends_ms=noon + HOUR_MS),
    }
    assert left(views)["a"] == 1.0
    assert left(views, noon)["a"] == 7.0
    assert left(views, noon + HOUR_MS)["a"] == 10.0


def test_what_is_promised_counts_and_fades() -> None:
    promised = CampaignView(of(advertiser_budget=10.0), spent=2.0, held=4.0, held_ms=NOW, held_fades_ms=1000.0)
    assert left({"a": promised}) == {"a": 4.0}
    assert left({"a": promised}, NOW + 1000)["a"] == pytest.approx(8.0 - 4.0 / np.e)


@given(st.permutations(range(6)), st.lists(st.tuples(st.integers(0, 5), st.floats(0.0, 40.0)), max_size=20))
def test_it_makes_no_difference_in_which_order_campaigns_are_published(
    order: list[int], changes: list[tuple[int, float]]
) -> None:
    def view(n: int, spent: float) -> CampaignView:
        budget = 70.0 if n % 3 == 0 else None
        return CampaignView(of(f"a{n % 2}", advertiser_budget=budget), spent=spent)

    now = np.array([float(NOW)])
    followed, last = Advertisers(), {n: float(n) for n in range(6)}
    for n in order:
        followed.note(f"c{n}", view(n, n))
    for n, spent in changes:
        followed.money(("c0",), now, {})
        last[n] = spent
        followed.note(f"c{n}", view(n, spent))
    anew = Advertisers()
    for n, spent in last.items():
        anew.note(f"c{n}", view(n, spent))
    cids = tuple(f"c{n}" for n in range(6))
    one, two = followed.money(cids, now, {}), anew.money(cids, now, {})
    assert one.left[:, one.numbers].tolist() == two.left[:, two.numbers].tolist()


def test_a_campaign_that_leaves_changes_what_is_left_and_its_budget_goes_with_it() -> None:
    advertisers, now = Advertisers(), np.array([float(NOW)])
    advertisers.note("a", CampaignView(of(advertiser_budget=30.0), spent=20.0))
    advertisers.note("b", CampaignView(of(advertiser_budget=50.0), spent=20.0))
    assert advertisers.money(("a", "b"), now, {}).left.tolist() == [[-10.0]]
    advertisers.note("a", CampaignView(of(advertiser_budget=30.0, paused=True), spent=20.0, withdrawn=True))
    assert advertisers.money(("b",), now, {}).left.tolist() == [[10.0]], "what it has spent stays"
    advertisers.note("b", CampaignView(of()))
    assert advertisers.money(("b",), now, {}).left.shape == (1, 0)


def test_so_many_campaigns_are_remembered_and_those_that_have_spent_most() -> None:
    advertisers, now = Advertisers(most=3), np.array([float(NOW)])
    for n in range(8):
        advertisers.note(f"c{n}", CampaignView(of(advertiser_budget=100.0), spent=10.0 * (n % 4)))
    found = advertisers.money(("c7",), now, {})
    assert found.left.tolist() == [[100.0 - 30.0 - 30.0 - 20.0]]


def two_campaigns(**fields: Any) -> Shop:
    """Campaigns of one advertiser on different partitions, of which the one takes phones and the other the rest."""
    shop = Shop(floor=1000.0)
    assert partition_of("phones", 2) != partition_of("rest", 2)
    shop.put("phones", campaign(target={"devices": ["phone"]}, **fields))
    shop.put("rest", campaign(exclude={"devices": ["phone"]}))
    return shop


def shown(shop: Shop, n: int) -> dict[str, Any]:
    decision = shop.ask(f"u{n}", device="phone" if n % 2 else "desktop")
    if "cid" in decision:
        shop.see(decision)
    return decision


def spent_by(shop: Shop) -> tuple[float, float]:
    return shop.ledger("phones").spent, shop.ledger("rest").spent


def test_campaigns_on_different_partitions_share_the_money_of_their_advertiser() -> None:
    shop = two_campaigns(advertiser_budget=20.0)
    decisions = [shown(shop, n) for n in range(60)]
    assert {decision.get("nbr") for decision in decisions} == {None, 550}
    assert {decision.get("nbr") for decision in decisions[-10:]} == {550}
    assert sum(spent_by(shop)) == 20.0
    assert min(spent_by(shop)) >= 8.0
    assert decisions[-1]["nbr_text"] == "the budget of its advertiser is spent"
    shop.put("phones", campaign(target={"devices": ["phone"]}, advertiser_budget=25.0))
    for n in range(40):
        shown(shop, n)
    assert sum(spent_by(shop)) == 25.0
    shop.put("else", campaign(advertiser="somebody else"))
    assert shown(shop, 30)["cid"] == "else"


def test_a_day_has_a_budget_of_the_advertiser_too() -> None:
    shop = two_campaigns(advertiser_budget_daily=12.0)
    for day in (1, 2):
        last = [shown(shop, n).get("nbr") for n in range(60)][-10:]
        assert (sum(spent_by(shop)), last) == (12.0 * day, [550] * 10)
        shop.now += DAY_MS


def test_what_a_withdrawn_campaign_has_spent_is_spent() -> None:
    shop = two_campaigns(advertiser_budget=20.0)
    shop.put("rest", campaign(exclude={"devices": ["phone"]}, advertiser_budget=20.0))
    for n in range(0, 24, 2):
        shown(shop, n)
    assert spent_by(shop) == (0.0, 12.0)
    shop.put("rest", None)
    assert list(shop.driver.topology.users.ads.campaigns.known) == ["phones"]
    for n in range(1, 60, 2):
        shown(shop, n)
    assert spent_by(shop) == (8.0, 12.0)
    shop.put("rest", campaign(advertiser_budget=20.0))
    assert shop.ledger("rest").withdrawn is None
    assert shown(shop, 7)["nbr"] == 550


def test_a_campaign_that_has_spent_nothing_is_withdrawn_without_a_trace() -> None:
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, of())
    keeper.learn(state, CampaignSignal("c", NOW, opportunities=5))
    keeper.replace(state, None)
    assert (keeper.view(state), state.withdrawn) == (None, None)


def test_whoever_names_the_budget_what_was_withdrawn_before_or_after_is_spent() -> None:
    """The campaign that is withdrawn has never named it, and the one that does may come later."""
    shop = Shop(floor=1000.0)
    shop.put("rest", campaign())
    for n in range(6):
        shown(shop, n)
    shop.put("rest", None)
    assert "rest" not in shop.driver.topology.users.ads.campaigns.known
    shop.put("phones", campaign(advertiser_budget=10.0))
    for n in range(30):
        shown(shop, n)
    assert spent_by(shop) == (4.0, 6.0)
    shop.put("rest", campaign())
    assert shown(shop, 1)["nbr"] == 550


def test_what_was_spent_under_another_name_stays_that_advertisers() -> None:
    """What this process holds back goes as ledgers publish: so it asks until nothing more is to be had."""
    shop = Shop(floor=1000.0)

    def until_spent(cid: str, name: str, **budget: float) -> float:
        shop.put(cid, campaign(advertiser=name, **budget))
        return sum("cid" in shown(shop, n) for n in range(30))

    assert until_spent("rest", "shop", advertiser_budget=8.0) == 8
    assert until_spent("rest", "mill", advertiser_budget=2.0) == 2
    assert until_spent("phones", "shop", advertiser_budget=11.0) == 3
    assert until_spent("rest", "SHOP") == 0, "it has spent 8 for the shop, and what it spent for the mill is the mill's"
    shop.put("rest", None)
    assert until_spent("rest", "mill", advertiser_budget=3.0) == 1


def test_what_a_campaign_has_spent_before_it_was_of_the_house_is_spent() -> None:
    house = Campaign("shop", (TENT,), house=True)
    views = {"a": CampaignView(of(advertiser_budget=60.0), spent=5.0), "h": CampaignView(house, spent=20.0)}
    assert left(views) == {"a": 35.0}
    views["h"] = CampaignView(house, spent=20.0, spent_for=(SpentFor("mill", 15.0),))
    assert left(views) == {"a": 50.0}


_NAMES = st.sampled_from(["shop", "mill", "Mill", "inn", None])


@given(st.lists(st.one_of(_NAMES, st.integers(-9, 9)), max_size=40), st.integers(1, 3))
def test_what_each_advertiser_has_spent_is_exact_whatever_happens(steps: list[str | int | None], days: int) -> None:
    """Charges are whole numbers, so that sums are; a return is of the latest that was charged."""
    keeper, state, owed = LedgerKeeper(), Ledger(), dict.fromkeys(("shop", "mill", "inn"), 0.0)
    charges, name = list[str](), ""
    for n, step in enumerate(steps):
        at_ms = NOW + n * DAY_MS // (days * 10)
        if not isinstance(step, int):
            name = (step or "").lower()
            keeper.replace(state, None if step is None else of(step, budget=1e6))
        elif step > 0 and name:
            keeper.learn(state, CampaignSignal("c", at_ms, charged=float(step)))
            owed[name] += step
            charges += [name] * step
        elif step < 0 and name and charges[step:] == [name] * -step:
            keeper.learn(state, CampaignSignal("c", at_ms, refunded=float(-step)))
            owed[name] += step
            del charges[step:]
    view = keeper.view(state)
    for number, one in enumerate(owed):
        budget = CampaignView(of(one, advertiser_budget=1000.0))
        views = {"budget": budget} if view is None else {"budget": budget, "c": view}
        assert left(views)["budget"] == 1000.0 - owed[one], (number, one)


def test_refunds_beyond_what_the_present_advertiser_has_spent_are_taken_off_the_last() -> None:
    keeper, state = LedgerKeeper(), Ledger()
    for name in ("shop", "mill", "inn"):
        keeper.replace(state, of(name))
        keeper.learn(state, CampaignSignal("c", NOW, charged=5.0))
    keeper.learn(state, CampaignSignal("c", NOW, refunded=7.0))
    view = keeper.view(state)
    assert view is not None
    assert [(part.advertiser, part.spent) for part in view.spent_for] == [("shop", 5.0), ("mill", 3.0)]
    assert (view.spent, own_part(state)[0]) == (8.0, 0.0)


def test_what_was_spent_today_under_another_name_counts_until_the_day_is_over() -> None:
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, of())
    keeper.learn(state, CampaignSignal("c", NOW, charged=5.0))
    keeper.replace(state, of("mill"))
    keeper.learn(state, CampaignSignal("c", NOW + 1000, charged=2.0))
    keeper.replace(state, None)

    def today(name: str, now_ms: int) -> float:
        view = keeper.view(state)
        assert view is not None
        return left({"budget": CampaignView(of(name, advertiser_budget_daily=8.0)), "c": view}, now_ms)["budget"]

    assert (today("shop", NOW + 2000), today("mill", NOW + 2000)) == (3.0, 6.0)
    assert (today("shop", NOW + DAY_MS), today("mill", NOW + DAY_MS)) == (8.0, 8.0)
    keeper.replace(state, of())
    keeper.learn(state, CampaignSignal("c", NOW + DAY_MS, charged=1.0))
    assert (today("shop", NOW + DAY_MS), today("mill", NOW + DAY_MS)) == (7.0, 8.0)


@pytest.mark.parametrize("withdrawn", [False, True])
def test_a_day_of_which_all_was_given_back_is_not_the_next_advertisers(withdrawn: bool) -> None:
    """What was spent today stays so until the day is over, and stays whose it was."""
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, of())
    keeper.learn(state, CampaignSignal("c", NOW, charged=5.0))
    keeper.learn(state, CampaignSignal("c", NOW + 1000, refunded=5.0))
    if withdrawn:
        keeper.replace(state, None)
    keeper.replace(state, of("mill"))
    view = keeper.view(state)
    assert view is not None
    for name, rest in (("shop", 3.0), ("mill", 8.0)):
        views = {"budget": CampaignView(of(name, advertiser_budget_daily=8.0)), "c": view}
        assert left(views, NOW + 2000)["budget"] == rest


def test_however_often_it_is_renamed_little_is_kept_and_nothing_forgotten() -> None:
    keeper, state = LedgerKeeper(), Ledger()
    for n in range(100):
        keeper.replace(state, of(f"shop {n}"))
        keeper.learn(state, CampaignSignal("c", NOW, charged=0.5 + n / 256.0))
    assert len(state.spent_for) == MOST_PARTS
    assert own_part(state)[0] + sum(part.spent for part in state.spent_for) == state.spent
    assert min(part.spent for part in state.spent_for) > 0.8


def test_a_return_after_it_was_withdrawn_is_heard_of() -> None:
    shop = Shop(partitions=1)
    shop.put("c", campaign(model="cpa", bid=10.0, creatives=[creative(item_id="tent")]))
    shop.put("other", campaign(bid=1.0, advertiser_budget=10.0))
    decision = shop.ask()
    assert decision["cid"] == "c"
    bought = {"decision_id": decision["decision_id"], "item_id": "tent", "price": 60.0}
    shop.send("events.purchase.v1", "u", **bought)
    shop.put("c", None)
    money = shop.driver.topology.users.ads.campaigns.left_of_advertisers(np.array([float(shop.now)]))
    assert money.left.tolist() == [[pytest.approx(10.0 - decision["charge"])]]
    shop.send("events.purchase.v1", "u", 60_000, **bought, action="refund")
    money = shop.driver.topology.users.ads.campaigns.left_of_advertisers(np.array([float(shop.now)]))
    assert money.left.tolist() == [[10.0]]


def test_many_withdrawn_campaigns_are_taken_in_quickly() -> None:
    advertisers = Advertisers(most=400)
    for n in range(4000):
        advertisers.note(f"c{n}", CampaignView(of(), spent=1.0 + n, withdrawn=True))
        assert len(advertisers._views) <= 500
    advertisers.note("b", CampaignView(of(advertiser_budget=1e7)))
    assert advertisers.money(("b",), np.array([float(NOW)]), {}).left[0, 0] < 1e7 - 400 * 3500.0


def test_a_micro_batch_keeps_to_it() -> None:
    """What is decided before is taken off before the next is decided, whichever campaign of the advertiser wins."""
    index, pipeline = market(advertiser_budget=0.0105)
    decided = pipeline.decide(opportunities(40))
    costs = [one.cost for one in decided if one.cid in ("one", "two")]
    assert {one.cid for one in decided[:5]} == {"one", "two"}
    assert sum(costs) - costs[-1] < 0.0105 <= sum(costs) + 1e-9
    assert {one.cid for one in decided[len(costs) :]} == {"cheap"}
    for one in decided:
        index.hold(one.cid, one.cost)
    assert {one.cid for one in pipeline.decide(opportunities(5))} == {"cheap"}, "held by this process"
    _, plain = market()
    unlimited = [one for one in plain.decide(opportunities(40)) if one.cid != "cheap"]
    assert len(unlimited) == 40
    for one, other in zip(decided[: len(costs)], unlimited, strict=False):
        assert (one.cid, one.price, one.propensity) == (other.cid, other.price, other.propensity)


def test_why_it_lost_is_logged() -> None:
    _, pipeline = market(advertiser_budget=0.0025)
    losses = [{c.cid: c.loss for c in one.candidates} for one in pipeline.decide(opportunities(9))]
    assert losses[-1] == {"cheap": 0, "one": NoBid.NO_ADVERTISER_BUDGET, "two": NoBid.NO_ADVERTISER_BUDGET}


def market(**fields: Any) -> tuple[CampaignIndex, AdPipeline]:
    """Two campaigns of an advertiser, equally dear, and a cheaper one of another; each pays one thousandth."""
    index = CampaignIndex()
    for cid, one in (("one", of(**fields)), ("two", of()), ("cheap", of("other", bid=1.0))):
        index.apply(cid, CampaignView(one, left=100.0, left_today=100.0))
    return index, AdPipeline(AdSettings(log_losers=1.0, floor=1.0), index, ClickModel(), ClickModel())


def opportunities(count: int) -> list[Opportunity]:
    return [Opportunity(f"d{n}", f"u{n}", Profile(), NOW, "top", {"placement": "top"}) for n in range(count)]


def test_what_contradicts_is_said() -> None:
    campaigns = {
        "a": of(advertiser_budget=70.0, advertiser_budget_daily=5.0),
        "b": of(advertiser_budget=50.0, dayparts={"timezone": "Europe/Berlin"}),
        "c": of("other", advertiser_budget=90.0),
        "d": of(),
    }
    campaigns = {cid: msgspec.convert(msgspec.to_builtins(one), Campaign) for cid, one in campaigns.items()}
    assert disagreements_of(campaigns) == {
        "a": ("advertiser_budget: 70.0, but b of the same advertiser has 50.0, which counts",),
        "b": ("dayparts.timezone: Europe/Berlin, but a of the same advertiser has UTC: their days differ",),
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"advertiser_budget": 0}, "advertiser_budget"),
        (
            {"advertiser_budget": 10.0, "advertiser_budget_daily": 11.0},
            "advertiser_budget_daily: 11.0, expected at most",
        ),
        ({"advertiser_budget": 0.5}, "advertiser_budget: 0.5, expected at least what it bids for one impression"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(fields: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_campaign(json.dumps(campaign(**fields)).encode())
