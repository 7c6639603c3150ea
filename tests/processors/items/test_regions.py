"""Sets of regions are bounded, follow from what items have now, and allow nothing that cannot be checked."""

from hypothesis import given
from hypothesis import strategies as st

from processors.items.regions import EVERYWHERE, NOWHERE, RegionSets


@given(st.lists(st.lists(st.sampled_from(["DE", "de", "AT", "FR", "Tyrol"]), max_size=3), max_size=20))
def test_sets_of_regions_stay_bounded_and_what_cannot_be_checked_is_not_shown(regions: list[list[str]]) -> None:
    sets = RegionSets(limit=2)
    numbers = [sets.acquire(names) for names in regions]
    assert len(sets) <= 4
    for names, number in zip(regions, numbers, strict=True):
        assert (number == EVERYWHERE) is (not names)
        if number != NOWHERE:
            for unknown in (False, True):
                row = sets.allowed([{"country": "at"}], unknown)[0]
                assert row[number] == (not names or "AT" in names)
    assert not sets.allowed([{"country": "AT"}, {}], unknown=True)[:, NOWHERE].any()


@given(st.lists(st.tuples(st.integers(0, 5), st.sets(st.sampled_from("abcd"), max_size=3)), max_size=40))
def test_sets_of_regions_follow_from_what_items_have_now(changes: list[tuple[int, set[str]]]) -> None:
    sets = RegionSets(limit=6)
    taken: dict[int, int] = {}
    now: dict[int, set[str]] = {}
    for item, regions in changes:
        sets.release(taken.get(item, EVERYWHERE))
        taken[item] = sets.acquire(regions)
        now[item] = regions
    assert len(sets) <= 2 + 6
    people = [{"country": name} for name in "abcd"] + [{}]
    rows = sets.allowed(people, unknown=False)
    for item, regions in now.items():
        if taken[item] != NOWHERE:
            assert rows[:, taken[item]].tolist() == [not regions or name in regions for name in "abcd"] + [not regions]
