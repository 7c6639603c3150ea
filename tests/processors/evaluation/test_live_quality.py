"""Figures of the quality of slates are those counted by hand, however many there were before."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.evaluation.live_quality import Choices, LiveQuality, Observations, ShownSlates
from processors.evaluation.published import Judged
from streams.engine.driver import TopologyDriver

AT = 1_700_000_000_000


def judged(ranks: Sequence[int], known: bool = True, placement: str = "home") -> Judged:
    return Judged(placement, np.array(ranks), np.full(len(ranks), known))


def slates(*rows: Sequence[tuple[int, int, float]]) -> ShownSlates:
    """Per place the item, its category and its share of all visits."""
    width = max(map(len, rows))
    padded = [[*row, *[(-1, 0, 1.0)] * (width - len(row))] for row in rows]
    slots, categories, popularity = (np.array([[place[n] for place in row] for row in padded]) for n in range(3))
    return ShownSlates.of("home", slots, categories, popularity)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_ranks_make_hit_rates_over_the_last_so_many(ranks: list[int]) -> None:
    quality = LiveQuality(window=25)
    for rank in ranks:
        quality.take(Observations([judged([rank])]))
    last = ranks[-25:]
    figures = quality.figures()
    for depth in (10, 20):
        expected = sum(0 < rank <= depth for rank in last) / len(last)
        assert figures["hit_rate", "home", "known", str(depth)] == pytest.approx(expected)
    mean = sum(1 / rank for rank in last if rank) / len(last)
    assert figures["reciprocal_rank", "home", "known"] == pytest.approx(mean)


def test_users_with_and_without_history_and_placements_are_kept_apart() -> None:
    quality = LiveQuality()
    quality.take(Observations([judged([1]), judged([0], known=False), judged([2], placement="discover")]))
    figures = quality.figures()
    assert figures["reciprocal_rank", "home", "known"] == 1.0
    assert figures["reciprocal_rank", "home", "new"] == 0.0
    assert figures["reciprocal_rank", "discover", "known"] == 0.5


def test_calibration_is_what_was_expected_over_what_came_true() -> None:
    quality = LiveQuality()
    quality.take(Observations(choices=[Choices("any", np.full(4, 0.5), np.array([True, False, False, False]))]))
    assert quality.figures()["calibration", "any"] == pytest.approx(0.5 / 0.25)


def test_variety_of_slates() -> None:
    quality = LiveQuality()
    quality.take(Observations(shown=[slates([(1, 7, 0.5), (2, 7, 0.25), (3, 8, 0.25)], [(1, 0, 0.5), (4, 0, 0.5)])]))
    figures = quality.figures()
    assert figures["coverage", "home"] == pytest.approx(4 / 5)
    assert figures["novelty", "home"] == pytest.approx(((1 + 2 + 2) / 3 + 1) / 2)
    assert figures["diversity", "home"] == pytest.approx((2 / 3 + 1) / 2), "items without a category are like nothing"


def test_inequality_is_that_of_gini() -> None:
    def gini(*counts: int) -> float:
        quality = LiveQuality()
        slots = np.repeat(np.arange(len(counts)), counts)[:, None]
        quality.take(
            Observations(shown=[ShownSlates.of("home", slots, np.zeros_like(slots), np.full(slots.shape, 0.1))])
        )
        return quality.figures()["inequality", "home"]

    assert gini(5, 5, 5, 5) == pytest.approx(0.0)
    assert gini(1, 3) == pytest.approx(0.25)
    pairs = [abs(a - b) for a in (1, 2, 7, 40) for b in (1, 2, 7, 40)]
    assert gini(7, 1, 40, 2) == pytest.approx(sum(pairs) / (2 * 4 * 50))


def test_coverage_looks_back_a_bounded_way() -> None:
    quality = LiveQuality(window=1)
    for item in range(30):
        quality.take(Observations(shown=[slates([(item, 1, 0.1)])]))
    for _ in range(20):
        quality.take(Observations(shown=[slates([(99, 1, 0.1)])]))
    assert quality.figures()["coverage", "home"] == pytest.approx(1 / 20)


def test_what_the_planes_see_is_judged() -> None:
    driver, quality = TopologyDriver(), LiveQuality()
    plane = driver.topology.users
    inner = plane.step

    def step(*arguments: object) -> object:
        found = inner(*arguments)  # type: ignore[arg-type]
        quality.take(found.quality)
        return found

    plane.step = step  # type: ignore[method-assign,assignment]
    for n, item in enumerate(["tent", "lamp", "tent", "lamp", "tent", "lamp"]):
        event = b'{"event_id":"%d","user_id":"u","item_id":"%s","timestamp":%d}' % (
            n,
            item.encode(),
            1_700_000_000_000 + n,
        )
        driver.pipe("events.click.v1", b"u", event, AT + 1000 * n)
    figures = quality.figures()
    assert figures["hit_rate", "home", "known", "10"] > 0.5
    assert figures["coverage", "home"] > 0.0
