"""What the ranker learns from a choice: the slope of its loss, found here by trying, and places counted by hand."""

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.arrays import Features, Floats, Ints
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
from processors.ranking.candidates import Candidates
from processors.ranking.features import feature_names, features_of
from processors.ranking.gathering import Gatherer
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.scoring import scores_of
from processors.ranking.settings import RankingSettings
from processors.ranking.training import Training, listwise_loss
from tests.processors.worlds import NOW, World, profile, random_world, touched, view

seeds = st.integers(0, 2**32)


def scene(world: World) -> tuple[Candidates, Features]:
    read, gatherer = world.read(), Gatherer(world.settings.sources)
    candidates = gatherer.gather(world.users, [NOW] * len(world.users), read)
    return candidates, features_of(candidates, read.items)


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
        return float(listwise_loss(scores, scores, scores, candidates, features, listed, chosen).losses.sum())

    scores = scores_of(weights, candidates, features)
    answers = listwise_loss(scores, scores, scores, candidates, features, listed, chosen)
    direction, step = random.normal(0, 1, len(features)), 1e-5
    slope = (loss(weights + step * direction) - loss(weights - step * direction)) / (2 * step)
    assert answers.gradients.sum(axis=0) @ direction == pytest.approx(slope, rel=1e-4, abs=1e-6)
    assert np.abs(answers.gradients).max(initial=0.0) <= 1.0 + 1e-6


@given(seeds)
def test_places_are_counted_among_what_is_listed(seed: int) -> None:
    random = np.random.default_rng(seed)
    candidates, features = scene(random_world(seed))
    scores = random.integers(0, 5, len(candidates)).astype(np.float64)
    listed, chosen = random.random(len(candidates)) < 0.8, some_choice(candidates, random)
    found = listwise_loss(scores, -scores, scores, candidates, features, listed, chosen)
    for row in range(len(candidates.visitors)):
        of_user = np.flatnonzero((candidates.rows == row) & listed)
        at = [c for c in of_user if candidates.slots[c] == chosen[row]]
        above = sum(scores[c] >= scores[at[0]] for c in of_user) if at else 0
        below = sum(scores[c] <= scores[at[0]] for c in of_user) if at else 0
        assert (found.ranks[row], found.plain_ranks[row]) == (above, below)
        assert (row in found.users) == bool(at)


@given(seeds)
def test_features_lie_between_zero_and_one(seed: int) -> None:
    _, features = scene(random_world(seed))
    assert np.isfinite(features).all()
    assert features.min(initial=0.0) >= 0.0
    assert features.max(initial=1.0) <= 1.0 + 1e-6


@given(seeds)
def test_features_say_what_a_plain_reading_says(seed: int) -> None:
    world = random_world(seed)
    candidates, features = scene(world)
    index = world.index()
    names = feature_names(Gatherer(world.settings.sources).columns)
    for c in range(len(candidates)):
        user, item = world.users[candidates.rows[c]], index.ids[candidates.slots[c]]
        found = dict(zip(names, features[:, c].tolist(), strict=True))
        expected = {"touched": float(touched(user, item)), "own": float(item in user.item_ids)}
        if item in user.item_ids:
            at = user.item_ids.index(item)
            position, age = len(user.item_ids) - 1 - at, NOW - user.item_times[at]
            action = user.item_actions[at]
            expected |= {
                "own_position": 1 / (1 + position),
                "own_last": float(position == 0),
                "own_second": float(position == 1),
                "own_count": 1 - 1 / user.item_counts[at],
                "own_age_hour": float(np.exp(-age / 3_600_000)),
                "own_cart": float(action == "cart"),
                "own_purchase": float(action == "purchase"),
            }
        if item in world.views:
            published = world.views[item]
            best = world.views[world.best("visits", 1)[0]].visits
            expected |= {
                "visits": published.visits / best,
                "trend_hour": 2.0 ** (published.trends[0] - max(v.trends[0] for v in world.views.values())),
                "item_fresh": float(np.exp(-(NOW - published.first_seen) / 86_400_000)),
            }
            categories = {own: world.views[own].category for own in user.item_ids if own in world.views}
            known = {
                own: weight
                for own, weight in zip(user.item_ids, user.item_weights, strict=True)
                if own in world.known()
            }
            same = sum(weight for own, weight in known.items() if categories.get(own) == published.category)
            if published.category is not None and known:
                expected["category_share"] = same / (sum(known.values()) or 1.0)
        assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_users_pass_to_the_next_weights_as_their_history_grows() -> None:
    views = {f"item {n}": view(1.0) for n in range(6)}
    users = [profile(*(f"item {n}" for n in range(length))) for length in range(6)]
    candidates, _ = scene(World(views, users))
    visitors = candidates.visitors
    moments = [user.last_seen for user in users]
    assert (buckets_of(visitors.profiles, moments) // PAUSES).tolist() == [0, 1, 2, 2, 3, 3]


def test_users_pass_to_other_weights_as_their_pause_grows() -> None:
    user = profile("tent")
    moments = [user.last_seen + pause for pause in (0, 59_999, 60_000, 1_799_999, 1_800_000, 10**10)]
    assert (buckets_of([user] * 6, moments) % PAUSES).tolist() == [0, 0, 1, 1, 2, 2]


def test_the_weights_of_a_bucket_are_the_sum_of_the_rows_that_learn_from_it() -> None:
    weights = np.random.default_rng(3).normal(0, 1, (len(HEADS), WEIGHT_ROWS, 3))
    for bucket in range(BUCKETS):
        added = weights[:, list(rows_of_bucket(bucket))].sum(axis=1)
        assert effective(weights)[:, bucket] == pytest.approx(added)


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


def test_weights_are_carried_over_by_the_name_of_their_feature() -> None:
    old, fresh = (
        np.arange(4.0 * WEIGHT_ROWS).reshape(2, WEIGHT_ROWS, 2),
        fallback_weights(("visits", "together", "own")),
    )
    found = carried_over(("visits", "together", "own"), ("own", "visits"), old.tobytes(), fresh)
    assert found[:, :, 0].tolist() == old[:, :, 1].tolist()
    assert found[:, :, 1].tolist() == fresh[:, :, 1].tolist()
    assert found[:, :, 2].tolist() == old[:, :, 0].tolist()


def test_there_are_weights_for_anything_and_for_what_is_new() -> None:
    assert fallback_weights(("own",)).shape == (len(HEADS), WEIGHT_ROWS, 1)


@given(seeds, st.randoms(use_true_random=False))
def test_gradients_do_not_depend_on_where_items_came_to_lie(seed: int, shuffle: Any) -> None:
    world = random_world(seed)
    order = list(world.views)
    shuffle.shuffle(order)
    other = replace(world, views={item: world.views[item] for item in order})
    random = np.random.default_rng(seed)
    chosen = [str(random.choice(sorted(world.known()) or ["none"])) for _ in world.users]

    def taught(world: World) -> bytes:
        ranker = RankingPipeline(world.settings)
        now = [NOW] * len(world.users)
        _, examples = Training(ranker).lessons(world.users, now, chosen, world.read(ranker.features), NOW)
        return msgspec.msgpack.encode(examples)

    assert taught(world) == taught(other)
