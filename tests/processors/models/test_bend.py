"""The line through log odds that predictions of clicks are bent by."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.models.bend import Bend
from processors.models.click_learner import ClickLearner, ClickState
from processors.models.click_model import FIRST_LOGIT, ClickExample, ClickModel, ClickModelSettings, PairSums


def _sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def _live(bend: Bend, impressions: int, intercept: float, slope: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Show ads whose clicks follow a line, a click coming after ten further impressions; predictions and chances."""
    random, predicted, chances, later = np.random.default_rng(seed), [], [], list[tuple[int, float]]()
    for number in range(impressions):
        distance = float(random.normal())
        expected = _sigmoid(FIRST_LOGIT + bend.intercept + bend.slope * distance)
        chance = _sigmoid(FIRST_LOGIT + intercept + slope * distance)
        bend.seen(expected, FIRST_LOGIT)
        if random.random() < chance:
            later.append((number + 10, expected))
        while later and later[0][0] <= number:
            bend.clicked(later.pop(0)[1], FIRST_LOGIT)
        predicted.append(expected)
        chances.append(chance)
    return np.array(predicted), np.array(chances)


@pytest.mark.parametrize(("intercept", "slope"), [(0.5, 0.6), (-0.7, 1.3), (0.0, 1.0)])
def test_predictions_come_to_what_is_clicked_in_all_and_in_every_tenth(intercept: float, slope: float) -> None:
    bend = Bend()
    predicted, chances = (column[-10_000:] for column in _live(bend, 20_000, intercept, slope, seed=3))
    assert predicted.sum() / chances.sum() == pytest.approx(1.0, abs=0.05)
    tenths = np.array_split(np.argsort(predicted), 10)
    assert [float(predicted[tenth].sum() / chances[tenth].sum()) for tenth in tenths] == pytest.approx(
        [1.0] * 10, abs=0.15
    )


def test_what_is_long_ago_is_forgotten() -> None:
    bend = Bend()
    _live(bend, 20_000, 0.8, 1.0, seed=4)
    predicted, chances = (column[-5_000:] for column in _live(bend, 20_000, -0.4, 1.0, seed=5))
    assert predicted.sum() / chances.sum() == pytest.approx(1.0, abs=0.1)


@given(st.lists(st.tuples(st.floats(0.0, 1.0), st.booleans()), max_size=200))
def test_whatever_comes_the_line_stays_within_its_bounds(examples: list[tuple[float, bool]]) -> None:
    bend = Bend()
    for expected, clicked in examples:
        bend.seen(expected, FIRST_LOGIT)
        if clicked:
            bend.clicked(expected, FIRST_LOGIT)
    assert -3.0 <= bend.intercept <= 3.0
    assert 0.2 <= bend.slope <= 2.0


def test_log_odds_and_their_deviation_are_bent_alike() -> None:
    model, sums = ClickModel(), PairSums(np.array([-1.0, 0.0, 2.0]), np.array([1.0, 4.0, 9.0]))
    plain, spread = model.scored(sums)
    learner, state = ClickLearner(ClickModelSettings()), ClickState(bend=Bend(intercept=0.5, slope=0.25))
    model.apply(learner.view(state))
    bent, bent_spread = model.scored(sums)
    assert bent.tolist() == pytest.approx((FIRST_LOGIT + 0.5 + 0.25 * (plain - FIRST_LOGIT)).tolist())
    assert bent_spread.tolist() == pytest.approx((0.25 * spread).tolist())
    model.apply(None)
    assert model.scored(sums)[0].tolist() == plain.tolist()


def test_examples_of_an_older_release_say_nothing_of_the_line() -> None:
    learner, state = ClickLearner(ClickModelSettings()), ClickState()
    learner.learn(state, [ClickExample((1, 2), clicked=False), ClickExample((1, 2), clicked=True)])
    assert state.bend == Bend()
    learner.learn(state, [ClickExample((1, 2), clicked=False, expected=0.1)])
    assert state.bend.intercept < 0.0
