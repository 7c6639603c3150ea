"""Slates hold what they may hold, in the order of their scores, the same for a user alone as among others."""

from hypothesis import given
from hypothesis import strategies as st

from tests.processors.worlds import World, profile, random_world, view

seeds = st.integers(0, 2**32)


@given(seeds)
def test_ranks_count_up_scores_go_down_and_no_item_comes_twice(seed: int) -> None:
    for slates in random_world(seed).slates():
        for slate in slates:
            assert [item.rank for item in slate] == list(range(1, len(slate) + 1))
            assert sorted((item.score for item in slate), reverse=True) == [item.score for item in slate]
            assert len({item.item_id for item in slate}) == len(slate)


TENT = {"tent": view(5.0, {"lamp": (0.9, 0.2), "mat": (0.1, 0.8)}), "stove": view(6.0), "lamp": view(1.0)}


def test_with_an_empty_index_slates_are_empty() -> None:
    assert World({}, [profile(), profile("tent")]).slates() == [[[], []], [[], []]]


def test_a_user_without_history_is_shown_what_is_popular() -> None:
    home, discover = World(TENT, [profile()]).slates()
    sources = {"stove": "trending", "tent": "trending", "lamp": "popular"}
    assert {item.item_id: item.source for item in home[0]} == sources
    assert discover == home


def test_a_user_whose_items_are_all_unknown_is_shown_what_is_popular() -> None:
    assert World(TENT, [profile("gone")]).slates() == World(TENT, [profile()]).slates()
