"""The read model of items keeps its columns whole while it grows, evicts and withdraws, wherever items come to lie."""

from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.hashing import fingerprint
from processors.items.index import ItemIndex
from processors.items.popularity import NO_TREND, POPULAR_DEPTH
from processors.items.view import NO_ENTRIES, ItemView, decode_view
from processors.models.serving_weights import ServingWeights
from processors.ranking.feature_names import baseline_weights
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.settings import RankingSettings
from processors.users.profile import Profile


def view(trend: float = 1.0, neighbours: Iterable[str] = (), visits: int = 1) -> ItemView:
    names = list(neighbours)
    together = np.arange(len(names), 0, -1, dtype="<f4")
    together /= max(together.sum(), 1.0)
    return ItemView((trend, trend, trend), visits, 0, 0, names, together.tobytes(), together[::-1].tobytes())


def popular(index: ItemIndex, k: int = 60) -> list[str]:
    return [index.ids[slot] for slot in index.popularity.trending(k)]


def neighbours(index: ItemIndex, item_id: str) -> dict[str, tuple[float, float]]:
    """What the columns say of an item's neighbours, by their names."""
    slot = index.slot(item_id)
    columns = zip(index.neighbours[slot], index.together[slot], index.after[slot], strict=True)
    return {index.ids[other]: (float(t), float(a)) for other, t, a in columns if t or a}


def check_whole(index: ItemIndex, applied: dict[str, ItemView]) -> None:
    """Every column agrees with the views that are held, and nothing leads to an item that is gone."""
    live = {item_id: slot for slot, item_id in enumerate(index.ids) if index.slot(item_id) == slot}
    assert len(live) == len(index) <= index.max_items
    assert index.slots_of_fingerprints(b"".join(map(fingerprint, live))).tolist() == list(live.values())
    for item_id, slot in live.items():
        held = index.view(item_id)
        assert held in (None, applied.get(item_id))
        published = {} if held is None else dict(zip(held.neighbours, _pairs(held), strict=True))
        found = neighbours(index, item_id)
        assert found.items() <= published.items()
        assert found.keys() <= live.keys()
        assert index.popularity.trend[slot] == (NO_TREND if held is None else held.trends[1])
    gone = [slot for slot in range(len(index.ids)) if slot not in set(live.values())]
    assert not index.together[gone].any()
    assert not index.after[gone].any()
    assert (index.popularity.trend[gone] == NO_TREND).all()


def _pairs(held: ItemView) -> list[tuple[float, float]]:
    columns = np.frombuffer(held.together, "<f4"), np.frombuffer(held.after, "<f4")
    return [(float(t), float(a)) for t, a in zip(*columns, strict=True)]


names = st.integers(0, 19).map(lambda n: f"item {n}")
changes = st.lists(
    st.tuples(
        names,
        st.none() | st.builds(view, st.floats(0, 20_000), st.lists(names, max_size=3, unique=True)),
    ),
    max_size=50,
)


@given(changes, st.integers(5, 25))
def test_stays_whole_whatever_is_published_withdrawn_and_evicted(
    changes: list[tuple[str, ItemView | None]], max_items: int
) -> None:
    index = ItemIndex(neighbours=3, max_items=max_items)
    applied: dict[str, ItemView] = {}
    for item_id, published in changes:
        index.apply(item_id, published)
        if published is not None:
            applied[item_id] = published
        check_whole(index, applied)


@given(changes)
def test_without_eviction_the_columns_hold_all_that_is_published_last(
    changes: list[tuple[str, ItemView | None]],
) -> None:
    index = ItemIndex(neighbours=3)
    latest = {item_id: published for item_id, published in changes if published is not None}
    for item_id, published in latest.items():
        index.apply(item_id, published)
    for item_id, published in latest.items():
        assert neighbours(index, item_id) == dict(zip(published.neighbours, _pairs(published), strict=True))
        assert index.view(item_id) == published


def test_growing_keeps_what_was_there() -> None:
    index = ItemIndex(neighbours=2)
    for n in range(5000):
        index.apply(f"item {n}", view(float(n), [f"item {n + 1}"]))
    check_whole(index, {f"item {n}": view(float(n), [f"item {n + 1}"]) for n in range(5000)})
    assert [neighbours(index, f"item {n}") for n in (0, 4999)] == [{"item 1": (1, 1)}, {"item 5000": (1, 1)}]


def test_a_longer_list_of_neighbours_is_cut_to_the_width() -> None:
    index = ItemIndex(neighbours=2)
    index.apply("tent", view(1.0, ["lamp", "mat", "stove"]))
    assert list(neighbours(index, "tent")) == ["lamp", "mat"]


def test_a_shorter_list_of_neighbours_leaves_nothing_of_the_longer_one() -> None:
    index = ItemIndex(neighbours=3)
    index.apply("tent", view(1.0, ["lamp", "mat", "stove"]))
    index.apply("tent", view(1.0, ["mat"]))
    assert list(neighbours(index, "tent")) == ["mat"]


def test_beyond_the_bound_the_twentieth_with_the_least_trend_goes() -> None:
    index = ItemIndex(neighbours=1, max_items=100)
    for n in range(101):
        index.apply(f"item {n}", view(float(n * 37 % 101)))
    gone = {n * 37 % 101 for n in range(101) if index.slot(f"item {n}") < 0}
    assert (gone, len(index), index.evictions) == ({0, 1, 2, 3, 4}, 96, 5)


def test_memory_is_bounded_however_many_items_come() -> None:
    index = ItemIndex(neighbours=1, max_items=100)
    for n in range(5000):
        index.apply(f"item {n}", view(float(n)))
    assert (len(index), index.capacity, len(index.ids)) == (100, 1024, 100)


def test_an_evicted_item_is_nobodys_neighbour() -> None:
    index = ItemIndex(neighbours=2, max_items=4)
    index.apply("tent", view(9.0, ["lamp", "mat"]))
    index.apply("mat", view(8.0))
    index.apply("lamp", view(1.0))
    index.apply("stove", view(7.0))
    index.apply("axe", view(7.0))
    assert (index.slot("lamp"), list(neighbours(index, "tent"))) == (-1, ["mat"])


def test_a_withdrawn_item_is_in_no_list() -> None:
    index = ItemIndex(neighbours=2)
    index.apply("lamp", view(5.0))
    index.apply("tent", view(1.0, ["lamp", "mat"]))
    index.apply("lamp", None)
    assert (popular(index), list(neighbours(index, "tent")), index.view("lamp")) == (["tent"], ["mat"], None)
    assert index.slots_of_fingerprints(fingerprint("lamp")).tolist() == [-1]


def test_withdrawing_an_item_that_is_not_there_changes_nothing() -> None:
    index = ItemIndex()
    index.apply("lamp", None)
    assert (len(index), index.evictions) == (0, 0)


def test_a_withdrawn_item_can_be_published_anew() -> None:
    index = ItemIndex(neighbours=2)
    index.apply("lamp", view(1.0, ["tent"]))
    index.apply("lamp", None)
    index.apply("lamp", view(2.0, ["mat"]))
    assert (popular(index), list(neighbours(index, "lamp"))) == (["lamp"], ["mat"])


@given(st.lists(st.integers(0, 20_000), unique=True, max_size=400), st.integers(0, 500))
def test_popular_items_come_in_the_order_of_their_trend(trends: list[int], k: int) -> None:
    index = ItemIndex(neighbours=1)
    for trend in trends:
        index.apply(str(trend), view(float(trend), ["never published"]))
    assert popular(index, 3) == [str(trend) for trend in sorted(trends, reverse=True)[:3]]
    assert popular(index, k) == [str(trend) for trend in sorted(trends, reverse=True)[: min(k, POPULAR_DEPTH)]]


@pytest.mark.parametrize("k", [1, 60, 99, 100, 101, 300])
def test_as_many_popular_items_come_as_are_asked_for_and_known(k: int) -> None:
    index = ItemIndex(neighbours=1)
    for n in range(300):
        index.apply(str(n), view(float(n)))
    assert popular(index, k) == [str(n) for n in range(299, -1, -1)][: min(k, POPULAR_DEPTH)]


@pytest.mark.parametrize("change", [view(9.0), None], ids=["published", "withdrawn"])
def test_popularity_follows_every_change(change: ItemView | None) -> None:
    index = ItemIndex()
    for n, item_id in enumerate(["lamp", "tent"]):
        index.apply(item_id, view(float(n)))
    assert popular(index) == ["tent", "lamp"]
    index.apply("lamp", change)
    assert popular(index) == (["lamp", "tent"] if change else ["tent"])


def entering(index: ItemIndex) -> list[str]:
    return [index.ids[slot] for slot in index.popularity.entering(9)]


def test_first_visits_of_sessions_have_an_order_of_their_own() -> None:
    index = ItemIndex()
    for n, item_id in enumerate(["lamp", "tent", "mat"]):
        entries = [3.0, NO_ENTRIES, 5.0][n]
        index.apply(item_id, msgspec.structs.replace(view(float(n)), entries=entries))
    assert (entering(index), index.popularity.tops()[4]) == (["mat", "lamp"], 5.0)
    index.apply("mat", None)
    assert (entering(index), index.popularity.tops()[4]) == (["lamp"], 3.0)


def test_an_item_known_as_a_neighbour_alone_is_not_popular() -> None:
    index = ItemIndex()
    index.apply("tent", view(1.0, ["lamp"]))
    assert (index.slot("lamp"), popular(index), index.view("lamp")) == (1, ["tent"], None)


def test_unknown_items_have_no_slot_and_no_view() -> None:
    index = ItemIndex()
    index.apply("tent", view())
    assert (index.slot("lamp"), index.slots_of(["lamp", "tent"]), index.view("lamp")) == (-1, [-1, 0], None)


@given(st.permutations(range(40)), st.integers(0, 2**32))
def test_slates_do_not_depend_on_where_items_came_to_lie(order: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    trends = random.permutation(40) / 7
    views = {
        f"item {n}": view(float(trends[n]), [f"item {other}" for other in random.choice(50, 3, replace=False)])
        for n in range(40)
    }
    ids = [[f"item {n}" for n in random.choice(45, size, replace=False)] for size in (0, 1, 5, 20)]
    users = [
        Profile(
            item_ids=each,
            item_counts=[1] * len(each),
            item_weights=[1.0] * len(each),
            item_times=[0] * len(each),
            item_actions=["view"] * len(each),
        )
        for each in ids
    ]

    def slates(order: Iterable[int]) -> list[bytes]:
        index = ItemIndex(neighbours=3)
        for n in order:
            index.apply(f"item {n}", views[f"item {n}"])
        ranker = RankingPipeline(RankingSettings())
        read = ReadModels(index, ServingWeights(ranker.features, baseline_weights()))
        ranked = ranker.rank(users, [0] * len(users), read, 0)
        return [msgspec.json.encode(part.items(row, read)) for part in ranked for row in range(len(users))]

    assert slates(order) == slates(range(40))


def test_a_view_survives_the_wire_and_a_tombstone_is_none() -> None:
    published = view(1.0, ["lamp"])
    assert (decode_view(msgspec.msgpack.encode(published)), decode_view(None)) == (published, None)
