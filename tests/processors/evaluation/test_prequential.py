from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.evaluation.prequential import Popularity, Prequential

Question = tuple[str, str, list[str], list[str]]
SEGMENTS = ("full", "last50", "last20")


def asked(stream: list[Question]) -> Prequential:
    judge = Prequential()
    for question in stream:
        judge.score(*question)
    return judge


def known(*items: str) -> list[Question]:
    """Events that make items known, the first the most popular, by users who never come back."""
    return [(f"{at}/{n} of {item}", item, [], []) for n, item in enumerate(items) for at in range(len(items) - n)]


def rank(before: list[Question], question: Question, variant: str = "all") -> float:
    """Rank of the last question's item, infinite for a miss."""

    def sum_of_reciprocals(stream: list[Question]) -> float:
        figures = asked(stream).result()["full"][variant]
        return figures["n"] * figures.get("mrr20", 0.0)

    reciprocal = sum_of_reciprocals([*before, question]) - sum_of_reciprocals(before)
    return math.inf if reciprocal < 1e-9 else round(1 / reciprocal, 6)


def test_a_small_stream_gives_the_figures_computed_by_hand() -> None:
    result = asked(
        [
            ("ann", "tent", [], []),  # unseen: a certain miss in both variants
            ("ben", "tent", ["tent"], ["tent"]),  # first in both
            ("ann", "lamp", ["tent"], []),  # unseen
            ("ben", "tent", ["lamp", "tent"], []),  # second; not a first time
            ("cat", "lamp", ["tent", "lamp"], ["lamp"]),  # second and first
        ]
    ).result()
    second = 1 / math.log2(3)
    assert result == {
        "full": {
            "all": {"n": 5, "hr10": 0.6, "hr20": 0.6, "mrr20": 0.4, "ndcg10": (1 + 2 * second) / 5, "ceiling": 0.6},
            "new": {"n": 4, "hr10": 0.5, "hr20": 0.5, "mrr20": 0.5, "ndcg10": 0.5, "ceiling": 0.5},
        },
        "last50": {
            "all": {
                "n": 3,
                "hr10": pytest.approx(2 / 3),
                "hr20": pytest.approx(2 / 3),
                "mrr20": pytest.approx(1 / 3),
                "ndcg10": pytest.approx(2 * second / 3),
                "ceiling": pytest.approx(2 / 3),
            },
            "new": {"n": 2, "hr10": 0.5, "hr20": 0.5, "mrr20": 0.5, "ndcg10": 0.5, "ceiling": 0.5},
        },
        "last20": {
            "all": {"n": 1, "hr10": 1.0, "hr20": 1.0, "mrr20": 0.5, "ndcg10": second, "ceiling": 1.0},
            "new": {"n": 1, "hr10": 1.0, "hr20": 1.0, "mrr20": 1.0, "ndcg10": 1.0, "ceiling": 1.0},
        },
    }


def test_an_empty_stream_has_no_figures_but_its_length() -> None:
    assert Prequential().result() == {segment: {"all": {"n": 0}, "new": {"n": 0}} for segment in SEGMENTS}


def test_a_segment_without_first_times_says_so() -> None:
    assert asked([("ann", "tent", [], [])] * 4).result()["last50"]["new"] == {"n": 0}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (["lamp", "tent"], 2),
        (["lamp", "lamp", "lamp", "tent"], 2),
        (["never seen", "lamp", "tent"], 2),
        ([], 3),
        (["tent"], 1),
        (["stove"], 3),
    ],
    ids=["as shown", "repeated", "unseen", "filled up", "first", "filled up after what is shown"],
)
def test_lists_are_cleaned_and_filled_up_by_popularity(shown: list[str], expected: int) -> None:
    assert rank(known("stove", "lamp", "tent"), ("ann", "tent", shown, [])) == expected


def test_what_the_user_touched_is_taken_out_for_first_times_only() -> None:
    before: list[Question] = [*known("stove", "lamp", "tent"), ("ann", "stove", [], []), ("ann", "lamp", [], [])]
    question: Question = ("ann", "tent", ["lamp", "stove", "tent"], ["lamp", "stove", "tent"])
    assert rank(before, question) == 3
    assert rank(before, question, "new") == 1


def test_touched_items_do_not_fill_up_first_time_lists() -> None:
    before: list[Question] = [*known("stove", "lamp", "tent"), ("ann", "stove", [], [])]
    assert rank(before, ("ann", "tent", [], []), "new") == 2


@pytest.mark.parametrize(("place", "expected"), [(10, 10), (20, 20), (21, math.inf)])
def test_lists_are_looked_at_twenty_places_deep(place: int, expected: float) -> None:
    items = [f"item {n}" for n in range(30)]
    question: Question = ("ann", items[place - 1], items, items)
    assert rank(known(*reversed(items)), question) == expected
    assert rank(known(*reversed(items)), question, "new") == expected


def test_the_item_of_an_event_cannot_be_hit_before_anybody_touched_it() -> None:
    assert rank(known("lamp"), ("ann", "tent", ["tent"], ["tent"])) == math.inf


def test_hits_below_the_tenth_place_count_for_the_deep_figures_only() -> None:
    items = [f"item {n}" for n in range(12)]
    stream: list[Question] = [(f"user {n}", item, [], []) for n, item in enumerate(items)]
    figures = asked([*stream, ("ann", items[10], items, items)]).result()["last20"]["all"]
    assert figures["n"] == 3
    assert figures["hr10"] == figures["ndcg10"] == 0.0
    assert figures["hr20"] == pytest.approx(1 / 3)
    assert figures["mrr20"] == pytest.approx(1 / 33)


@given(st.lists(st.integers(0, 30)))
def test_popularity_is_the_order_by_count_and_first_coming(draws: list[int]) -> None:
    numbers: dict[int, int] = {}
    popularity, counts = Popularity(), Counter[int]()
    for draw in draws:
        number = numbers.setdefault(draw, len(numbers))
        popularity.count(number)
        counts[number] += 1
        assert list(popularity) == sorted(counts, key=lambda item: (-counts[item], item))


def naive_rank(history: list[Question], wanted: str, listed: list[str], excluded: set[str]) -> int:
    """The rank by the letter of the protocol, from the whole history each time."""
    items = [item for _, item, _, _ in history]
    by_popularity = sorted(dict.fromkeys(items), key=items.count, reverse=True)
    places: list[str] = []
    for item in listed + by_popularity:
        if item in items and item not in places and item not in excluded:
            places.append(item)
    return places[:20].index(wanted) + 1 if wanted in places[:20] else 0


def naive_figures(ranks: list[int]) -> tuple[float, ...]:
    n = len(ranks)
    return (
        n,
        sum(0 < r <= 10 for r in ranks) / n,
        sum(0 < r <= 20 for r in ranks) / n,
        sum(1 / r for r in ranks if r) / n,
        sum(1 / math.log2(r + 1) for r in ranks if 0 < r <= 10) / n,
    )


def naive_ranks(stream: list[Question]) -> tuple[list[int], list[int | None]]:
    every: list[int] = []
    first: list[int | None] = []
    for at, (user, item, shown, discover) in enumerate(stream):
        history = stream[:at]
        touched = {other for who, other, _, _ in history if who == user}
        every.append(naive_rank(history, item, shown, set()))
        first.append(None if item in touched else naive_rank(history, item, discover, touched))
    return every, first


names = st.integers(0, 45).map(lambda n: f"item {n}")
lists_of_names = st.lists(names, max_size=24)
questions = st.tuples(st.sampled_from(["ann", "ben", "cat"]), names, lists_of_names, lists_of_names)


def catalogue(size: int) -> list[Question]:
    """A head start that knows items, so that random streams reach deep places."""
    return [("reader", f"item {n % size}", [], []) for n in range(size + size // 3)]


@given(st.integers(1, 40).map(catalogue), st.lists(questions, max_size=40))
def test_figures_agree_with_the_protocol_taken_literally(start: list[Question], stream: list[Question]) -> None:
    stream = start + stream
    result = asked(stream).result()
    every, first = naive_ranks(stream)
    for segment, begin in zip(SEGMENTS, (0, len(stream) // 2, int(len(stream) * 0.8)), strict=True):
        ranks = {"all": every[begin:], "new": [rank for rank in first[begin:] if rank is not None]}
        for variant, expected in ranks.items():
            figures = result[segment][variant]
            assert figures["n"] == len(expected)
            if expected:
                found = [figures[key] for key in ("n", "hr10", "hr20", "mrr20", "ndcg10")]
                assert found == pytest.approx(naive_figures(expected))


@given(st.lists(questions, min_size=2, max_size=30))
def test_no_list_beats_the_ceiling_and_deeper_is_never_worse(stream: list[Question]) -> None:
    for segment in asked(stream).result().values():
        for figures in segment.values():
            if figures["n"]:
                ordered = [0.0, figures["mrr20"], figures["hr20"], figures["ceiling"], 1.0]
                assert all(low <= high + 1e-12 for low, high in pairwise(ordered))
                assert figures["ndcg10"] <= figures["hr10"] <= figures["hr20"]
