"""Features lie in [0, 1] and say what a plain reading of views and profiles says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.items.view import NO_ENTRIES
from processors.ranking.feature_names import feature_names
from processors.ranking.gathering import Gatherer
from tests.processors.ranking.scenes import scene
from tests.processors.worlds import NOW, random_world, touched

seeds = st.integers(0, 2**32)


@given(seeds)
def test_features_lie_between_zero_and_one(seed: int) -> None:
    _, features = scene(random_world(seed))
    assert np.isfinite(features).all()
    assert features.min(initial=0.0) >= 0.0
    assert features.max(initial=1.0) <= 1.0 + 1e-6


def test_a_history_longer_than_any_weight_has_features_too() -> None:
    world = random_world(7)
    ids = [*(f"long ago {n}" for n in range(1500)), world.index().ids[0]]
    world.users[0].item_ids[:] = ids
    world.users[0].item_times[:] = [NOW - 2000 + n for n in range(len(ids))]
    world.users[0].item_actions[:] = [""] * len(ids)
    world.users[0].item_counts[:] = [1] * len(ids)
    world.users[0].item_weights[:] = [1.0] * len(ids)
    known = world.index().ids
    world.users[0].item_ids[:600] = [known[n % len(known)] for n in range(600)]
    _, features = scene(world)
    assert np.isfinite(features).all()
    assert features.max() <= 1.0 + 1e-6


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
            entered = max(v.entries for v in world.views.values())
            expected |= {
                "entries": 2.0 ** (published.entries - entered) if published.entries > NO_ENTRIES else 0.0,
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
