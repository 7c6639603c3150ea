"""How much is explored follows from what it brings, and the same trials give the same answer."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river.bandit import ThompsonSampling
from river.proba import Beta

from processors.models.exploration_rate import BOLDEST, PARTS, ExplorationRateLearner, ShareState, Trials, _pull
from processors.models.ranker_learner import RankerLearner
from processors.models.serving_weights import ServingWeights
from processors.models.state import ModelsSettings, ModelState


def tried(rates: tuple[float, ...], rounds: int = 400) -> tuple[ShareState, list[int]]:
    """The bandit's state, and the arms it pulled, if choices are in the slate at these rates per arm."""
    state, random, arms = ShareState(), np.random.default_rng(7), list[int]()
    for _ in range(rounds):
        arms.append(state.arm)
        ExplorationRateLearner().learn(state, Trials(state.arm, 32, int(random.binomial(32, rates[state.arm]))))
    return state, arms


@pytest.mark.parametrize("best", range(len(PARTS)))
def test_the_part_that_serves_users_best_is_tried_most(best: int) -> None:
    rates = tuple(0.5 if arm == best else 0.3 for arm in range(len(PARTS)))
    _, arms = tried(rates)
    assert np.bincount(arms[-100:], minlength=len(PARTS)).argmax() == best


def test_it_follows_when_the_best_part_changes() -> None:
    state, _ = tried((0.5, 0.3, 0.3))
    random = np.random.default_rng(8)
    for _ in range(1500):
        rate = (0.2, 0.3, 0.5)[state.arm]
        ExplorationRateLearner().learn(state, Trials(state.arm, 32, int(random.binomial(32, rate))))
    assert state.hits[BOLDEST] > state.hits[0]


def test_the_same_trials_pull_the_same_arms() -> None:
    assert tried((0.3, 0.31, 0.32)) == tried((0.3, 0.31, 0.32))


def test_an_arm_keeps_its_turn() -> None:
    _, arms = tried((0.4, 0.4, 0.4))
    assert arms[0::2] == arms[1::2]


def test_counts_stay_bounded() -> None:
    state, _ = tried((0.4, 0.4, 0.4), rounds=2000)
    assert max(hits + misses for hits, misses in zip(state.hits, state.misses, strict=True)) <= 2000.0


@pytest.mark.parametrize("trials", [Trials(-1), Trials(len(PARTS)), Trials(0, 1, 2), Trials(0, 1, -1)])
def test_trials_that_cannot_be_are_refused(trials: Trials) -> None:
    with pytest.raises(ValueError, match=r"^trials: "):
        trials.check()


def test_workers_explore_as_the_bandit_says_and_as_far_as_allowed_before_it_says_anything() -> None:
    serving, state = ServingWeights(("together",), {}), ModelState(features=("together",))
    assert serving.arm == BOLDEST
    state.share.arm = 0
    serving.apply(RankerLearner(ModelsSettings(), {}).view(state))
    assert serving.arm == 0


def test_states_from_before_there_was_a_bandit_still_decode() -> None:
    old = msgspec.to_builtins(ModelState())[:-1]
    assert msgspec.convert(old, ModelState).share == ShareState()


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), min_size=3, max_size=3), st.integers(0, 10**9))
def test_the_arm_is_that_which_rivers_thompson_sampling_pulls(seen: list[tuple[int, int]], pulls: int) -> None:
    state = ShareState(hits=[hits for hits, _ in seen], misses=[misses for _, misses in seen], pulls=pulls)
    policy: Any = ThompsonSampling(reward_obj=Beta(), seed=pulls)
    for arm, (hits, misses) in enumerate(seen):
        belief = policy._rewards[arm]
        belief.alpha, belief.beta = 1.0 + hits, 1.0 + misses
    assert _pull(state) == policy.pull(range(len(PARTS)))
