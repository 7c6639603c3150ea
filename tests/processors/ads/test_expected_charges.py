"""What is held for decisions that may still be charged is what comes of them, so that budgets are kept."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.campaign import Campaign, Creative
from processors.ads.expected_charges import TIMES_MS, ExpectedCharges, bin_of
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.signals import CampaignSignal
from processors.common.time import HOUR_MS
from processors.users.ad_history import Model
from tests.processors.ads.shop import NOW, Shop, campaign, creative

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

TENT = Creative("a", "A tent", "https://shop.example/tent")


@dataclass
class Market:
    """Decisions of one campaign, and the charges that come of some of them after a while."""

    model: Model
    odds: float
    delay_ms: float
    budget: float
    holding: bool = True
    daily: float | None = None
    state: Ledger = field(default_factory=Ledger)

    def run(self, seed: int, hours: int = 72, per_minute: int = 4) -> float:
        """Return what was delivered beyond the budget, as a share of it."""
        random, keeper, due = np.random.default_rng(seed), LedgerKeeper(), list[tuple[int, int]]()
        keeper.replace(
            self.state,
            Campaign("shop", (TENT,), 1.0, self.budget, model=self.model, budget_daily=self.daily, pacing="asap"),
        )
        keeper.learn(self.state, CampaignSignal("c", NOW))
        for now in range(NOW, NOW + hours * HOUR_MS, 60_000 // per_minute):
            charged = [at for at, decided in due if at <= now]
            signal = CampaignSignal("c", now, charged=float(len(charged)))
            for at, decided in due:
                if at <= now:
                    signal.charge_after(at - decided)
            due = [entry for entry in due if entry[0] > now]
            self.state.published_ms = now
            view = keeper.view(self.state)
            assert view is not None
            if min(view.left_today, view.left - (view.held if self.holding else 0.0)) > 0.0:
                signal.expected_cost = self.odds
                if random.random() < self.odds:
                    due.append((now + int(random.exponential(self.delay_ms)), now))
            keeper.learn(self.state, signal)
        return self.state.over / self.budget


@pytest.mark.parametrize(
    ("model", "odds", "delay_ms", "budget", "most"),
    [("cpc", 0.1, 30_000.0, 300.0, 0.01), ("cpa", 0.02, 12.0 * HOUR_MS, 50.0, 0.10)],
)
def test_little_is_given_away_though_charges_come_late(
    model: Model, odds: float, delay_ms: float, budget: float, most: float
) -> None:
    hours = 24 if model == "cpc" else 72
    beyond = [Market(model, odds, delay_ms, budget).run(seed, hours) for seed in range(3)]
    assert np.mean(beyond) <= most


def test_without_it_much_of_what_is_bought_late_is_given_away() -> None:
    """The control: what would be if only charges counted."""
    assert Market("cpa", 0.02, 12.0 * HOUR_MS, 50.0, holding=False).run(0) > 0.5


def test_the_budget_is_spent_in_the_end() -> None:
    market = Market("cpc", 0.1, 30_000.0, 300.0)
    market.run(1)
    assert market.state.spent == pytest.approx(300.0, abs=2.0)


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(0, 10**8), st.integers(0, 9)), max_size=20))
def test_what_is_held_never_grows_by_itself_and_never_exceeds_what_was_expected(
    steps: list[tuple[float, int, int]],
) -> None:
    expected, moment, whole = ExpectedCharges(), NOW, 0.0
    for cost, passed, late in steps:
        before = expected.held("cpa", moment)
        moment += passed
        assert expected.held("cpa", moment) <= before + 1e-9
        delays = [0] * len(TIMES_MS)
        delays[late % len(TIMES_MS)] = 1
        expected.add(cost, tuple(delays), moment - late)
        whole += cost
        assert 0.0 <= expected.held("cpa", moment) <= whole + 1e-6


def test_delays_fall_into_the_nearest_time() -> None:
    assert [bin_of(time) for time in TIMES_MS] == list(range(len(TIMES_MS)))
    assert [bin_of(delay) for delay in (-5, 0, 10**12)] == [0, 0, len(TIMES_MS) - 1]


def test_a_shop_notes_what_it_expects_and_how_long_charges_take() -> None:
    shop = Shop()
    shop.put("c", campaign(model="cpa", bid=5.0, bidfloor=10.0, budget=100.0, creatives=[creative(item_id="tent")]))
    decision = shop.ask()
    held = shop.ledger().expected_charges
    assert sum(held.sums) > 0.0
    shop.see(decision)
    shop.send("events.purchase.v1", "u", after_ms=3 * HOUR_MS, item_id="tent", price=9.0)
    delays = shop.ledger().expected_charges.delays
    assert delays[bin_of(3 * HOUR_MS)] == 1.0
    assert sum(delays) == 1.0


def test_a_day_of_purchases_that_come_on_other_days_is_spent_all_the_same() -> None:
    """What is promised by the days before does not keep a campaign from the money of its day."""
    market = Market("cpa", 0.02, 12.0 * HOUR_MS, 1e6)
    market.daily = 40.0
    market.run(3, hours=24 * 6)
    assert market.state.spent > 0.85 * 40.0 * 5


def test_what_is_held_fades_though_nothing_is_published() -> None:
    shop = Shop()
    shop.put("c", campaign(bid=1000.0, bidfloor=1000.0, budget=3.0))
    for n in range(6):
        assert shop.ask(f"user {n}", after_ms=HOUR_MS)["cid"] == "c", "an hour after an ad that nobody saw"


def test_a_clock_that_was_ahead_does_not_make_what_follows_look_old() -> None:
    expected = ExpectedCharges()
    expected.add(1.0, (), NOW + 300_000)
    for n in range(20):
        expected.add(1.0, (), NOW + n)
    assert expected.held("cpm", NOW + 20) == pytest.approx(21.0)
