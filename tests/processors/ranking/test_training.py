"""What the ranker learns from a choice: the slope of its loss, found here by trying, and positions counted by hand."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.arrays import Floats, Ints
from processors.models.ranker_weights import (
    BUCKETS,
)
from processors.ranking.candidates import Candidates
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.scoring import scores_of
from processors.ranking.training import Training, listwise_loss
from tests.processors.ranking.scenes import scene
from tests.processors.worlds import NOW, World, random_world

seeds = st.integers(0, 2**32)


def some_choice(candidates: Candidates, random: np.random.Generator) -> Ints:
    """For each user one of the user's candidates, or none."""
    chosen = np.full(len(candidates.visitors), -1)
    for row, (begin, end) in enumerate(zip(candidates.begins, candidates.begins[1:], strict=False)):
        if end > begin and random.random() < 0.8:
            chosen[row] = candidates.slots[random.integers(begin, end)]
    return chosen


@given(seeds)
def test_the_gradient_is_the_slope_of_the_loss(seed: int) -> None:
    random = np.random.default_rng(seed)
    candidates, single = scene(random_world(seed))
    features: Any = single.astype(np.float64)  # a slope found by trying needs the precision
    listed = np.ones(len(candidates), np.bool_)
    chosen = some_choice(candidates, random)
    weights = random.normal(0, 1, (BUCKETS, len(features)))

    def loss(moved: Floats) -> float:
        scores = scores_of(moved, candidates, features)
        return float(listwise_loss(scores, scores, candidates, features, listed, chosen).losses.sum())

    scores = scores_of(weights, candidates, features)
    answers = listwise_loss(scores, scores, candidates, features, listed, chosen)
    direction, step = random.normal(0, 1, len(features)), 1e-5
    slope = (loss(weights + step * direction) - loss(weights - step * direction)) / (2 * step)
    assert answers.gradients.sum(axis=0) @ direction == pytest.approx(slope, rel=1e-4, abs=1e-6)
    assert np.abs(answers.gradients).max(initial=0.0) <= 1.0 + 1e-6


@given(seeds)
def test_positions_are_counted_among_what_is_listed(seed: int) -> None:
    random = np.random.default_rng(seed)
    candidates, features = scene(random_world(seed))
    scores = random.integers(0, 5, len(candidates)).astype(np.float64)
    listed, chosen = random.random(len(candidates)) < 0.8, some_choice(candidates, random)
    found = listwise_loss(scores, -scores, candidates, features, listed, chosen)
    for row in range(len(candidates.visitors)):
        of_user = np.flatnonzero((candidates.rows == row) & listed)
        at = [c for c in of_user if candidates.slots[c] == chosen[row]]
        above = sum(scores[c] >= scores[at[0]] for c in of_user) if at else 0
        below = sum(scores[c] <= scores[at[0]] for c in of_user) if at else 0
        assert (found.ranks[row], found.plain_ranks[row]) == (above, below)
        assert (row in found.users) == bool(at)


@given(seeds, st.randoms(use_true_random=False))
def test_gradients_do_not_depend_on_where_items_came_to_lie(seed: int, shuffle: Any) -> None:
    world = random_world(seed)
    order = list(world.views)
    shuffle.shuffle(order)
    other = replace(world, views={item: world.views[item] for item in order})
    random = np.random.default_rng(seed)
    chosen = [str(random.choice(sorted(world.known()) or ["none"])) for _ in world.users]

    def learned(world: World) -> bytes:
        ranker = RankingPipeline(world.settings)
        now = [NOW] * len(world.users)
        _, examples = Training(ranker).lessons(world.users, now, chosen, world.read(ranker.features), NOW)
        return msgspec.msgpack.encode(examples)

    assert learned(world) == learned(other)
