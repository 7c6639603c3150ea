"""Even pacing on days that are no whole days: campaigns that begin or end at noon, or are for some hours."""

from datetime import UTC, datetime
from typing import Any

import pytest

from processors.ads.campaign import Campaign, Creative, Dayparts
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.signals import CampaignSignal

MIDNIGHT, HOUR, DAY = 1_700_006_400_000, 3_600_000, 86_400_000
TENT = Creative("a", "A tent", "https://shop.example/")


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def run(begin: int, end: int, hours: range = range(24), **fields: Any) -> tuple[LedgerKeeper, Ledger, list[float]]:
    """What is spent by each hour, if every opportunity of two a minute that the rate lets through costs a tenth."""
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, Campaign("shop", (TENT,), 1.0, **{"budget": 50.0, **fields}))
    spent = []
    for n, now in enumerate(range(begin, end, 30_000)):
        if (now - MIDNIGHT) % DAY // HOUR in hours:
            charged = 0.1 if (n * 0.6180339887) % 1.0 < state.rate and state.left() > 0.0 else 0.0
            keeper.learn(state, CampaignSignal("c", now, opportunities=1, charged=charged))
        if (now - begin) % HOUR == 0:
            spent.append(state.spent)
    return keeper, state, spent


def test_a_campaign_of_six_hours_spends_it_evenly_in_them() -> None:
    begin, end = MIDNIGHT + 12 * HOUR, MIDNIGHT + 18 * HOUR
    _, state, spent = run(begin, end, starts_at=at(begin), ends_at=at(end))
    assert state.spent == pytest.approx(50.0, rel=0.05)
    assert spent[3] == pytest.approx(25.0, rel=0.15)


def test_a_campaign_that_begins_in_the_evening_does_not_spend_the_day_at_once() -> None:
    _, _, spent = run(MIDNIGHT + 18 * HOUR, MIDNIGHT + 24 * HOUR, budget=1000.0, budget_daily=50.0)
    assert spent[3] == pytest.approx(25.0, rel=0.15)


def test_the_day_after_a_short_first_day_is_spent_evenly() -> None:
    _, _, spent = run(MIDNIGHT + 18 * HOUR, MIDNIGHT + 48 * HOUR, budget=1000.0, budget_daily=50.0)
    assert spent[18] - spent[6] == pytest.approx(25.0, rel=0.15)


def test_a_last_day_gets_its_part_of_the_money() -> None:
    _, state, spent = run(MIDNIGHT, MIDNIGHT + 36 * HOUR, ends_at=at(MIDNIGHT + 36 * HOUR))
    assert spent[24] == pytest.approx(50.0 * 24 / 36, rel=0.05)
    assert state.spent == pytest.approx(50.0, rel=0.05)


def test_hours_that_it_is_for_share_the_first_day() -> None:
    hours = Dayparts(hours=(18, 19, 20))
    _, _, spent = run(MIDNIGHT, MIDNIGHT + DAY, range(18, 21), budget=1000.0, budget_daily=30.0, dayparts=hours)
    assert spent[19] == pytest.approx(10.0, rel=0.2)
    assert spent[20] == pytest.approx(20.0, rel=0.2)
