"""Touches count by who makes them and how often; facts of items are what most say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.time import DAY_MS
from processors.items.keeper import ItemKeeper
from processors.items.signals import Touch
from processors.items.state import ItemSettings, ItemState
from processors.items.view import NO_ENTRIES
from processors.items.voices import Voices, VoiceSettings, newcomers_share, voted

NOW = 1_700_000_000_000


def touched(*touches: Touch) -> ItemState:
    keeper, state = ItemKeeper(ItemSettings()), ItemState()
    for touch in touches:
        keeper.touch(state, touch)
    return state


def visits(state: ItemState) -> int:
    return ItemKeeper(ItemSettings()).view(state).visits


def test_one_user_counts_for_less_than_two_however_often() -> None:
    assert visits(touched(*(Touch(0, NOW + n, 1.0, nth=n + 1) for n in range(5000)))) == 2


def test_accounts_without_a_past_count_up_to_a_bound_and_with_others() -> None:
    fresh = [Touch(0, NOW + n, 1.0, nth=-1) for n in range(1000)]
    known = [Touch(0, NOW + n, 1.0) for n in range(60)]
    assert visits(touched(*fresh)) == 3
    assert visits(touched(*known)) == 60
    assert visits(touched(*known, *fresh)) == 300


def test_the_trend_of_fresh_accounts_is_that_of_a_few_visits_now() -> None:
    keeper = ItemKeeper(ItemSettings())
    fresh = keeper.view(touched(*(Touch(0, NOW, 1.0, nth=-1) for _ in range(1000)))).trends
    few = keeper.view(touched(*(Touch(0, NOW, 1.0) for _ in range(3)))).trends
    assert fresh == pytest.approx(few)


def entries(*touches: Touch) -> float:
    return ItemKeeper(ItemSettings()).view(touched(*touches)).entries


def test_first_visits_of_sessions_have_a_trend_of_their_own() -> None:
    first, later = Touch(0, NOW, 1.0, entered=True), Touch(0, NOW, 1.0)
    assert entries(later) == NO_ENTRIES
    assert entries(later, first) == entries(first)
    assert entries(first, first) - entries(first) == pytest.approx(1.0), "a logarithm to base 2"
    old = Touch(0, NOW - DAY_MS, 1.0, entered=True)
    assert entries(first) - entries(old) == pytest.approx(1.0), "a day counts half"
    assert entries(*[old] * 2, first) - entries(first) == pytest.approx(1.0)
    assert entries(Touch(0, NOW - 40 * DAY_MS, 1.0, entered=True), first) == pytest.approx(entries(first))


def test_sessions_of_fresh_accounts_count_up_to_a_bound_that_follows_from_all_visits_of_others() -> None:
    fresh = [Touch(0, NOW, 1.0, nth=-1, entered=True) for _ in range(1000)]
    known = [Touch(0, NOW, 1.0) for _ in range(60)]
    first = Touch(0, NOW, 1.0, entered=True)
    assert entries(*fresh) == pytest.approx(entries(*[first] * 3))
    assert entries(*known, *fresh) == pytest.approx(entries(*[first] * 240))


def test_one_event_with_an_absurd_price_changes_nothing() -> None:
    said = [Touch(0, NOW + n, 1.0, "tents", "Alm", 40.0 + n % 3) for n in range(5)]
    state = touched(*said, Touch(0, NOW + 9, 1.0, "cars", "Evil", 1e9))
    assert (state.category, state.brand, state.price) == ("tents", "Alm", 41.0)


def test_a_price_that_is_new_for_everybody_is_taken_over() -> None:
    said = [Touch(0, NOW + n, 1.0, price=40.0) for n in range(50)] + [
        Touch(0, NOW + n, 1.0, price=90.0) for n in range(5)
    ]
    assert touched(*said).price == 90.0


def test_an_absurd_first_price_is_corrected_by_the_next() -> None:
    assert touched(Touch(0, NOW, 1.0, price=1e9, nth=-1), Touch(0, NOW + 1, 1.0, price=40.0)).price == 40.0


@given(st.lists(st.tuples(st.sampled_from("ab") | st.none(), st.sampled_from([0.25, 1.0])), max_size=30))
def test_votes_stay_within_their_bound(said: list[tuple[str | None, float]]) -> None:
    present, votes = None, 0.0
    for fact, voice in said:
        present, votes = voted(present, fact, votes, voice)
        assert 0.0 <= votes <= 3.0
    if any(fact for fact, _ in said):
        assert present in ("a", "b")


def test_pairs_of_fresh_accounts_add_up_to_about_a_root() -> None:
    known = 0.0
    for _ in range(1000):
        known += newcomers_share(known)
    assert 20.0 < known < 25.0


def test_all_touches_count_alike_where_the_settings_say_so() -> None:
    voices = Voices(VoiceSettings(repeat_power=0.0, newcomers_ratio=100.0))
    assert voices.of(100) == 1.0
    assert voices.sum(1.0, 90.0) == 91.0
