"""Scores are the same to the last bit however they are computed, and each bucket has weights of its own."""

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
def test_scores_are_the_same_however_many_users_of_a_bucket_stand_together(seed: int) -> None:
    candidates, features = scene(random_world(seed))
    weights = np.random.default_rng(seed).normal(0, 1, (BUCKETS, len(features)))
    alone = scores_of(weights, candidates, features)
    for stretch in (0, 1000):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("processors.ranking.scoring._FEW", 0)
            patch.setattr("processors.ranking.scoring._STRETCH", stretch)
            assert scores_of(weights, candidates, features).tolist() == alone.tolist()


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
