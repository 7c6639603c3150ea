"""What was shown too often without a reaction moves down, comes back with time, and stays where rules put it."""

import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.time import DAY_MS
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.rules import Items, Rule
from processors.ranking.settings import Placement, RankingSettings
from processors.ranking.why_not import why_not
from processors.users.profile import Profile
from processors.users.unclicked_impressions import UnclickedImpressions
from tests.processors.worlds import NOW, World, profile, random_world, view

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

SHOP = {f"item {n}": view(float(n), category="tools") for n in range(9)}
PLACEMENTS = (Placement("home", size=9), Placement("discover", only_new=True, size=9))


def shown(times: int, item: str = "item 8", ago_ms: int = 0) -> Profile:
    """Somebody who was shown an item so many times."""
    user = profile("bolt")
    user.unclicked = UnclickedImpressions([item], [times], [NOW - ago_ms])
    return user


def world(user: Profile, **settings: Any) -> World:
    return World(SHOP, [user], RankingSettings(placements=PLACEMENTS, exploration=0.0, **settings))


def scores(user: Profile, **settings: Any) -> list[dict[str, float]]:
    return [{item.item_id: item.score for item in slates[0]} for slates in world(user, **settings).slates()]


def loss(user: Profile, item: str = "item 8", **settings: Any) -> float:
    without = scores(profile("bolt"), **settings)[0]
    return round(without[item] - scores(user, **settings)[0][item], 5)


def positions(user: Profile, item: str = "item 8", **settings: Any) -> list[int]:
    return [list(slate).index(item) for slate in scores(user, **settings)]


def test_shown_ten_times_without_a_reaction_falls_in_every_placement() -> None:
    assert positions(shown(3)) == [0, 0]
    home, discover = positions(shown(10))
    assert home > 2
    assert discover > 2


def test_the_loss_is_what_the_formula_says() -> None:
    assert loss(shown(3)) == 0.0
    assert loss(shown(4)) == round(0.5 * 10 * (1 - math.exp(-0.1)), 5)
    assert loss(shown(10), fatigue=0.2, fatigue_after=0) == round(0.2 * 10 * (1 - math.exp(-1)), 5)
    assert loss(shown(10**9)) == 5.0


def test_it_comes_back_with_time() -> None:
    assert loss(shown(10**9, ago_ms=DAY_MS)) == 2.5
    assert loss(shown(10**9, ago_ms=3 * DAY_MS)) == 0.625
    assert loss(shown(10**9, ago_ms=DAY_MS), fatigue_half_life_ms=DAY_MS // 2) == 1.25
    assert positions(shown(10, ago_ms=14 * DAY_MS)) == [0, 0]


def test_what_was_shown_after_the_moment_of_the_slate_counts_as_just_shown() -> None:
    assert loss(shown(10**9, ago_ms=-DAY_MS)) == 5.0


def test_a_strength_of_zero_turns_it_off() -> None:
    assert scores(shown(10**6), fatigue=0.0) == scores(profile("bolt"))


def test_items_that_are_no_candidates_cost_nobody_anything() -> None:
    assert scores(shown(10**6, item="nowhere")) == scores(profile("bolt"))
    empty = World({}, [shown(10**6)])
    assert empty.slates() == [[[]], [[]]]


def test_only_the_user_who_was_shown_it_loses_it() -> None:
    there = world(profile("bolt"))
    there.users.append(shown(50))
    home, _ = there.slates()
    assert home[0] == world(profile("bolt")).slates()[0][0]
    assert home[1] == world(shown(50)).slates()[0][0]


def test_a_pin_stays_where_it_is() -> None:
    there = world(shown(10**6))
    there.rules.apply("pin", Rule("pin", Items(ids=("item 8",)), position=1))
    assert [slates[0][0].item_id for slates in there.slates()] == ["item 8"] * 2


def test_a_boost_adds_to_what_is_left() -> None:
    there = world(shown(10))
    before = scores(shown(10))[0]["item 8"]
    there.rules.apply("boost", Rule("boost", Items(ids=("item 8",)), factor=100.0))
    after = next(item.score for item in there.slates()[0][0] if item.item_id == "item 8")
    assert after == pytest.approx(before + math.log(100.0), abs=1e-5)


def said(user: Profile, size: int, item: str = "item 8") -> list[str]:
    settings = RankingSettings(placements=(Placement("home", size=size),), exploration=0.0)
    ranker, there = RankingPipeline(settings), World(SHOP, [user], settings)
    return [part.text for part in why_not(ranker, user, item, there.read(ranker.features), NOW)]


def test_why_not_says_so_where_fatigue_moved_the_item_down() -> None:
    (text,) = said(shown(10), size=1)
    at = positions(shown(10))[0] + 1
    assert text == (
        f"its score puts it at position {at} of 9 candidates: others rank higher; "
        "shown 10 times without a reaction, or its score would put it at position 1"
    )
    assert "reaction" not in said(shown(10), size=1, item="item 0")[0]
    assert "reaction" not in said(shown(10, item="item 0"), size=1, item="item 0")[0]


@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
def test_slates_are_those_of_scores_less_the_loss(seed: int, random: Any) -> None:
    """Every user of a random world alone, among others, and with without scores lowered by hand."""
    fatigued = random_world(seed)
    fatigued.settings = msgspec.structs.replace(fatigued.settings, exploration=0.0)
    for user in fatigued.users:
        items = random.sample(sorted(fatigued.known()), min(5, len(fatigued.known())))
        ages = [random.randrange(0, 3 * DAY_MS) for _ in items]
        user.unclicked = UnclickedImpressions(
            items, [random.randrange(1, 20) for _ in items], [NOW - age for age in ages]
        )
    alone = [replace(fatigued, users=[user]).slates() for user in fatigued.users]
    found = fatigued.slates()
    assert found == [[slates[n][0] for slates in alone] for n in range(2)]
    whole = msgspec.structs.replace(
        fatigued.settings,
        placements=tuple(msgspec.structs.replace(part, size=100) for part in fatigued.settings.placements),
    )
    without = replace(fatigued, settings=msgspec.structs.replace(whole, fatigue=0.0)).slates()
    lowered = replace(fatigued, settings=whole).slates()
    for before, after in zip(without, lowered, strict=True):
        for user, slate, now in zip(fatigued.users, before, after, strict=True):
            expected = {item.item_id: item.score - _loss(user.unclicked, item.item_id) for item in slate}
            assert {item.item_id: item.score for item in now} == pytest.approx(expected, abs=1e-5)
            assert [item.score for item in now] == sorted((item.score for item in now), reverse=True)


def _loss(impressions: UnclickedImpressions, item: str) -> float:
    if item not in impressions.ids:
        return 0.0
    at = impressions.ids.index(item)
    beyond = max(0, impressions.counts[at] - 3)
    return float(5.0 * (1 - math.exp(-beyond / 10)) * 0.5 ** ((NOW - impressions.times[at]) / DAY_MS))
