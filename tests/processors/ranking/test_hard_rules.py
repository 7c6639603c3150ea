"""Pins and caps hold whatever is explored, and propensities are how often an item really is in the slate."""

from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from processors.ranking.exploration import Bounds, Draw, explore
from processors.ranking.rules import Items, Rule
from processors.ranking.settings import Placement, RankingSettings
from tests.processors.worlds import NOW, World, profile, view

HOUR = 3_600_000
ITEMS = {f"{label}{n}": view(9.0 - n, category=label, seen=(NOW - HOUR, NOW)) for label in "abc" for n in range(6)}
RULES = {
    "pin": Rule("pin", Items(ids=("c5",)), position=2),
    "cap": Rule("cap", at_most=2, per="category"),
    "few": Rule("cap", Items(ids=("b0", "b2", "b4")), at_most=1, per="category"),
}


@pytest.mark.parametrize("exploration", [0.0, 0.05, 1.0])
@given(seeds=st.lists(st.integers(1, 2**63), min_size=40, max_size=40, unique=True))
def test_no_slate_breaks_a_pin_or_a_cap(exploration: float, seeds: list[int]) -> None:
    users = [msgspec.structs.replace(profile(), event_ids=seed.to_bytes(8, "little")) for seed in seeds]
    settings = RankingSettings(placements=(Placement("home", size=5),), exploration=exploration)
    world = World(ITEMS, users, settings)
    for name, rule in RULES.items():
        world.rules.apply(name, rule)
    for slate in world.slates()[0]:
        ids = [item.item_id for item in slate]
        assert ids[1] == "c5"
        assert max(Counter(item[0] for item in ids).values()) <= 2
        assert len({"b0", "b2", "b4"} & set(ids)) <= 1


def test_propensities_are_frequencies_within_pins_and_caps() -> None:
    # Candidates 0 to 2 are in the slate, 0 is pinned; 3 to 5 are new. Of label 1, which 1 and 3 have, one is allowed.
    draws, share, size, candidates = 60_000, 0.5, 3, 6
    labels = np.tile([0, 1, 2, 1, 2, 0], draws)[None, :]
    scores = np.tile([3.0, 2.0, 1.0, 1.0, 0.5, 0.0], draws)
    begins = np.arange(draws + 1) * candidates
    numbers = begins[:-1, None] + np.arange(size)
    explored = explore(
        begins,
        numbers,
        np.ones((draws, size), np.bool_),
        scores,
        np.tile(np.arange(candidates) >= size, draws),
        np.tile(np.linspace(0.1, 0.9, candidates), draws),
        Draw(share, np.random.default_rng(1).integers(0, 2**63, draws).astype(np.uint64)),
        Bounds(begins[:-1, None], labels, np.array([1])),
    )
    shown = explored.numbers - begins[:-1, None]
    assert (shown[:, 0] == 0).all()
    for candidate in range(1, candidates):
        is_shown = shown == candidate
        stated = np.unique(explored.propensities[is_shown].round(12))
        assert len(stated) == 1
        times = int(is_shown.any(axis=1).sum())
        assert chisquare([times, draws - times], [stated[0] * draws, (1 - stated[0]) * draws]).pvalue > 1e-4
