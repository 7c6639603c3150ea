"""Estimators against logs whose truth is known, and what they say of logs and policies that are none."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from processors.errors import FeedbackError, SupportError
from processors.ope import ESTIMATORS, Evaluation, Feedback, OpeSettings, as_logged, evaluate
from processors.sources.base import Floats

SEEDS = range(100)
ROWS, GROUPS, ACTIONS = 2000, 3, 4
_TRUTH = np.random.default_rng(7)
RATES = _TRUTH.uniform(0.05, 0.6, (GROUPS, ACTIONS))
"""How often each action is clicked in each group of contexts."""
LOGGING = _TRUTH.dirichlet(np.full(ACTIONS, 1.5), GROUPS) * 0.8 + 0.2 / ACTIONS
"""What the log's policy does in each group: something else in each."""
WANTED = _TRUTH.dirichlet(np.full(ACTIONS, 0.7), GROUPS)
"""What the policy to be evaluated does."""
TRUTH = float((WANTED * RATES).sum(axis=1).mean())


def bandit(seed: int, logging: Floats = LOGGING, rates: Floats = RATES, rows: int = ROWS) -> tuple[Feedback, Floats]:
    """A log, and the policy's probabilities in its rows."""
    random = np.random.default_rng(seed)
    groups = random.integers(GROUPS, size=rows)
    actions = (random.random(rows)[:, None] > logging[groups].cumsum(axis=1)).sum(axis=1).clip(0, ACTIONS - 1)
    clicked = (random.random(rows) < rates[groups, actions]).astype(np.float64)
    log = Feedback(actions, clicked, logging[groups, actions], ACTIONS, positions=groups, logging=logging[groups])
    return log, WANTED[groups]


@cache
def evaluations(uniformly: bool = False) -> tuple[Evaluation, ...]:
    logging = np.full((GROUPS, ACTIONS), 1.0 / ACTIONS) if uniformly else LOGGING
    return tuple(evaluate(*bandit(seed, logging)) for seed in SEEDS)


def covered(found: tuple[Evaluation, ...], name: str, truth: float = TRUTH) -> int:
    return sum(one.estimates[name].low <= truth <= one.estimates[name].high for one in found)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    assert covered(evaluations(), name) >= 90


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_hold_the_truth_where_the_log_was_uniformly_random(name: str) -> None:
    assert covered(evaluations(uniformly=True), name) >= 90
