"""Users are ranked by the weights of their bucket, and weights belong to features by name."""

import numpy as np
import pytest

from processors.models.ranker_weights import (
    BUCKETS,
    HEADS,
    PAUSES,
    WEIGHT_ROWS,
    buckets_of,
    carried_over,
    effective,
    fallback_weights,
    rows_of_bucket,
)
from processors.ranking.feature_names import baseline_weights
from tests.processors.worlds import profile


def test_users_pass_to_the_next_weights_as_their_history_grows() -> None:
    users = [profile(*(f"item {n}" for n in range(length))) for length in range(6)]
    moments = [user.last_seen for user in users]
    assert (buckets_of(users, moments) // PAUSES).tolist() == [0, 1, 2, 2, 3, 3]


def test_users_pass_to_other_weights_as_their_pause_grows() -> None:
    user = profile("tent")
    moments = [user.last_seen + pause for pause in (0, 59_999, 60_000, 1_799_999, 1_800_000, 10**10)]
    assert (buckets_of([user] * 6, moments) % PAUSES).tolist() == [0, 0, 1, 1, 2, 2]


def test_the_weights_of_a_bucket_are_the_sum_of_the_rows_that_learn_from_it() -> None:
    weights = np.random.default_rng(3).normal(0, 1, (len(HEADS), WEIGHT_ROWS, 3))
    for bucket in range(BUCKETS):
        added = weights[:, list(rows_of_bucket(bucket))].sum(axis=1)
        assert effective(weights)[:, bucket] == pytest.approx(added)


def test_weights_are_carried_over_by_the_name_of_their_feature() -> None:
    old, fresh = (
        np.arange(4.0 * WEIGHT_ROWS).reshape(2, WEIGHT_ROWS, 2),
        fallback_weights(("visits", "together", "own"), baseline_weights()),
    )
    found = carried_over(("visits", "together", "own"), ("own", "visits"), old.tobytes(), fresh)
    assert found[:, :, 0].tolist() == old[:, :, 1].tolist()
    assert found[:, :, 1].tolist() == fresh[:, :, 1].tolist()
    assert found[:, :, 2].tolist() == old[:, :, 0].tolist()


def test_there_are_weights_for_anything_and_for_what_is_new() -> None:
    assert fallback_weights(("own",), {}).shape == (len(HEADS), WEIGHT_ROWS, 1)
