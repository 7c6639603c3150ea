"""Forward decay is the textbook's decay, written down another way."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.decay import GRID_HALF_LIVES, growth, landmark_at, rebase

HALF_LIFE = 1000
START = 1_700_000_000_000

any_time = st.integers(-(2**62), 2**62)
near_times = st.integers(START, START + 200 * HALF_LIFE)


def forward(times: list[int], half_life: int) -> tuple[int, float]:
    """Landmark and weight after events in this order."""
    landmark, weight = 0, 0.0
    for at in times:
        latest = landmark_at(at, half_life)
        if latest > landmark:
            weight *= rebase(landmark, latest, half_life)
            landmark = latest
        weight += growth(at, landmark, half_life)
    return landmark, weight


@given(st.lists(near_times, min_size=1, max_size=30), st.integers(0, 100 * HALF_LIFE))
def test_equals_the_backward_decayed_sum_at_any_later_time_in_any_order(times: list[int], later: int) -> None:
    now = max(times) + later
    landmark, weight = forward(times, HALF_LIFE)
    expected = sum(0.5 ** ((now - at) / HALF_LIFE) for at in times)
    assert weight / growth(now, landmark, HALF_LIFE) == pytest.approx(expected, rel=1e-9)


@given(st.lists(near_times, min_size=2, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_events_does_not_matter(times: list[int], random: Random) -> None:
    shuffled = times.copy()
    random.shuffle(shuffled)
    (landmark, weight), (expected_landmark, expected) = forward(shuffled, HALF_LIFE), forward(times, HALF_LIFE)
    assert landmark == expected_landmark
    assert weight == pytest.approx(expected, rel=1e-9)


@given(any_time, st.integers(1, 2**40))
def test_a_landmark_is_on_the_grid_and_at_most_one_step_in_the_past(at: int, half_life: int) -> None:
    step = half_life * GRID_HALF_LIVES
    landmark = landmark_at(at, half_life)
    assert (landmark % step, 0 <= at - landmark < step) == (0, True)


@given(any_time, any_time, st.integers(1, 2**40))
def test_growth_is_finite_and_positive_at_any_distance(at: int, landmark: int, half_life: int) -> None:
    assert 0.0 < growth(at, landmark, half_life) < math.inf


@given(st.lists(any_time, max_size=30), st.integers(1, 2**40))
def test_weights_stay_finite_whatever_the_times(times: list[int], half_life: int) -> None:
    assert math.isfinite(forward(times, half_life)[1])


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_rebasing_in_two_steps_is_rebasing_in_one(first: int, second: int, third: int) -> None:
    low, middle, high = sorted((first, second, third))
    step = GRID_HALF_LIVES * HALF_LIFE
    in_two = rebase(low * step, middle * step, HALF_LIFE) * rebase(middle * step, high * step, HALF_LIFE)
    assert in_two == rebase(low * step, high * step, HALF_LIFE)
