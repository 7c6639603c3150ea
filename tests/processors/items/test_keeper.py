"""An item's state counts visits and co-visits, forgets, stays bounded, and shows its strongest neighbours."""

import math
from collections import defaultdict
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.decay import growth
from processors.common.time import DAY_MS
from processors.items.keeper import ItemKeeper
from processors.items.signals import Touch
from processors.items.state import ItemSettings, ItemState
from processors.items.view import ItemView

NOW = 1_700_000_000_000
SMALL = ItemSettings(neighbours=4, published_neighbours=3)

times = st.integers(NOW - 300 * DAY_MS, NOW)
pair_lists = st.lists(
    st.tuples(st.integers(0, 9).map(str), st.integers(-10, 10).filter(bool), times), min_size=1, max_size=40
)


def keeper(**settings: Any) -> ItemKeeper:
    return ItemKeeper(ItemSettings(**settings))


def touch(time_ms: int = NOW, **attributes: Any) -> Touch:
    return Touch(0, time_ms, 1.0, **attributes)


def shares(column: bytes) -> list[float]:
    return [float(share) for share in np.frombuffer(column, "<f4")]


def learned(pairs: list[tuple[str, int, int]], settings: ItemSettings) -> ItemState:
    state = ItemState()
    ItemKeeper(settings).pairs((state, other, distance, time_ms, 1) for other, distance, time_ms in pairs)
    return state


def test_pairs_counted_together_lead_where_pairs_counted_one_by_one_do() -> None:
    settings = ItemSettings(neighbour_half_life_ms=1000)
    # The second item is ahead of the first: what has the same time weighs less there.
    pairs = [(1, "a", 1, 90_000), (0, "b", 2, 20_000), (1, "b", 2, 20_000), (0, "a", 1, 20_000), (0, "c", 3, 90_000)]
    together, apart = [ItemState(), ItemState()], [ItemState(), ItemState()]
    ItemKeeper(settings).pairs((together[item], other, steps, at, 1) for item, other, steps, at in pairs)
    for item, other, steps, at in pairs:
        ItemKeeper(settings).pairs([(apart[item], other, steps, at, 1)])
    assert together == apart
    assert [state.landmark for state in together] == [80_000, 80_000]


def test_what_came_later_is_both_together_and_after() -> None:
    state = learned([("lamp", 1, NOW)], SMALL)
    assert (state.together, state.after) == (state.after, state.together)
    assert list(state.after) == ["lamp"]


def test_what_came_before_is_together_alone() -> None:
    state = learned([("lamp", -1, NOW)], SMALL)
    assert (list(state.together), state.after) == (["lamp"], {})


@pytest.mark.parametrize(("distance", "expected"), [(3, ["lamp"]), (4, [])])
def test_only_the_next_few_come_after(distance: int, expected: list[str]) -> None:
    assert list(learned([("lamp", distance, NOW)], ItemSettings(next_distance=3)).after) == expected


def test_a_pair_weighs_less_the_further_it_is_apart_in_either_direction() -> None:
    state = learned([("one", 1, NOW), ("two", 2, NOW), ("four", -4, NOW)], SMALL)
    lost = {name: state.together["one"] / weight for name, weight in state.together.items()}
    assert lost == pytest.approx({"one": 1.0, "two": 2.0**SMALL.distance_power, "four": 4.0**SMALL.distance_power})


@given(pair_lists)
def test_weights_decay_as_the_textbook_says(pairs: list[tuple[str, int, int]]) -> None:
    settings = ItemSettings(neighbours=10)
    state = learned(pairs, settings)
    together: dict[str, float] = defaultdict(float)
    after: dict[str, float] = defaultdict(float)
    for other, distance, time_ms in pairs:
        weight = 0.5 ** ((NOW - time_ms) / settings.neighbour_half_life_ms)
        together[other] += weight / abs(distance) ** settings.distance_power
        if 1 <= distance <= settings.next_distance:
            after[other] += weight / distance
    scale = growth(NOW, state.landmark, settings.neighbour_half_life_ms)
    assert {name: weight / scale for name, weight in state.together.items()} == pytest.approx(together, rel=1e-9)
    assert {name: weight / scale for name, weight in state.after.items()} == pytest.approx(after, rel=1e-9)


@given(pair_lists)
def test_neighbours_stay_bounded(pairs: list[tuple[str, int, int]]) -> None:
    state = learned(pairs, SMALL)
    assert len(state.together) <= SMALL.neighbours * 3 // 2
    assert state.after.keys() <= state.together.keys()


def test_neighbours_may_grow_by_half_before_they_are_cut() -> None:
    pairs = [(name, -1, NOW) for name in "abcdefg"]
    assert [len(learned(pairs[:n], SMALL).together) for n in range(4, 8)] == [4, 5, 6, 4]


def test_a_cut_keeps_the_strongest_and_what_came_after_counts_twice() -> None:
    weak = [("d", -3, NOW), ("e", -4, NOW), ("f", -5, NOW)]
    state = learned([("a", -1, NOW), ("b", -2, NOW), ("c", 3, NOW), *weak, ("g", 4, NOW)], SMALL)
    assert (list(state.together), list(state.after)) == (["a", "b", "c", "d"], ["c"])


def test_equally_strong_neighbours_are_cut_by_name_and_not_by_age() -> None:
    pairs = [(name, -1, NOW) for name in "abcdefg"]
    expected = {"d", "e", "f", "g"}
    assert learned(pairs, SMALL).together.keys() == expected
    assert learned(pairs[::-1], SMALL).together.keys() == expected


@given(pair_lists)
def test_a_view_shows_the_strongest_first_and_its_shares_sum_to_one(pairs: list[tuple[str, int, int]]) -> None:
    state = learned(pairs, ItemSettings(neighbours=10))
    view = ItemKeeper(SMALL).view(state)
    strength = {name: weight + state.after.get(name, 0.0) for name, weight in state.together.items()}
    assert len(view.neighbours) == min(len(strength), SMALL.published_neighbours)
    assert all((strength[a], a) > (strength[b], b) for a, b in pairwise(view.neighbours))
    assert all(strength[view.neighbours[-1]] >= strength[name] for name in strength.keys() - set(view.neighbours))
    assert sum(shares(view.together)) == pytest.approx(1.0, rel=1e-6)
    assert sum(shares(view.after)) == pytest.approx(1.0 if any(map(state.after.get, view.neighbours)) else 0.0)


def test_shares_are_in_proportion_to_the_weights() -> None:
    settings = msgspec.structs.replace(SMALL, distance_power=1.0)
    state = learned([("lamp", 1, NOW), ("mat", -2, NOW)], settings)
    view = ItemKeeper(settings).view(state)
    assert (view.neighbours, shares(view.after)) == (["lamp", "mat"], [1.0, 0.0])
    assert shares(view.together) == pytest.approx([2 / 3, 1 / 3])


def test_an_item_without_neighbours_shows_none() -> None:
    state = ItemState()
    keeper().touch(state, touch())
    view = keeper().view(state)
    assert (view.neighbours, view.together, view.after) == ([], b"", b"")


def test_a_state_that_was_never_touched_has_no_trend_to_speak_of() -> None:
    assert keeper().view(ItemState()).trends == (-1e6, -1e6, -1e6)


def test_neighbours_that_have_faded_to_nothing_have_no_share() -> None:
    state = ItemState(together={"lamp": 0.0}, after={"lamp": 0.0})
    view = keeper().view(state)
    assert (shares(view.together), shares(view.after)) == ([0.0], [0.0])


@pytest.mark.parametrize("scale", range(3))
@given(first=st.lists(times, min_size=1, max_size=30), second=st.lists(times, min_size=1, max_size=30))
def test_trends_of_two_items_compare_as_their_decayed_visits_do(
    first: list[int], second: list[int], scale: int
) -> None:
    settings = ItemSettings(trend_half_lives_ms=(DAY_MS, 2 * DAY_MS, 30 * DAY_MS))
    half_life = settings.trend_half_lives_ms[scale]

    def trend(times: list[int]) -> float:
        state = ItemState()
        for time_ms in times:
            ItemKeeper(settings).touch(state, touch(time_ms))
        return ItemKeeper(settings).view(state).trends[scale]

    def visits(times: list[int]) -> float:
        return math.fsum(0.5 ** ((NOW - time_ms) / half_life) for time_ms in times)

    assert trend(first) - trend(second) == pytest.approx(math.log2(visits(first) / visits(second)), abs=1e-6)


def test_visits_and_times_are_kept_whatever_the_order() -> None:
    state = ItemState()
    for time_ms in (NOW, NOW - 5, NOW + 5, NOW):
        keeper().touch(state, touch(time_ms))
    assert (state.visits, state.first_seen, state.last_seen) == (4, NOW - 5, NOW + 5)


def test_of_facts_said_as_often_the_latest_win_and_missing_ones_do_not_erase() -> None:
    state = ItemState()
    keeper().touch(state, touch(NOW, category="tents", brand="Alm", price=10.0))
    keeper().touch(state, touch(NOW + 1, category="shelters", price=12.0))
    keeper().touch(state, touch(NOW + 2, brand="Berg"))
    assert (state.category, state.brand, state.price) == ("shelters", "Berg", 12.0)


def test_facts_of_one_visit_fill_gaps_and_change_nothing_that_several_said() -> None:
    state = ItemState()
    for n in range(2):
        keeper().touch(state, touch(NOW + n, category="tents"))
    keeper().touch(state, touch(NOW - 1, category="lamps", brand="Alm", price=0.0))
    assert (state.category, state.brand, state.price) == ("tents", "Alm", 0.0)


def test_a_view_carries_counts_times_and_facts() -> None:
    state = ItemState()
    keeper().touch(state, touch(NOW, category="tents", brand="Alm", price=9.5))
    view = keeper().view(state)
    found = (view.visits, view.first_seen, view.last_seen, view.category, view.brand, view.price)
    assert found == (1, NOW, NOW, "tents", "Alm", 9.5)


@given(pair_lists)
def test_state_and_view_survive_the_wire(pairs: list[tuple[str, int, int]]) -> None:
    state = learned(pairs, SMALL)
    view = ItemKeeper(SMALL).view(state)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=ItemState) == state
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(view), type=ItemView) == view
