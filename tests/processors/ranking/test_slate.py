"""Slates hold what they may hold, in the order of their scores, the same for a user alone as among others."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.events.event import Event
from processors.ranking.candidates import MAX_ROWS
from processors.ranking.reasons import Reason
from processors.ranking.settings import Placement, RankingSettings
from processors.users.profile import Profile, ProfileKeeper
from processors.users.settings import ProfileSettings
from tests.processors.worlds import World, profile, random_world, touched, view

seeds = st.integers(0, 2**32)


@given(seeds)
def test_ranks_count_up_scores_go_down_and_no_item_comes_twice(seed: int) -> None:
    for slates in random_world(seed).slates():
        for slate in slates:
            assert [item.rank for item in slate] == list(range(1, len(slate) + 1))
            assert sorted((item.score for item in slate), reverse=True) == [item.score for item in slate]
            assert len({item.item_id for item in slate}) == len(slate)


@given(seeds)
def test_a_slate_is_as_long_as_its_size_and_what_is_published_allow(seed: int) -> None:
    world = random_world(seed)
    for placement, slates in zip(world.settings.placements, world.slates(), strict=True):
        for user, slate in zip(world.users, slates, strict=True):
            everybody = world.settings.sources.popular_items
            possible = [i for i in world.best("1", everybody) if not (placement.only_new and touched(user, i))]
            assert len(slate) >= min(placement.size, len(possible))
            assert len(slate) <= placement.size
            assert not placement.only_new or not any(touched(user, item.item_id) for item in slate)


@given(seeds)
def test_a_user_gets_the_same_slates_alone_as_among_others(seed: int) -> None:
    world = random_world(seed)
    alone = [replace(world, users=[user]).slates() for user in world.users]
    assert world.slates() == [[slates[n][0] for slates in alone] for n in range(2)]


def test_more_users_than_one_pass_takes_get_their_own_slates() -> None:
    views = {f"item {n}": view(float(n), {f"item {n + 1}": (1.0, 1.0)}) for n in range(30)}
    users = [profile(f"item {n % 30}", f"item {n % 7}") for n in range(2 * MAX_ROWS + 1)]
    found = World(views, users).slates()
    alone = {n: World(views, [users[n]]).slates() for n in (0, MAX_ROWS - 1, MAX_ROWS, 2 * MAX_ROWS)}
    assert [len(slates) for slates in found] == [len(users)] * 2
    for n, slates in alone.items():
        assert [found[placement][n] for placement in range(2)] == [slates[0][0], slates[1][0]]


touches = st.lists(st.tuples(st.integers(0, 30), st.integers(-(10**8), 10**8)), max_size=60)


@given(touches, seeds)
def test_discover_never_shows_what_the_user_has_touched_however_long_ago(
    touches: list[tuple[int, int]], seed: int
) -> None:
    keeper, user = ProfileKeeper(ProfileSettings(recent_items=3)), Profile()
    for n, (item, time_ms) in enumerate(touches):
        keeper.learn(
            user,
            Event(
                event_id=f"e{n}",
                user_id="u",
                item_id=f"item {item}",
                time_ms=1_700_000_000_000 + time_ms,
                kind="click",
                action="view",
            ),
        )
    _, (discover,) = World(random_world(seed).views, [user]).slates()
    assert {item.item_id for item in discover} & {f"item {item}" for item, _ in touches} == set()


TENT = {"tent": view(5.0, {"lamp": (0.9, 0.2), "mat": (0.1, 0.8)}), "stove": view(6.0), "lamp": view(1.0)}


def test_with_an_empty_index_slates_are_empty() -> None:
    assert World({}, [profile(), profile("tent")]).slates() == [[[], []], [[], []]]


def test_a_user_without_history_is_shown_what_is_popular() -> None:
    home, discover = World(TENT, [profile()]).slates()
    assert [(item.item_id, item.source) for item in home[0]] == [(i, "trending") for i in ("stove", "tent", "lamp")]
    assert discover == home


def test_a_user_whose_items_are_all_unknown_is_shown_what_is_popular() -> None:
    assert World(TENT, [profile("gone")]).slates() == World(TENT, [profile()]).slates()


def test_sources_that_are_off_propose_nothing() -> None:
    settings = RankingSettings()
    without = msgspec.structs.replace(settings.sources, off=("trending", "popular", "together", "related"))
    home, _ = World(TENT, [profile("tent")], msgspec.structs.replace(settings, sources=without)).slates()
    assert [item.item_id for item in home[0]] == ["tent"]


def test_a_reason_says_nothing_of_what_it_does_not_know() -> None:
    assert msgspec.json.encode(Reason("trending")) == b'{"kind":"trending"}'


def test_a_slate_holds_no_more_than_its_size() -> None:
    views = {f"item {n}": view(float(n)) for n in range(50)}
    settings = RankingSettings(placements=(Placement("a", size=3), Placement("b"), Placement("c", size=70)))
    slates = World(views, [profile()], settings).slates()
    assert [len(slate) for (slate,) in slates] == [3, 20, 50]


def test_placements_come_in_the_order_of_the_settings() -> None:
    settings = RankingSettings(placements=(Placement("new", only_new=True), Placement("any")))
    new, any_item = World(TENT, [profile("stove")], settings).slates()
    assert ["stove" in {item.item_id for item in part[0]} for part in (new, any_item)] == [False, True]


@pytest.mark.parametrize("size", [0, 101])
def test_a_placement_of_no_use_is_refused(size: int) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"size|Expected `int`"):
        msgspec.convert({"name": "home", "size": size}, Placement)
