"""Counters stay bounded, never drop what was just counted, and drop the rarest by a rule that leaves nothing open."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.bounded_counter import add_bounded, rarest

additions = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.5, 1.0, 3.0])), max_size=40)
bounds = st.integers(1, 5)


class Entry(NamedTuple):
    """A name as the model of these tests keeps it: its count, and when it last came to where it stands."""

    total: float
    at: int


def expected(added: list[tuple[str, float]], bound: int, renew: bool) -> list[tuple[str, float]]:
    """Do the same by numbering: of the least counts, the one with the lowest number goes."""
    entries: dict[str, Entry] = {}
    for at, (name, amount) in enumerate(added):
        known = entries.get(name)
        stays = known is not None and not renew
        entries[name] = Entry((known.total if known else 0.0) + amount, known.at if known and stays else at)
        if len(entries) > bound:
            del entries[min((other for other in entries if other != name), key=lambda other: entries[other])]
    return [(name, entry.total) for name, entry in sorted(entries.items(), key=lambda pair: pair[1].at)]


def counted(added: list[tuple[str, float]], bound: int, renew: bool) -> dict[str, float]:
    counts: dict[str, float] = {}
    for name, amount in added:
        add_bounded(counts, name, amount, bound, renew=renew)
        assert len(counts) <= bound
        assert name in counts
    return counts


@given(additions, bounds, st.booleans())
def test_entries_and_their_order_follow_from_the_rule(added: list[tuple[str, float]], bound: int, renew: bool) -> None:
    assert list(counted(added, bound, renew).items()) == expected(added, bound, renew)


@given(additions, st.booleans())
def test_counts_are_exact_as_long_as_there_is_room(added: list[tuple[str, float]], renew: bool) -> None:
    sums: dict[str, float] = {}
    for name, amount in added:
        sums[name] = sums.get(name, 0.0) + amount
    assert counted(added, 8, renew) == sums


@given(additions, bounds, st.booleans())
def test_no_count_is_more_than_what_was_added(added: list[tuple[str, float]], bound: int, renew: bool) -> None:
    for name, count in counted(added, bound, renew).items():
        assert count <= sum(amount for other, amount in added if other == name)


def test_of_equals_the_first_goes_and_renewal_decides_which_is_first() -> None:
    added = [("a", 1.0), ("b", 1.0), ("a", 0.0), ("c", 1.0)]
    assert list(counted(added, 2, renew=False)) == ["b", "c"]
    assert list(counted(added, 2, renew=True)) == ["a", "c"]


def test_what_was_just_counted_stays_even_if_it_is_the_rarest() -> None:
    assert counted([("a", 3.0), ("b", 0.5)], 1, renew=False) == {"b": 0.5}


def test_the_rarest_of_nothing_else_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        rarest(["a"], "a", lambda _: 0.0)
