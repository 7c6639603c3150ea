"""Estimators against logs whose truth is known, and what they say of logs and policies that are none."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from processors.common.arrays import Floats
from processors.common.errors import FeedbackError, SupportError
from processors.evaluation.estimators import Logged, doubly_robust, expected
from processors.evaluation.feedback import Feedback
from processors.evaluation.off_policy import ESTIMATORS, Evaluation, OpeSettings, as_logged, evaluate
from processors.evaluation.policies import best, everywhere, fixed, uniform

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


def bandit(seed: int, logging: Floats = LOGGING, rates: Floats = RATES) -> tuple[Feedback, Floats]:
    """A log, and the policy's probabilities in its rows."""
    random = np.random.default_rng(seed)
    groups = random.integers(GROUPS, size=ROWS)
    actions = (random.random(ROWS)[:, None] > logging[groups].cumsum(axis=1)).sum(axis=1).clip(0, ACTIONS - 1)
    clicked = (random.random(ROWS) < rates[groups, actions]).astype(np.float64)
    log = Feedback(actions, clicked, logging[groups, actions], ACTIONS, positions=groups, logging=logging[groups])
    return log, WANTED[groups]


@cache
def evaluations(uniformly: bool = False) -> tuple[Evaluation, ...]:
    logging = np.full((GROUPS, ACTIONS), 1.0 / ACTIONS) if uniformly else LOGGING
    return tuple(evaluate(*bandit(seed, logging)) for seed in SEEDS)


def covered(found: tuple[Evaluation, ...], name: str, truth: float = TRUTH) -> int:
    return sum(one.estimates[name].low <= truth <= one.estimates[name].high for one in found)


def width(found: tuple[Evaluation, ...], name: str) -> float:
    return float(np.mean([one.estimates[name].high - one.estimates[name].low for one in found]))


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_hold_the_truth_as_often_as_they_say(name: str) -> None:
    assert covered(evaluations(), name) >= 90


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_hold_the_truth_where_the_log_was_uniformly_random(name: str) -> None:
    assert covered(evaluations(uniformly=True), name) >= 90


@pytest.mark.parametrize("name", ESTIMATORS)
def test_intervals_hold_the_truth_of_rare_clicks(name: str) -> None:
    """Some 15 clicks in a log, of which the policy would have led to half."""
    rare = RATES * 0.02
    found = tuple(evaluate(*bandit(seed, rates=rare)) for seed in SEEDS)
    assert covered(found, name, float((WANTED * rare).sum(axis=1).mean())) >= 90


def test_the_policy_is_not_what_the_log_earned() -> None:
    """The plain mean, were it taken for the policy's, would be found out."""
    assert covered(tuple(as_logged(bandit(seed)[0]) for seed in SEEDS), "ips") <= 10


def test_the_model_narrows_the_interval() -> None:
    assert width(evaluations(), "dr") < 0.9 * width(evaluations(), "ips")
    assert width(evaluations(uniformly=True), "dr") < width(evaluations(uniformly=True), "ips")


def test_estimates_are_of_the_truth_on_average() -> None:
    for name in ESTIMATORS:
        mean = np.mean([one.estimates[name].value for one in evaluations()])
        assert mean == pytest.approx(TRUTH, abs=0.006), name


def test_the_weights_average_one() -> None:
    assert np.mean([one.mean_weight for one in evaluations()]) == pytest.approx(1.0, abs=0.01)
    assert [one.warnings for one in evaluations() if one.warnings] == []


def test_no_row_is_predicted_by_itself_or_by_later_ones() -> None:
    log, _ = bandit(0)
    plain = Logged(log.actions, log.rewards, np.ones(ROWS), log.positions)
    before = np.concatenate([rewards for _, rewards in expected(plain, ACTIONS, 20.0)])
    for block, _ in expected(plain, ACTIONS, 20.0):
        changed = log.rewards.copy()
        changed[block.start :] = 1.0 - changed[block.start :]
        after = np.concatenate([rewards for _, rewards in expected(replace(plain, rewards=changed), ACTIONS, 20.0)])
        assert (after[: block.stop] == before[: block.stop]).all()


def test_the_model_comes_to_the_rates() -> None:
    log, _ = bandit(0)
    *_, (block, rewards) = expected(Logged(log.actions, log.rewards, np.ones(ROWS), log.positions), ACTIONS, 20.0)
    assert log.positions is not None
    assert np.abs(rewards - RATES[log.positions[block]]).max() < 0.12


def test_what_was_predicted_gives_the_model_its_form() -> None:
    """Predictions that are right up to a factor explain what a mean per action cannot."""
    log, policy = bandit(0)
    assert log.positions is not None
    weights = policy[np.arange(ROWS), log.actions] / log.propensities
    plain = Logged(log.actions, log.rewards, weights)
    known = replace(plain, predicted=RATES[log.positions] / 3.0)
    *_, (block, rewards) = expected(known, ACTIONS, 20.0)
    assert np.abs(rewards - RATES[log.positions[block]]).max() < 0.06
    told, untold = (doubly_robust(one, policy, 20.0, 0.95) for one in (known, plain))
    assert told.high - told.low < untold.high - untold.low


def test_the_policy_that_ran_earned_the_plain_mean() -> None:
    log, _ = bandit(0)
    found = as_logged(log)
    assert {one.value for one in found.estimates.values()} == {log.rewards.mean()} == {found.logged}
    assert log.logging is not None
    same = evaluate(log, log.logging)
    assert same.estimates["ips"].value == same.estimates["snips"].value == pytest.approx(log.rewards.mean())
    assert same.estimates["replay"].rows == same.estimates["ips"].ess == ROWS


def test_replay_takes_the_rows_on_which_a_sure_policy_and_a_random_log_agree() -> None:
    log, _ = bandit(0, np.full((GROUPS, ACTIONS), 1.0 / ACTIONS))
    found = evaluate(log, fixed(log, 2)).estimates["replay"]
    assert found.value == log.rewards[log.actions == 2].mean()
    assert found.rows == found.ess == (log.actions == 2).sum()


def test_a_bound_on_the_weights_takes_from_the_estimate_and_its_interval() -> None:
    log, policy = bandit(0)
    free, bound = evaluate(log, policy), evaluate(log, policy, OpeSettings(clip=2.0))
    assert free.clipped == 0.0 < 0.05 < bound.clipped
    assert bound.estimates["ips"].value < free.estimates["ips"].value
    assert bound.estimates["ips"].ess > free.estimates["ips"].ess
    assert "the bound on importance weights took" in bound.warnings[0]
    # The model stands in for what was taken away.
    assert abs(bound.estimates["dr"].value - TRUTH) < abs(bound.estimates["ips"].value - TRUTH)


def test_wider_confidence_gives_wider_intervals() -> None:
    sure, unsure = (evaluate(*bandit(0), OpeSettings(confidence=one)).estimates["snips"] for one in (0.99, 0.5))
    assert sure.low < unsure.low < unsure.value < unsure.high < sure.high


def test_rewards_may_be_money() -> None:
    """Beyond one, intervals are normal ones."""
    log, policy = bandit(0)
    money, clicks = evaluate(replace(log, rewards=30.0 * log.rewards), policy), evaluate(log, policy)
    for name in ("ips", "snips", "dr"):
        assert money.estimates[name].value == pytest.approx(30.0 * clicks.estimates[name].value)
        assert money.estimates[name].high == pytest.approx(30.0 * clicks.estimates[name].high, rel=0.02)


def test_actions_that_the_log_never_shows_are_said() -> None:
    log, _ = bandit(0)
    kept = replace(log.part(log.actions != 1), logging=None)
    found = evaluate(kept, uniform(kept))
    assert (found.unsupported, found.unseen) == (0.25, (1,))
    assert found.warnings[0].startswith("25.00% of what the policy does the log never did")


def test_rows_in_which_the_log_could_not_have_done_so_are_left_out() -> None:
    log, _ = bandit(0)
    assert log.logging is not None
    logging = log.logging.copy()
    logging[:500, 1] = 0.0
    possible = replace(log, logging=logging).part((log.actions != 1) | (np.arange(ROWS) >= 500))
    found = evaluate(possible, uniform(possible))
    assert (found.rows, found.left_out) == (1500, len(possible) - 1500)
    assert (
        found.estimates["ips"].value == evaluate(log.part(slice(500, None)), uniform(log)[500:]).estimates["ips"].value
    )
    assert "rows are left out, where the log could not have done what the policy does" in found.warnings[0]


def test_a_policy_that_the_log_has_nothing_of_is_refused() -> None:
    log, _ = bandit(0)
    kept = log.part(log.actions != 1)
    with pytest.raises(SupportError, match=r"none of the [\d,]+ rows of the log shows what the policy would show"):
        evaluate(kept, fixed(kept, 1))
    with pytest.raises(SupportError, match="says nothing of any row"):
        evaluate(log, np.zeros((ROWS, ACTIONS)))
    nowhere = replace(kept, logging=np.where(np.arange(ACTIONS) == 1, 0.0, 1.0 / 3.0) * np.ones((len(kept), 1)))
    with pytest.raises(SupportError, match="could have done all that the policy does"):
        evaluate(nowhere, fixed(nowhere, 1))


def test_wrong_propensities_show_in_the_mean_weight() -> None:
    log, policy = bandit(0)
    (warning,) = evaluate(replace(log, propensities=log.propensities / 2.0, logging=None), policy).warnings
    assert warning.startswith("importance weights average ")


def test_few_rows_are_said_to_be_few() -> None:
    log, policy = bandit(0)
    assert "intervals are rough" in evaluate(log.part(slice(20)), policy[:20]).warnings[-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"propensities": [0.5, 0.0]}, "row 1: propensity 0.0, expected above 0 and at most 1"),
        ({"propensities": [1.5, 0.5]}, "row 0: propensity 1.5, expected above 0 and at most 1"),
        ({"propensities": [0.5, np.nan]}, "row 1: propensity nan"),
        ({"rewards": [np.inf, 0.0]}, "row 0: reward inf, expected a finite number"),
        ({"actions": [0, 2]}, "row 1: action 2, expected 0 to 1"),
        ({"actions": [-1, 0]}, "row 0: action -1, expected 0 to 1"),
        ({"rewards": [1.0]}, r"rewards: shape \(1,\), expected \(2,\)"),
        ({"available": [[True, True]]}, r"available: shape \(1, 2\), expected \(2, 2\)"),
        ({"available": [[True, True], [True, False]]}, "row 1: action 1, expected one that was available"),
        ({"positions": [0, -1]}, "row 1: position -1, expected 0 or more"),
        ({"predicted": [[0.1, 0.1], [0.1, np.nan]]}, "row 1: predicted reward"),
    ],
)
def test_a_log_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    columns: dict[str, Any] = {"actions": [0, 1], "rewards": [1.0, 0.0], "propensities": [0.5, 0.5], **changes}
    with pytest.raises(FeedbackError, match=message):
        Feedback(**{name: np.array(value) for name, value in columns.items()}, n_actions=2)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ([[0.5, 0.5], [0.5, 0.4]], "row 1: the policy's probabilities sum to 0.9, expected 1"),
        ([[0.5, 0.5], [1.5, -0.5]], "row 1: the policy's probability -0.5, expected 0 or more"),
        ([[0.5, 0.5], [np.nan, 0.5]], "row 1: the policy's probabilities sum to nan"),
        ([[0.5, 0.5]], r"policy: shape \(1, 2\), expected \(2, 2\)"),
        ([[0.5, 0.5], [0.5, 0.5]], "row 1: the policy does what was not available"),
    ],
)
def test_a_policy_that_is_none_is_refused(policy: list[list[float]], message: str) -> None:
    available = np.array([[True, True], [True, False]])
    log = Feedback(np.array([0, 0]), np.array([1.0, 0.0]), np.array([0.5, 1.0]), 2, available)
    with pytest.raises(FeedbackError, match=message):
        evaluate(log, np.array(policy))


def test_a_log_without_rows_is_refused() -> None:
    nothing = bandit(0)[0].part(slice(0))
    with pytest.raises(FeedbackError, match="no rows"):
        as_logged(nothing)
    with pytest.raises(FeedbackError):
        evaluate(nothing, uniform(nothing))


def test_policies_keep_to_what_is_available() -> None:
    available = np.array([[True, True, False], [False, True, True], [False, False, True]])
    log = Feedback(np.array([0, 1, 2]), np.array([1.0, 0.0, 1.0]), np.full(3, 0.5), 3, available)
    assert uniform(log).tolist() == [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.0, 1.0]]
    assert fixed(log, 1).tolist() == [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    assert everywhere(log, np.array([0.0, 0.5, 0.5])).tolist()[1] == [0.0, 0.5, 0.5]
    assert best(log, log, 1.0).tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    assert evaluate(log, fixed(log, 1)).rows == 2


def test_the_best_is_learned_from_the_other_part_alone() -> None:
    learned = Feedback(np.array([0, 1]), np.array([1.0, 0.0]), np.full(2, 0.5), 3)
    later = Feedback(np.array([0, 1]), np.array([0.0, 1.0]), np.full(2, 0.5), 3)
    assert best(later, learned, 1.0).tolist() == [[1.0, 0.0, 0.0]] * 2
