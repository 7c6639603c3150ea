"""Goals of campaigns: what is bid for the sake of a purchase, and how the target is kept."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.alerts import alerts_of
from processors.ads.campaign import Campaign, Creative, read_campaign
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.doubts import doubts_of
from processors.ads.goal import Goal
from processors.ads.goal_control import MOST_FACTOR, goal_view
from processors.ads.goal_figures import GoalFigures, GoalView
from processors.ads.goal_signal import GoalSignal
from processors.ads.goal_worth import goal_worth_of
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.opportunity import Opportunity
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignal
from processors.common.time import DAY_MS, MINUTE_MS
from processors.items.index import ItemIndex
from processors.items.view import ItemView, Listing
from processors.models.click_model import ClickModel
from processors.users.profile import Profile
from streams.cli.campaign_tables import _goal_line
from streams.operations.campaigns import status_of
from tests.oracle import DecidedBefore, states_of
from tests.processors.ads.batches import batch
from tests.processors.ads.goal_world import Market
from tests.processors.ads.shop import NOW, Shop, campaign, creative
from tests.processors.ads.test_pipeline import pipeline_of

TENT = Creative("a", "A tent", "https://shop.example/tent", item_id="tent")


def with_goal(goal: Goal, **fields: Any) -> Campaign:
    return Campaign(
        "shop", (TENT,), **{"bid": 5.0, "budget": 1e6, "model": "cpc", "pacing": "asap", **fields}, goal=goal
    )


def kept(goal: Goal, **fields: Any) -> tuple[LedgerKeeper, Ledger]:
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, with_goal(goal, **fields))
    return keeper, state


def factor_of(state: Ledger) -> float:
    assert state.goal is not None
    return state.goal.factor


def pursue(keeper: LedgerKeeper, state: Ledger, minutes: int, cost: float, purchases: int, begin: int = NOW) -> int:
    """Spend so much every minute, which brings so many purchases of 30 at once; the moment after."""
    for minute in range(minutes):
        goal = GoalSignal(1, purchases, 30.0 * purchases, pursuit=1, cost=cost, charged=cost)
        for _ in range(purchases):
            goal.buy(30.0, 0)
        at_ms = begin + minute * MINUTE_MS
        keeper.learn(state, CampaignSignal("c", at_ms, decided=1, charged=cost, expected_cost=cost, goal=goal))
    return begin + minutes * MINUTE_MS


# In a market where purchases are known and rivals bid for showings; of a week the last four days count.


@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_purchase_costs_what_it_may() -> None:
    market = Market({"bid": 9000.0, "goal": {"cpa": 5.0}}).run(7)
    spent, bought, _ = market.since(3)
    assert bought > 300
    assert spent / bought == pytest.approx(5.0, rel=0.15)
    assert max(market.prices) <= 9.0
    assert market.state.over == 0.0


@pytest.mark.slow
@pytest.mark.unmeasured
def test_what_is_spent_returns_what_it_has_to() -> None:
    market = Market({"bid": 40.0, "model": "cpc", "goal": {"roas": 8.0}}).run(7)
    spent, bought, revenue = market.since(3)
    assert bought > 300
    assert revenue / spent == pytest.approx(8.0, rel=0.15)


@pytest.mark.slow
@pytest.mark.unmeasured
def test_a_target_too_tight_spends_little() -> None:
    """The cheapest purchase that can be had costs more than twice as much."""
    market = Market({"bid": 9000.0, "goal": {"cpa": 0.8}}).run(6)
    spent, _, _ = market.since(4)
    loose = Market({"bid": 9000.0, "goal": {"cpa": 500.0}}).run(1)
    assert 0.0 < spent / 2.0 < 0.02 * loose.state.spent, "a day, relative to a day of bidding as much as it may"
    assert loose.days[0][0] / loose.days[0][1] < 0.2 * 500.0, "it cannot spend more, though it could"


def test_the_factor_moves_by_a_step_a_minute_at_most() -> None:
    keeper, state = kept(Goal(cpa=10.0))
    seen = [factor_of(state)]
    for second in range(0, 600, 10):
        at_ms = NOW + 1000 * second
        goal = GoalSignal(pursuit=1, cost=50.0, charged=50.0)
        keeper.learn(state, CampaignSignal("c", at_ms, decided=1, charged=50.0, expected_cost=50.0, goal=goal))
        seen.append(factor_of(state))
    steps = np.diff(np.log(seen))
    assert (steps >= np.log(0.95) - 1e-9).all()
    assert np.count_nonzero(steps) == 10
    assert seen[-1] < 0.65


def test_too_dear_goes_down_and_too_cheap_goes_up() -> None:
    for cost, up in ((20.0, False), (5.0, True), (10.0, None)):
        keeper, state = kept(Goal(cpa=10.0))
        pursue(keeper, state, 60, cost, 1)
        assert (factor_of(state) > 1.02) is (up is True)
        assert (factor_of(state) < 0.98) is (up is False)


def test_the_return_counts_what_purchases_bring_in() -> None:
    for target, up in ((6.0, False), (2.0, True)):
        keeper, state = kept(Goal(roas=target))
        pursue(keeper, state, 60, 10.0, 1)  # 30 for 10
        assert (factor_of(state) > 1.0) is up


def test_no_single_purchase_makes_it_jump() -> None:
    keeper, state = kept(Goal(cpa=10.0))
    now = pursue(keeper, state, 5, 10.0, 1)
    before = factor_of(state)
    pursue(keeper, state, 1, 0.0, 1, now)
    assert 1.0 <= factor_of(state) / before <= 1.05 + 1e-9
    pursue(keeper, state, 30, 0.0, 0, now)
    assert factor_of(state) < 1.4 * before


def test_what_is_still_to_come_counts() -> None:
    """Decisions whose purchases are awaited are no reason to bid less; weeks later they are."""
    keeper, state = kept(Goal(cpa=10.0))
    for minute in range(30):
        goal = GoalSignal(bids=1, expected=1.0, pursuit=1, cost=10.0, charged=10.0)
        at_ms = NOW + minute * MINUTE_MS
        keeper.learn(state, CampaignSignal("c", at_ms, decided=1, charged=10.0, expected_cost=10.0, goal=goal))
    assert factor_of(state) > 0.85
    later = NOW + 20 * DAY_MS
    for minute in range(30):
        keeper.learn(state, CampaignSignal("c", later + minute * MINUTE_MS, decided=1))
    assert factor_of(state) < 0.5


def test_one_that_bids_in_vain_bids_more_until_it_wins() -> None:
    keeper, state = kept(Goal(cpa=10.0))
    begin = pursue(keeper, state, 10, 30.0, 0)
    seen = []
    for minute in range(24 * 60):
        keeper.learn(state, CampaignSignal("c", begin + minute * MINUTE_MS, goal=GoalSignal(bids=10)))
        seen.append(factor_of(state))
    assert max(seen[:55]) == seen[0], "for the first hour it waits"
    assert seen[-1] > 20.0 * seen[55]
    assert max(np.diff(np.log(seen))) <= np.log(1.05) + 1e-9
    assert np.count_nonzero(np.diff(seen[120:])) <= 24 * 6
    pursue(keeper, state, 30, 30.0, 0, begin + DAY_MS)
    assert factor_of(state) < seen[-1] / 4.0


def test_without_bids_nothing_is_in_vain() -> None:
    """A campaign that is out of money or held back is not raised."""
    keeper, state = kept(Goal(cpa=10.0))
    begin = pursue(keeper, state, 10, 30.0, 0)
    before = factor_of(state)
    for minute in range(24 * 60):
        keeper.learn(state, CampaignSignal("c", begin + minute * MINUTE_MS, opportunities=50))
    assert factor_of(state) < before


@given(
    st.lists(
        st.tuples(
            st.integers(-DAY_MS, 9 * DAY_MS), st.floats(0.0, 1e6), st.integers(0, 3), st.integers(0, 300), st.booleans()
        ),
        max_size=30,
    ),
    st.sampled_from([Goal(cpa=3.0), Goal(roas=4.0), Goal(roas=0.5, value="margin")]),
)
def test_whatever_happens_the_factor_is_within_bounds(
    steps: list[tuple[int, float, int, int, bool]], goal: Goal
) -> None:
    keeper, state = kept(goal)
    for after, cost, purchases, bids, returned in steps:
        told = GoalSignal(bids, purchases / 2, 9.0 * purchases, purchases, 20.0 * purchases, int(returned), 20.0)
        told.pursuit, told.cost, told.charged = 1, cost, cost
        signal = CampaignSignal("c", NOW + after, decided=bids % 2, charged=cost, expected_cost=cost, goal=told)
        keeper.learn(state, signal)
        view = goal_view(state, NOW + after)
        assert view is not None
        assert 1.0 / MOST_FACTOR <= view.factor <= MOST_FACTOR
        assert all(0.0 <= figure < float("inf") for figure in msgspec.structs.astuple(view))


def test_another_target_goes_on_and_another_goal_begins_anew() -> None:
    keeper, state = kept(Goal(cpa=10.0))
    pursue(keeper, state, 20, 30.0, 1)
    figures = state.goal
    keeper.replace(state, with_goal(Goal(cpa=20.0)))
    assert state.goal is figures
    keeper.replace(state, with_goal(Goal(roas=3.0)))
    assert (factor_of(state), state.goal) == (1.0, GoalFigures("roas of revenue", pursuit=2))
    keeper.replace(state, Campaign("shop", (TENT,), 1.0, 10.0))
    assert state.goal is None
    view = keeper.view(state)
    assert view is not None
    assert view.goal is None


def worth(goal: Goal, item: ItemView | None, view: GoalView | None = None) -> float:
    """What a purchase of the tent may cost."""
    index, items = CampaignIndex(), ItemIndex()
    index.apply("plain", CampaignView(Campaign("shop", (TENT,), 1.0, 10.0)))
    index.apply("c", CampaignView(with_goal(goal), goal=view))
    if item is not None:
        items.apply("tent", item)
    found = goal_worth_of(index.columns, items)
    assert found is not None
    assert found.allowed[1] == np.inf
    return float(found.allowed[0])


def tent(price: float | None, margin: float | None = None) -> ItemView:
    return ItemView((0.0, 0.0, 0.0), 1, 0, 0, [], b"", b"", price=price, listing=Listing(margin=margin))


def test_what_a_purchase_may_cost() -> None:
    known = GoalView(factor=1.5, purchase_value=20.0)
    assert worth(Goal(cpa=12.0), None) == 12.0
    assert worth(Goal(cpa=12.0), tent(80.0), known) == 18.0
    assert worth(Goal(roas=4.0), tent(80.0)) == 20.0
    assert worth(Goal(roas=4.0), tent(80.0, 0.25), known) == 30.0
    assert worth(Goal(roas=4.0, value="margin"), tent(80.0, 0.25), known) == 7.5
    assert worth(Goal(roas=4.0, value="margin"), tent(80.0), known) == 30.0, "the margin is not known"
    assert worth(Goal(roas=4.0), tent(None), known) == worth(Goal(roas=4.0), None, known) == 7.5, "as its own so far"
    assert worth(Goal(roas=4.0), None) == 100.0, "nothing is known: what makes the bid right, 5.0 for a click"


def test_without_any_goal_nothing_is_looked_up() -> None:
    index = CampaignIndex()
    index.apply("plain", CampaignView(Campaign("shop", (TENT,), 1.0, 10.0)))
    assert goal_worth_of(index.columns, ItemIndex()) is None


def test_a_bid_is_what_the_purchase_may_cost_times_its_probability_and_no_more_than_the_bid() -> None:
    for model, bid in (("cpm", 300.0), ("cpc", 2.0), ("cpa", 40.0)):
        shop = Shop(partitions=1, log_losers=1.0, exploration=0.0)
        shop.put("c", campaign(bid=bid, model=model, goal={"cpa": 5.0}))
        decision = shop.ask()
        log = shop.read("decision-log.v1")[-1]
        odds = decision["p_click"] * decision["p_conversion"]
        assert log["candidates"][0]["value"] == pytest.approx(5000.0 * odds, rel=1e-6)
        shop.put("c", campaign(bid=bid, model=model, goal={"cpa": 5e5}, budget=1e6))
        shop.ask()
        plain = {"cpm": bid, "cpc": 1000.0 * bid * decision["p_click"], "cpa": 1000.0 * bid * odds}[model]
        assert shop.read("decision-log.v1")[-1]["candidates"][0]["value"] == pytest.approx(plain, rel=1e-6)


def test_nobody_pays_more_than_the_goal_allows_or_the_bid() -> None:
    with_goals = 0
    for one in map(batch, range(60)):
        for decided in pipeline_of(one).decide(one.opportunities):
            if decided.campaign is not None and decided.campaign.goal is not None:
                with_goals += 1
                assert decided.price <= decided.campaign.bid_each + 1e-9
                assert decided.value_share == 1.0
            elif decided.campaign is not None:
                assert (decided.value_share, decided.purchase_value) == (None, 0.0)
    assert with_goals > 20


@pytest.mark.slow
@pytest.mark.unmeasured
def test_the_chance_that_is_logged_is_how_often_an_ad_with_a_goal_is_shown() -> None:
    """Bids are drawn, as what a click is worth to a goal is, also where showings are paid for."""
    index, n = CampaignIndex(), 3000
    for cid, one in (("c", with_goal(Goal(cpa=5.0), bid=900.0, model="cpm")), ("m", with_goal(Goal(cpa=1e9), bid=0.6))):
        index.apply(cid, CampaignView(one, left=1e9, left_today=1e9))
    index.apply("rival", CampaignView(Campaign("r", (TENT,), 70.0, 1e9), left=1e9, left_today=1e9))
    asked = [Opportunity(f"d{number}", "u", Profile(), NOW, "top", {"placement": "top"}) for number in range(n)]
    shown: dict[str, list[float]] = {}
    for decided in AdPipeline(AdSettings(log_losers=0.0), index, ClickModel(), ClickModel()).decide(asked):
        shown.setdefault(decided.cid, []).append(decided.propensity)
    assert set(shown) == {"c", "m", "rival"}
    for chances in shown.values():
        often = len(chances) / n
        assert float(np.sum(1.0 / np.array(chances))) / n == pytest.approx(1.0 - (1.0 - often) ** 16, abs=0.08)


def test_the_list_of_campaigns_shows_the_goal() -> None:
    view = CampaignView(with_goal(Goal(cpa=12.0)), goal=GoalView(0.93, 0.0, 131.0, 10.0))
    status = status_of("c", view)
    assert (status.goal, status.achieved, status.factor) == (Goal(cpa=12.0), 13.1, 0.93)
    assert _goal_line(status) == "  goal: cpa 12.00, lately 13.10, with a factor of 0.93"
    new = status_of("c", CampaignView(with_goal(Goal(roas=4.0)), goal=GoalView()))
    assert _goal_line(new) == "  goal: roas 4.00, lately -, with a factor of 1.00"
    assert status_of("c", CampaignView(Campaign("shop", (TENT,), 1.0, 10.0))).goal is None


def test_a_goal_that_never_binds_changes_nothing() -> None:
    """All that is decided, drawn and charged is the same to the last bit."""
    for seed in range(20):
        decided = []
        for goal in (None, Goal(cpa=1e9)):
            one = batch(seed)
            known = [found for found in one.opportunities if not found.contextual]
            for cid, view in list(one.index.views.items()):
                plain = msgspec.structs.replace(view.campaign, goal=goal)
                one.index.apply(cid, msgspec.structs.replace(view, campaign=plain))
            ignored: dict[str, Any] = {"campaign": None, "value_share": None, "bids": {}, "pursuit": 0}
            decided.append([msgspec.structs.replace(d, **ignored) for d in pipeline_of(one).decide(known)])
        assert decided[0] == decided[1]


def shopping(shop: Shop) -> list[bytes]:
    """Campaigns with goals, purchases and a refund; the log of decisions."""
    shop.driver.pipe("catalog.items.v1", b"tent", b'{"title":"Tent","price":60.0,"margin":0.5}', shop.now)
    creatives = [creative("a", item_id="tent"), creative("b")]
    shop.put("c", campaign(bid=5.0, model="cpc", goal={"roas": 3.0, "value": "margin"}, creatives=creatives))
    shop.put("d", campaign(bid=400.0, goal={"cpa": 20.0}, creatives=creatives))
    shop.put("rival", campaign(bid=30.0))
    return visits(shop)


def visits(shop: Shop) -> list[bytes]:
    for n in range(40):
        decision = shop.ask(f"u{n % 7}", after_ms=90_000, device="phone" if n % 2 else "desktop")
        if "cid" in decision:
            shop.see(decision)
            shop.click(decision)
            if n % 3 == 0:
                event = {"decision_id": decision["decision_id"], "item_id": "tent", "price": 60.0}
                shop.send("events.purchase.v1", decision["user_id"], 60_000, **event)
                if n % 9 == 0:
                    shop.send("events.purchase.v1", decision["user_id"], 60_000, **event, action="refund")
    return [record.value or b"" for record in shop.driver.read("decision-log.v1")]


def test_a_replay_gives_the_same_bytes() -> None:
    """Of the same events, and of the events with the log of the decisions alone."""
    first, again, logged = Shop(), Shop(), Shop()
    log = shopping(first)
    assert shopping(again) == log
    logged.driver.topology.users.ads.decider = DecidedBefore(log)
    assert len(shopping(logged)) == len(log)
    for plane in ("users", "campaigns"):
        states = [
            {key: value for p in shop.driver.processors[plane] for key, value in states_of(p.store).items()}
            for shop in (first, again, logged)
        ]
        assert states[0] == states[1] == states[2]
    figures = [shop.ledger(cid).goal for shop in (first,) for cid in ("c", "d")]
    assert sum(one.purchases for one in figures) > 3.0
    assert sum(one.expected for one in figures) > 0.0
    of_margin = first.ledger("c").goal
    assert 0.0 < of_margin.value <= 60.0 * of_margin.purchases
    assert of_margin.value / of_margin.purchases < 60.0 or not of_margin.purchases


def test_a_refund_takes_back_what_a_purchase_brought() -> None:
    shop = Shop(partitions=1)
    shop.put("c", campaign(goal={"roas": 3.0}, creatives=[creative(item_id="tent")]))
    decision = shop.ask()
    bought = {"decision_id": decision["decision_id"], "item_id": "tent", "price": 60.0}
    shop.send("events.purchase.v1", "u", **bought)
    assert (shop.ledger().goal.purchases, shop.ledger().goal.value) == pytest.approx((1.0, 60.0), rel=1e-3)
    shop.send("events.purchase.v1", "u", **bought, action="refund")
    assert (shop.ledger().goal.purchases, shop.ledger().goal.value) == (0.0, 0.0)


def of_goal(shop: Shop) -> tuple[float, float, float, float]:
    """Return what a goal rests on: what was spent, what purchases brought in, their number, and what was expected."""
    figures = shop.ledger().goal
    return figures.spent, figures.value, figures.purchases, figures.cost


def sell(shop: Shop, user: str, decision: dict[str, Any], **fields: Any) -> None:
    bought = {"decision_id": decision["decision_id"], "item_id": "tent", "price": 60.0}
    shop.send("events.purchase.v1", user, **bought, **fields)


def test_what_was_decided_before_there_was_the_goal_does_not_count() -> None:
    """Whether there was none, one of another kind, or one that was taken back; the money of the budget counts."""
    shop = Shop(partitions=1)
    pays = {"model": "cpa", "bid": 10.0, "creatives": [creative(item_id="tent")]}
    shop.put("c", campaign(**pays))
    without = shop.ask("u1")
    shop.put("c", campaign(**pays, goal={"roas": 3.0, "value": "margin"}))
    other = shop.ask("u2")
    shop.put("c", campaign(**pays, goal={"roas": 3.0}))
    assert shop.view("c").goal == GoalView(1.0, 30.0, pursuit=2)
    for user, decision in (("u1", without), ("u2", other)):
        sell(shop, user, decision)
    spent = shop.ledger().spent
    assert spent == pytest.approx(without["charge"] + other["charge"])
    assert of_goal(shop) == (0.0, 0.0, 0.0, 0.0)
    shop.put("c", campaign(**pays))
    shop.put("c", campaign(**pays, goal={"roas": 3.0}))
    now = shop.ask("u3")
    sell(shop, "u2", other, action="refund")
    assert of_goal(shop)[:3] == (0.0, 0.0, 0.0)
    sell(shop, "u3", now)
    assert of_goal(shop)[:3] == pytest.approx((now["charge"], 60.0, 1.0), rel=1e-3)
    assert of_goal(shop)[3] == pytest.approx(now["price"] / 1000.0, rel=1e-3)
    sell(shop, "u3", now, action="refund")
    assert of_goal(shop)[:3] == (0.0, 0.0, 0.0)
    assert shop.ledger().spent == pytest.approx(without["charge"])


def test_of_what_is_not_billed_the_goal_has_its_part() -> None:
    keeper, state = kept(Goal(cpa=10.0), budget=30.0)
    goal = GoalSignal(pursuit=1, charged=40.0)
    keeper.learn(state, CampaignSignal("c", NOW, charged=60.0, goal=goal))
    assert state.goal is not None
    assert (state.spent, state.over, state.goal.spent) == (30.0, 30.0, 20.0)


def test_who_must_not_be_known_is_not_shown_it() -> None:
    shop = Shop()
    shop.put("c", campaign(goal={"cpa": 20.0}))
    assert shop.request(purposes=["store"])["nbr"] == 511


@pytest.mark.parametrize(
    ("goal", "said"),
    [
        ({}, "goal: neither of cpa and roas, expected one of them"),
        ({"cpa": 1.0, "roas": 2.0}, "goal: both of cpa and roas, expected one of them"),
        ({"cpa": 1.0, "value": "margin"}, "goal.value: margin with cpa, expected roas"),
        ({"cpa": 0}, "goal.cpa"),
        ({"roas": 2.0, "value": "profit"}, "goal.value"),
        ({"acos": 2.0}, "acos"),
    ],
)
def test_a_goal_that_cannot_be_pursued_is_refused(goal: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_campaign(json.dumps(campaign(goal=goal)).encode())


def test_what_cannot_be_meant_is_said() -> None:
    cheap = with_goal(Goal(cpa=12.0), model="cpa", bid=10.0)
    assert doubts_of(cheap) == ("goal.cpa: 12.0, but it never pays more for a purchase than its bid, 10.0",)
    nothing = msgspec.structs.replace(
        with_goal(Goal(roas=2.0, value="margin")), creatives=(Creative("a", "A", "x" * 9),)
    )
    assert "no creative promotes an item" in doubts_of(nothing)[0]
    assert doubts_of(with_goal(Goal(cpa=12.0))) == ()


def test_a_goal_that_is_missed_is_an_alert() -> None:
    def found(spent: float, gained: float, goal: Goal) -> bool:
        view = CampaignView(with_goal(goal), left=9.0, goal=GoalView(1.0, 30.0, spent, gained))
        return "goal_missed" in alerts_of(view, NOW)

    assert found(250.0, 20.0, Goal(cpa=10.0))
    assert not found(230.0, 20.0, Goal(cpa=10.0))
    assert not found(90.0, 1.0, Goal(cpa=10.0)), "too early to say"
    assert found(200.0, 300.0, Goal(roas=2.0))
    assert not found(200.0, 330.0, Goal(roas=2.0))


def test_signals_that_cannot_be_are_refused() -> None:
    for told, said in (
        (GoalSignal(value=-1.0), "goal.value is -1.0"),
        (GoalSignal(delays=(1,)), "goal.delays has 1 counts"),
        (GoalSignal(expected=float("nan")), "goal.expected is nan"),
    ):
        with pytest.raises(ValueError, match=said):
            CampaignSignal("c", 1, goal=told).check()


def test_states_and_messages_of_older_releases_are_read_as_before() -> None:
    def shortened(new: Any, fields: int) -> Any:
        raw = msgspec.msgpack.encode(msgspec.to_builtins(new)[:-fields])
        return msgspec.msgpack.decode(raw, type=type(new))

    plain = Campaign("shop", (TENT,), 1.0, 10.0)
    for new, fields in (
        (Ledger(plain, spent=4.0), 4),
        (CampaignView(plain, spent=4.0), 3),
        (CampaignSignal("c", 5, charged=1.0), 1),
    ):
        assert shortened(new, fields) == new
    shop = Shop(partitions=1)
    shop.put("c", campaign())
    shop.ask()
    assert not {"purchase_value", "value_share", "bids", "pursuit"} & shop.read("decision-log.v1")[-1].keys()
    assert b"goal" not in msgspec.json.encode(plain)
    assert b"advertiser_budget" not in msgspec.json.encode(plain)
