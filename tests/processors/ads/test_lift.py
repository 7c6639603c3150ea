"""Lift: who is held out sees nothing, what is counted is what was bought, and the intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from processors.ads.campaign import Campaign, Creative
from processors.ads.holdout import is_held_out
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.lift import Arm, conversion_lift, revenue_lift
from processors.ads.no_bid import NoBid
from processors.ads.settings import AdSettings
from processors.ads.signals import CampaignSignals
from processors.ads.tracking import AdStep, AdTracking
from processors.common.time import DAY_MS
from processors.events.event import Event
from processors.users.profile import Profile
from streams.operations.reports import lift_of
from tests.processors.ads.shop import NOW, Shop, campaign

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

USERS = [f"user {n}" for n in range(60)]
HELD = {user for user in USERS if is_held_out("c", user, 0.3)}


def test_who_is_held_out_sees_nothing_and_the_log_says_what_would_have_been_shown() -> None:
    shop = Shop()
    shop.put("c", campaign(holdout=0.3, budget=10_000.0))
    asked = {user: shop.ask(user) for user in USERS for _ in range(2)}
    assert 10 < len(HELD) < 26
    assert {user for user, decision in asked.items() if decision.get("cid") is None} == HELD
    assert {decision["nbr"] for user, decision in asked.items() if user in HELD} == {int(NoBid.HELD_OUT)}
    logged = shop.read("decision-log.v1")
    assert {entry["user_id"] for entry in logged if entry.get("held_out") == "c"} == HELD
    ledger = shop.ledger()
    assert (ledger.lift_shown.users, ledger.lift_held.users) == (len(USERS) - len(HELD), len(HELD))
    assert shop.ledger().shown == 0, "nothing was seen yet"
    assert ledger.traffic_today[22] == 2 * len(USERS), "a user who is held out is an opportunity like any other"


def test_another_campaign_that_is_worth_less_does_not_take_the_place() -> None:
    shop = Shop()
    shop.put("c", campaign(holdout=0.9, budget=10_000.0))
    shop.put("d", campaign(bid=10.0, budget=10_000.0))
    held = next(user for user in USERS if is_held_out("c", user, 0.9))
    assert shop.ask(held).get("cid") is None


def test_users_who_must_not_be_known_are_shown_it_and_take_no_part() -> None:
    shop = Shop()
    shop.put("c", campaign(holdout=0.9, budget=10_000.0))
    for user in USERS[:10]:
        assert shop.request(user, purposes=[])["cid"] == "c"
    assert shop.ledger().lift_shown.users == shop.ledger().lift_held.users == 0


def test_every_purchase_within_the_time_counts_once_for_its_arm() -> None:
    shop = Shop(lift_ms=DAY_MS)
    shop.put("c", campaign(holdout=0.3, budget=10_000.0))
    shop.send("events.purchase.v1", "user 0", item_id="before", price=500.0)
    arms: dict[bool, list[float]] = {True: [], False: []}
    for number, user in enumerate(USERS[:20]):
        shop.ask(user)
        prices = [10.0 * (number % 4)] if number % 3 else [7.0, 5.0]
        for price in prices:
            shop.send("events.purchase.v1", user, after_ms=10, item_id=f"thing {price}", price=price)
        arms[user in HELD].append(sum(prices))
    shop.send("events.purchase.v1", "user 1", item_id="thing", action="refund")
    shop.now += 2 * DAY_MS
    shop.send("events.purchase.v1", "user 1", item_id="too late", price=900.0)
    ledger = shop.ledger()
    for arm, spent in ((ledger.lift_held, arms[True]), (ledger.lift_shown, arms[False])):
        assert (arm.users, arm.buyers) == (len(spent), len(spent))
        assert arm.revenue == pytest.approx(sum(spent))
        assert arm.squares == pytest.approx(sum(money**2 for money in spent))


def test_a_user_takes_part_in_so_many_trials_and_is_counted_once_in_each() -> None:
    profile = Profile()
    entered = [profile.ads.enter(cid, NOW, held=False, campaigns=2) for cid in "abcabc"]
    assert entered == [True, True, False, False, False, False]
    assert list(profile.ads.trials) == ["a", "b"]


def test_users_whose_purchases_must_not_be_measured_take_no_part() -> None:
    shop = Shop()
    shop.put("c", campaign(holdout=0.9, budget=10_000.0))
    for user in USERS[:10]:
        assert shop.request(user, purposes=["store", "target"])["cid"] == "c"
    assert shop.ledger().lift_shown.users == shop.ledger().lift_held.users == 0


def _simulated(seed: int, buying: float, lift: float) -> Ledger:
    """Users who buy by chance, more often if they are shown the campaign, through all that counts them."""
    random, settings = np.random.default_rng(seed), AdSettings()
    tracking, keeper, ledger = AdTracking(settings), LedgerKeeper(), Ledger()
    keeper.replace(ledger, Campaign("shop", (Creative("a", "Ad", "https://shop.example"),), 1.0, 100.0))
    step = AdStep(CampaignSignals(1))
    for number in range(1500):
        user, profile = f"{seed} user {number}", Profile()
        held = is_held_out("c", user, 0.3)
        tracking.enter_trial(profile, "c", NOW, step, held=held)
        for bought in range(int(random.random() < buying + (0.0 if held else lift)) * int(random.integers(1, 4))):
            price = float(np.round(random.lognormal(3.0, 0.5), 2))
            event = Event(
                event_id=f"{bought}", user_id=user, item_id="item", time_ms=NOW + 60_000, kind="purchase",
                action="purchase", price=price,
            )  # fmt: skip
            tracking.react(profile, event, step)
    for signals in step.signals.messages().values():
        for signal in signals:
            signal.check()
            keeper.learn(ledger, signal)
    return ledger


def test_intervals_hold_the_true_lift_in_ninety_of_a_hundred_worlds() -> None:
    buying, lift = 0.10, 0.04
    money = 2.0 * np.exp(3.0 + 0.125)  # two purchases on average, of log-normal prices
    held = [0, 0]
    for seed in range(100):
        ledger = _simulated(seed, buying, lift)
        shares = conversion_lift(ledger.lift_shown, ledger.lift_held)
        spent = revenue_lift(ledger.lift_shown, ledger.lift_held)
        assert shares is not None
        assert spent is not None
        held[0] += shares.low <= lift <= shares.high
        held[1] += spent.low <= lift * money <= spent.high
    assert min(held) >= 90


def test_nothing_is_said_before_there_is_something_to_compare() -> None:
    row = lift_of("c", Arm(3, 1, 5.0, 25.0), Arm())
    assert (row.buying, row.buying_held, row.conversion_lift, row.revenue_low, row.is_proven) == (
        round(1 / 3, 6), None, None, None, False,
    )  # fmt: skip
    sure = lift_of("c", Arm(9000, 1800, 18_000.0, 90_000.0), Arm(1000, 100, 1000.0, 5000.0))
    assert sure.is_proven
    assert (sure.conversion_lift, sure.revenue_lift) == (0.1, 1.0)
