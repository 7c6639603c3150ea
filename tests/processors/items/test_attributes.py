"""The read model's columns of attributes agree with what was published, and withdrawn items are in no list of it."""

from collections.abc import Iterable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.hashing import fingerprint
from processors.items.attributes import NEWEST_DEPTH
from processors.items.catalogue_fields import direction
from processors.items.index import ItemIndex
from processors.items.labels import Labels
from processors.items.view import ItemView, Listing
from tests.processors.catalogues import DAY, index_of, listed, random_views
from tests.processors.worlds import NOW, SIZE, view

seeds = st.integers(0, 2**32)


def withdrawn() -> ItemView:
    return ItemView((0.0, 0.0, 0.0), 0, 0, 0, [], b"", b"", withdrawn=True)


def neighbours(index: ItemIndex, item: str) -> set[str]:
    slot = index.slot(item)
    row = zip(index.neighbours[slot].tolist(), index.together[slot].tolist(), strict=True)
    return {index.ids[other] for other, weight in row if weight}


def check_agrees(index: ItemIndex, views: dict[str, ItemView]) -> None:
    """Every column holds what was published last, and nothing of what went before."""
    attributes = index.attributes
    names: dict[int, set[str | None]] = {}
    for item, published in views.items():
        slot, listing = index.slot(item), published.listing or Listing()
        assert attributes.listed[slot] == (published.listing is not None)
        assert attributes.available[slot] == listing.available
        assert attributes.since[slot] == published.since
        assert attributes.margin[slot] == listing.margin or (
            listing.margin is None and np.isnan(attributes.margin[slot])
        )
        assert attributes.min_age[slot] == (listing.min_age or 0)
        price = attributes.log_price[slot]
        assert np.isnan(price) if published.price is None else np.expm1(price) == pytest.approx(published.price)
        names.setdefault(int(attributes.brand[slot]), set()).add(published.brand)
        found = np.count_nonzero(attributes.tags[slot]) if len(attributes.tags) else 0
        assert found == len(set(listing.tags))
        if len(attributes.embedding):
            expected = np.frombuffer(listing.embedding, "<f2") if listing.embedding else np.zeros(SIZE)
            assert attributes.embedding[slot].tolist() == expected.tolist()
        else:
            assert not listing.embedding
    assert all(len(brands) == 1 for brands in names.values())
    assert attributes.listings == sum(published.listing is not None for published in views.values())
    for category in range(index.attributes.categories.numbers):
        members = {index.ids[slot] for slot in attributes.members(category).tolist()}
        assert members == {
            item
            for item, published in views.items()
            if published.listing and index.attributes.category[index.slot(item)] == category
        }


@given(st.lists(seeds, min_size=1, max_size=4))
def test_columns_hold_what_was_published_last(rounds: list[int]) -> None:
    index, views = ItemIndex(neighbours=4, embedding_size=SIZE), dict[str, ItemView]()
    for seed in rounds:
        for item, published in random_views(seed, most=12).items():
            index.apply(item, published)
            views[item] = published
        gone = next(iter(views), "none")
        index.apply(gone, withdrawn())
        views.pop(gone, None)
        check_agrees(index, views)


def test_columns_grow_with_the_index() -> None:
    views = {
        f"item {n}": listed("tents", f"brand {n % 9}", float(n), [f"tag {n}"], [1, n, 0], n + 1) for n in range(3000)
    }
    index = index_of(views)
    check_agrees(index, views)
    assert [index.ids[slot] for slot in index.attributes.newest_in(1, 3)] == ["item 2999", "item 2998", "item 2997"]


def test_a_withdrawn_item_is_gone_at_once_from_every_list() -> None:
    index = index_of({"tent": view(1.0, {"lamp": (1.0, 1.0)}, "camping"), "lamp": view(2.0, category="camping")})
    index.apply("lamp", withdrawn())
    lists = [
        *(index.popularity.trending(9, scale) for scale in range(3)),
        index.popularity.most_visited(9),
        index.popularity.in_category(1, 9),
    ]
    assert [[index.ids[slot] for slot in found] for found in lists] == [["tent"]] * 5
    assert (index.slot("lamp"), index.slots_of_fingerprints(fingerprint("lamp")).tolist(), index.view("lamp")) == (
        -1,
        [-1],
        None,
    )
    assert neighbours(index, "tent") == set()


def test_a_withdrawn_item_does_not_come_back_as_a_neighbour() -> None:
    index = index_of({"lamp": withdrawn()})
    index.apply("tent", view(1.0, {"lamp": (0.5, 0.5), "mat": (0.5, 0.5)}))
    assert (index.slot("lamp"), neighbours(index, "tent")) == (-1, {"mat"})


def test_a_new_row_brings_it_back() -> None:
    index = index_of({"lamp": withdrawn()})
    index.apply("lamp", listed("lamps"))
    index.apply("tent", view(1.0, {"lamp": (1.0, 1.0)}))
    assert neighbours(index, "tent") == {"lamp"}


def test_withdrawals_are_no_evictions_and_their_slots_are_used_again() -> None:
    index = ItemIndex(neighbours=2)
    for n in range(3000):
        index.apply(f"item {n}", view(1.0, {"tent": (1.0, 1.0)}))
        index.apply(f"item {n}", withdrawn())
        if n % 100 == 0:
            assert neighbours(index, "tent") == set()
    assert (index.evictions, index.capacity) == (0, 1024)


def test_withdrawn_ids_are_remembered_within_a_bound() -> None:
    index = ItemIndex(neighbours=2, max_items=3)
    for n in range(5):
        index.apply(f"item {n}", withdrawn())
    index.apply("tent", view(1.0, {"item 0": (0.5, 0.0), "item 4": (0.5, 0.0)}))
    assert neighbours(index, "tent") == {"item 0"}


def test_an_item_that_nobody_visited_is_not_popular() -> None:
    index = index_of({"tent": listed("tents"), "lamp": view(1.0, category="tents")})
    lists = [index.popularity.trending(9), index.popularity.most_visited(9), index.popularity.in_category(1, 9)]
    assert [[index.ids[slot] for slot in found] for found in lists] == [["lamp"]] * 3
    index.apply("lamp", withdrawn())
    assert [
        index.popularity.trending(9).tolist(),
        index.popularity.most_visited(9).tolist(),
        index.popularity.in_category(1, 9).tolist(),
    ] == [[]] * 3


def test_the_newest_of_a_category_are_found_after_many_of_them_went() -> None:
    views = {f"item {n:04}": listed("tents", since=n + 1) for n in range(500)}
    index = index_of(views)
    assert len(index.attributes.newest_in(1, 99)) == NEWEST_DEPTH
    for n in range(499, 9, -1):
        index.apply(f"item {n:04}", withdrawn())
    assert [index.ids[slot] for slot in index.attributes.newest_in(1, 3)] == ["item 0009", "item 0008", "item 0007"]


def versions(index: ItemIndex, changes: Iterable[ItemView]) -> list[int]:
    found = []
    for change in changes:
        index.apply("tent", change)
        found.append(int(index.attributes.version[1]))
    return found


def test_a_category_has_another_version_after_a_change_of_facts_but_not_after_visits_or_changes_of_stock() -> None:
    first = listed("tents", "Alm", 5.0, ["light"], [1, 0, 0])
    visited = msgspec.structs.replace(first, visits=9, trends=(1.0, 2.0, 3.0), last_seen=NOW)
    changes = [
        first,
        listed("tents", "Berg", 5.0, ["light"], [1, 0, 0]),
        listed("tents", "Berg", 6.0, ["light"], [1, 0, 0]),
        listed("tents", "Berg", 6.0, ["heavy"], [1, 0, 0]),
        listed("tents", "Berg", 6.0, ["heavy"], [0, 1, 0]),
        listed("tents", "Berg", 6.0, ["heavy"]),
        view(1.0, category="tents"),
    ]
    found = versions(index_of({}), changes)
    assert len(set(found)) == len(changes)
    stock = listed("tents", "Alm", 5.01, ["light"], [1, 0, 0], available=False)
    same = versions(index_of({}), [first, visited, stock, first])
    assert len(set(same)) == 1


def test_an_embedding_of_another_size_is_left_out() -> None:
    other = listed("tents", embedding=[1, 0])
    index = index_of({"tent": other, "lamp": listed("tents", embedding=[1, 0, 0])})
    assert not index.attributes.embedding[index.slot("tent")].any()


def test_the_view_that_is_kept_has_no_embedding() -> None:
    published = listed("tents", tags=["light"], embedding=[1, 0, 0])
    assert published.listing is not None
    assert published.listing.embedding == direction([1, 0, 0], 3)
    kept = index_of({"tent": published}).view("tent")
    assert kept == listed("tents", tags=["light"])


def test_labels_beyond_the_bound_are_none_and_known_ones_keep_their_number() -> None:
    labels = Labels(limit=2)
    assert [labels.number(name) for name in ("a", "b", "c", "a", "c")] == [1, 2, 0, 1, 0]


def test_dates_far_ahead_are_no_news_before_their_time() -> None:
    index = index_of({"tent": listed("tents", since=NOW + DAY), "lamp": listed("tents", since=NOW)})
    assert [index.ids[slot] for slot in index.attributes.newest_in(1, 9)] == ["tent", "lamp"]
