"""Scores are the same to the last bit however they are computed, and each bucket has weights of its own."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.models.ranker_weights import BUCKETS, buckets_of
from processors.ranking.feature_names import feature_names
from processors.ranking.gathering import Gatherer
from processors.ranking.scoring import scores_of
from processors.ranking.settings import RankingSettings
from tests.processors.ranking.scenes import scene
from tests.processors.worlds import World, profile, random_world, view

seeds = st.integers(0, 2**32)


@given(seeds)
def test_a_score_is_the_sum_of_features_times_weights_whoever_else_is_scored(seed: int) -> None:
    world = random_world(seed)
    candidates, features = scene(world)
    weights = np.random.default_rng(seed).normal(0, 1, (BUCKETS, len(features)))
    found, buckets = scores_of(weights, candidates, features), candidates.buckets
    for at, row in enumerate(candidates.rows.tolist()):
        assert found[at] == pytest.approx(weights[buckets[row]] @ features[:, at].astype(np.float64), abs=1e-9)
    for row, user in enumerate(world.users):
        alone = scores_of(weights, *scene(replace(world, users=[user])))
        assert alone.tolist() == found[candidates.begins[row] : candidates.begins[row + 1]].tolist()


def test_a_bucket_is_ranked_by_its_own_weights() -> None:
    users = [profile(), profile("tent")]
    candidates, features = scene(World({"tent": view(1.0), "lamp": view(2.0)}, users))
    weights = np.zeros((BUCKETS, len(features)))
    moments = candidates.visitors.now_ms
    weights[
        buckets_of(users, moments)[1], feature_names(Gatherer(RankingSettings().sources).columns).index("trend_day")
    ] = 1.0
    scores = scores_of(weights, candidates, features)
    assert scores[candidates.rows == 0].tolist() == [0.0, 0.0]
    assert sorted(scores[candidates.rows == 1].tolist()) == [0.5, 1.0]
