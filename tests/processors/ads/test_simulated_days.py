"""Two days of shoppers whose tastes are known: what the ads learn, what they spend and when."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from tests.processors.ads.shop import Shop, campaign, creative

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

MIDNIGHT, HOUR, DAY = 1_700_006_400_000, 3_600_000, 86_400_000
CATEGORIES = ("tents", "lamps", "boats", "books")
DAILY, PER_DAY, SHOPPERS = 60.0, 600, 20
LIKED, OTHER = 0.3, 0.02


@dataclass
class Days:
    shop: Shop
    chances: np.ndarray
    deviations: np.ndarray
    spent: list[float]


@pytest.fixture(scope="module")
def days() -> Days:
    """More traffic in the afternoon than at night; each shopper likes one of four categories."""
    rng = np.random.default_rng(1)
    shop = Shop(partitions=1, impressions="inferred")
    creatives = [creative(name, category=name, item_id=name) for name in CATEGORIES]
    shop.put("even", campaign(budget=1e6, budget_daily=DAILY, pacing="even", creatives=creatives))
    shop.put("asap", campaign(bid=500.0, budget=1e6, creatives=creatives))
    likes = {f"u{n}": CATEGORIES[rng.integers(4)] for n in range(SHOPPERS)}
    share = np.array([1.0 + 0.9 * math.sin((hour - 8) / 12 * math.pi) for hour in range(24)])
    shop.now = MIDNIGHT
    chances, deviations, spent = [], [], []
    for day in range(2):
        hours = rng.choice(24, PER_DAY, p=share / share.sum())
        moments = np.sort(MIDNIGHT + day * DAY + (hours + rng.random(PER_DAY)) * HOUR).astype(int)
        for n, moment in enumerate(moments.tolist()):
            user = f"u{rng.integers(SHOPPERS)}"
            shop.now = max(moment, shop.now + 1)
            decision = shop.ask(user, after_ms=0)
            if "cid" in decision:
                chances.append(LIKED if decision["crid"] == likes[user] else OTHER)
                if rng.random() < chances[-1]:
                    shop.click(decision, after_ms=1)
            if rng.random() < 0.3:
                item = likes[user] if rng.random() < 0.6 else CATEGORIES[rng.integers(4)]
                shop.send("events.click.v1", user, 1, item_id=item, category=item)
            deviations.append(shop.ledger("even").spent_today / DAILY - (n + 1) / PER_DAY)
        spent.append(shop.ledger("even").spent_today)
    return Days(shop, np.array(chances), np.abs(deviations), spent)


def test_clicks_are_at_least_twice_those_of_chance_and_nearly_the_oracles(days: Days) -> None:
    uniform = (LIKED + 3 * OTHER) / 4
    lately = days.chances[len(days.chances) // 2 :].mean()
    assert lately >= 2.0 * uniform
    assert lately >= 0.9 * LIKED


def test_even_pacing_follows_the_traffic_of_the_day_before(days: Days) -> None:
    assert days.deviations[PER_DAY:].mean() <= 0.05
    assert 0.9 * DAILY <= days.spent[1] <= DAILY


def test_predictions_are_calibrated(days: Days) -> None:
    state = days.shop.ledger("asap")
    assert 0.85 <= state.clicked / state.expected <= 1.15
    assert state.over == 0.0
