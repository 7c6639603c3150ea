"""What is charged, when, how often, and never beyond the budget."""

from typing import Any

import pytest

from tests.processors.ads.shop import Shop, campaign, creative


def against(rival: float, **fields: Any) -> Shop:
    """A campaign, and one that bids so much for a thousand impressions."""
    shop = Shop()
    shop.put("c", campaign(**fields))
    shop.put("rival", campaign(bid=rival))
    return shop


def test_the_winner_pays_what_it_had_to_beat() -> None:
    shop = against(400.0)
    assert shop.ask()["price"] == 400.0
    alone = Shop(floor=250.0)
    alone.put("c", campaign())
    assert alone.ask()["price"] == 250.0


def test_a_click_costs_what_makes_it_worth_as_much_as_the_next() -> None:
    shop = against(10.0, model="cpc", bid=5.0)
    decision = shop.ask()
    assert decision["charge"] == pytest.approx(0.01 / decision["p_click"], rel=1e-6)
    assert decision["price"] == pytest.approx(10.0), "what a thousand impressions come to"


@pytest.mark.parametrize("floor", [0.0004, 1.234567, 250.0])
def test_an_impression_is_charged_a_thousandth_of_the_price(floor: float) -> None:
    shop = Shop(floor=floor)
    shop.put("c", campaign())
    decision = shop.ask()
    shop.see(decision)
    assert decision["price"] == floor
    assert shop.ledger().spent == decision["charge"] == pytest.approx(floor / 1000.0, rel=1e-9)


def test_floors_are_of_placements() -> None:
    shop = Shop(floors={"top": 2000.0, "side": 900.0})
    shop.put("c", campaign())
    assert (shop.ask()["nbr"], shop.ask(placement="side")["cid"]) == (509, "c")


def test_a_campaign_may_have_a_floor_of_its_own() -> None:
    shop = Shop(floor=250.0)
    shop.put("c", campaign(bid=900.0, bidfloor=750.0))
    shop.put("rival", campaign(bid=500.0))
    assert shop.ask()["price"] == 750.0
    shop.put("c", campaign(bid=800.0, model="cpc", budget=900.0, bidfloor=790_000.0))
    assert shop.ask()["cid"] == "rival", "a click is not likely enough"


@pytest.mark.parametrize(
    ("model", "charged"),
    [("cpm", {"see": 1}), ("cpc", {"see": 0, "click": 1}), ("cpa", {"see": 0, "click": 0, "buy": 1})],
)
def test_only_what_is_paid_for_is_charged_and_once(model: str, charged: dict[str, int]) -> None:
    shop = Shop(floor=10.0)
    shop.put("c", campaign(model=model, bid=90.0))
    decision = shop.ask()
    for _ in range(2):
        shop.see(decision)
        assert shop.ledger().spent == pytest.approx(decision["charge"] * charged["see"])
    for _ in range(2):
        shop.click(decision)
        assert shop.ledger().spent == pytest.approx(decision["charge"] * charged.get("click", 1))
    for _ in range(2):
        shop.send("events.purchase.v1", "u", decision_id=decision["decision_id"])
        assert shop.ledger().spent == pytest.approx(decision["charge"])
    state = shop.ledger()
    assert (state.shown, state.clicks, state.conversions) == (1, 1, 1)


def test_a_click_that_comes_before_its_impression_says_that_it_was_seen() -> None:
    shop = Shop(floor=500.0)
    shop.put("c", campaign())
    decision = shop.ask()
    shop.click(decision)
    shop.see(decision)
    assert (shop.ledger().shown, shop.ledger().spent) == (1, 0.5)


def test_impressions_are_inferred_or_explicit_never_both() -> None:
    shop = Shop(impressions="inferred", floor=500.0)
    shop.put("c", campaign())
    decision = shop.ask()
    assert shop.ledger().shown == 1
    shop.see(decision)
    assert (shop.ledger().shown, shop.ledger().spent) == (1, 0.5)


@pytest.mark.parametrize(("after_ms", "counts"), [(1_800_000, True), (1_800_001, False)])
def test_a_click_counts_within_its_window(after_ms: int, counts: bool) -> None:
    shop = Shop()
    shop.put("c", campaign())
    decision = shop.ask()
    shop.see(decision)
    shop.click(decision, after_ms=after_ms)
    assert shop.ledger().clicks == counts


@pytest.mark.parametrize(
    ("clicked", "after_ms", "counts"),
    [
        (False, 86_400_000, True),
        (False, 86_400_001, False),
        (True, 604_800_000, True),
        (True, 604_800_001, False),
    ],
)
def test_a_purchase_counts_within_its_window(clicked: bool, after_ms: int, counts: bool) -> None:
    shop = Shop()
    shop.put("c", campaign(creatives=[creative(item_id="tent")]))
    decision = shop.ask()
    shop.see(decision)
    if clicked:
        shop.click(decision)
    shop.send("events.purchase.v1", "u", after_ms, item_id="tent")
    assert shop.ledger().conversions == counts


def test_without_an_id_the_last_ad_that_led_to_the_item_gets_the_click() -> None:
    shop = Shop(clicks_only_by_id=False)
    shop.put("c", campaign(creatives=[creative(item_id="tent")]))
    first, second = shop.ask(), shop.ask()
    shop.see(first)
    shop.see(second)
    shop.send("events.click.v1", "u", item_id="boat")
    shop.send("events.click.v1", "u", item_id="tent")
    profile = shop.profile("u")
    assert [bool(decision.clicked_ms) for decision in profile.ads.decisions] == [False, True]
    assert shop.ledger().clicks == 1


def test_somebody_elses_decision_is_nobodys() -> None:
    shop = Shop()
    shop.put("c", campaign())
    decision = shop.ask("u")
    shop.see({**decision, "user_id": "v"})
    assert shop.ledger().shown == 0


def test_a_refund_undoes_what_was_charged_for_a_purchase() -> None:
    shop = Shop(floor=10.0)
    shop.put("c", campaign(model="cpa", bid=90.0))
    decision = shop.ask()
    shop.send("events.purchase.v1", "u", decision_id=decision["decision_id"])
    assert shop.ledger().spent > 0.0
    for _ in range(2):
        shop.send("events.purchase.v1", "u", decision_id=decision["decision_id"], action="refund")
        assert shop.ledger().spent == 0.0


def test_nothing_is_billed_beyond_the_budget_and_what_was_shown_too_much_is_counted() -> None:
    shop = Shop(floor=1000.0)
    shop.put("c", campaign(budget=100.0))
    decisions = [shop.ask(f"u{n}") for n in range(4)]
    shop.put("c", campaign(budget=2.5))  # cut while they are on screens
    for decision in decisions:
        shop.see(decision)
    state = shop.ledger()
    assert (state.spent, state.over) == (2.5, 1.5)
    assert shop.ask("late")["nbr"] == 505


def test_a_day_has_a_budget_of_its_own() -> None:
    shop = Shop(floor=1000.0)
    shop.put("c", campaign(budget_daily=2.0))
    for n in range(2):
        shop.see(shop.ask(f"u{n}"))
    assert shop.ask("u2")["nbr"] == 505
    shop.now += 2 * 3_600_000
    assert shop.ask("u4").get("cid") == "c"


def test_a_refund_is_taken_from_what_the_user_has_spent() -> None:
    shop = Shop()
    shop.send("events.purchase.v1", "u", price=30.0, quantity=2)
    shop.send("events.purchase.v1", "u", price=30.0, action="refund")
    assert (shop.profile("u").spent, shop.profile("u").purchases) == (30.0, 1)
    shop.send("events.purchase.v1", "u", action="refund")
    assert (shop.profile("u").spent, shop.profile("u").purchases) == (0.0, 0)


def test_what_was_decided_counts_until_the_ledger_publishes_what_is_left() -> None:
    shop = Shop(floor=1000.0)
    shop.put("c", campaign(budget=2.5))
    view = shop.view()
    for processor in shop.driver.processors["campaigns"]:  # the ledger is silent
        processor.prepare = lambda batches: None  # type: ignore[method-assign]
    outcomes = [shop.ask(f"u{n}").get("nbr") for n in range(4)]
    assert outcomes == [None, None, None, 505]
    shop.driver.topology.users.ads.campaigns.apply("c", view)
    assert "cid" in shop.ask("late")
