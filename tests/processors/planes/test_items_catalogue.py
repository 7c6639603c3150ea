"""The items plane folds rows of the catalogue into states: they win over events, and what is withdrawn stays away."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.hashing import partition_of
from processors.common.topics import BROADCAST_ITEMS_TOPIC, CATALOG_TOPIC, SIGNALS_TOPIC
from processors.events.event import Event
from processors.events.record import Record
from processors.items.signals import SignalGatherer
from processors.items.state import ItemSettings, ItemState
from processors.items.view import ItemView, Listing, decode_view
from processors.planes.base import Output
from processors.planes.items import ItemsPlane
from tests.processors.conformance import Case, check_plane

NOW = 1_700_000_000_000
SETTINGS = ItemSettings(neighbours=4, published_neighbours=3, embedding_size=2, publish_share=0.0)


class Shop:
    """One partition of the items plane with its states as bytes, and what it published last of each item."""

    def __init__(self, settings: ItemSettings = SETTINGS) -> None:
        self.plane = ItemsPlane(settings)
        self.stored: dict[str, bytes] = {}
        self.views: dict[str, ItemView | None] = {}
        self.letters: list[Output] = []

    def read(self, keys: Sequence[str], /) -> list[ItemState | None]:
        found = [self.stored.get(key) for key in keys]
        return [None if data is None else msgspec.msgpack.decode(data, type=ItemState) for data in found]

    def take(self, *records: Record) -> dict[tuple[str, str], int]:
        step = self.plane.step(self.read, records, 0)
        self.stored.update({key: msgspec.msgpack.encode(state) for key, state in step.states.items()})
        for output in step.outputs:
            if output.topic == BROADCAST_ITEMS_TOPIC:
                assert output.key is not None
                self.views[output.key.decode()] = decode_view(output.value)
            else:
                self.letters.append(output)
        return dict(step.outcomes)

    def view(self, item: str) -> ItemView:
        view = self.views[item]
        assert view is not None
        return view


def row(item: str, at: int = NOW, **attributes: Any) -> Record:
    return Record(CATALOG_TOPIC, 0, 0, at, item.encode(), json.dumps(attributes).encode())


def tombstone(item: str) -> Record:
    return Record(CATALOG_TOPIC, 0, 0, NOW, item.encode(), None)


def visit(item: str, preceding: Sequence[str] = (), at: int = NOW, **attributes: Any) -> Record:
    gatherer = SignalGatherer(1)
    event = Event(event_id="e", user_id="u", item_id=item, time_ms=at, kind="click", action="view", **attributes)
    gatherer.add(event, preceding)
    return Record(SIGNALS_TOPIC, 0, 0, at, None, msgspec.msgpack.encode(gatherer.messages()[0]))


def facts_of(view: ItemView) -> tuple[str | None, str | None, float | None]:
    return view.category, view.brand, view.price


@pytest.mark.parametrize("row_first", [True, False])
def test_facts_of_the_catalogue_win_over_those_of_events_whichever_comes_first(row_first: bool) -> None:
    shop = Shop()
    records = [row("tent", category="camping", price=89), visit("tent", category="stuff", brand="Alm", price=7.0)]
    for record in records if row_first else records[::-1]:
        shop.take(record)
    assert facts_of(shop.view("tent")) == ("camping", "Alm", 89.0)


def test_a_row_replaces_the_one_before_as_a_whole() -> None:
    shop = Shop()
    shop.take(visit("tent", category="stuff"))
    shop.take(row("tent", category="camping", price=89, tags=["light"]), row("tent", brand="Alm"))
    assert facts_of(shop.view("tent")) == ("stuff", "Alm", None)
    assert shop.view("tent").listing == Listing()


def test_what_is_broadcast_of_a_row() -> None:
    shop = Shop()
    outcomes = shop.take(
        row(
            "tent",
            title="Alm tent",
            supplier="Berg",
            available=False,
            margin=0.5,
            min_age=18,
            tags=["a", "b"],
            regions=["DE"],
            embedding=[3, 4],
            url="https://shop.example/tent",
        )
    )
    embedding = np.array([1229, 1638], "<f2") / np.float16(2048)
    assert shop.view("tent").listing == Listing(
        "Alm tent", "Berg", False, 0.5, 18, ("a", "b"), ("DE",), embedding.astype("<f2").tobytes()
    )
    assert outcomes == {(CATALOG_TOPIC, "accepted"): 1}


def test_an_item_without_a_row_has_no_listing() -> None:
    shop = Shop()
    shop.take(visit("tent"))
    assert shop.view("tent").listing is None


@pytest.mark.parametrize(
    ("records", "since"),
    [
        ([visit("tent", at=NOW - 5)], NOW - 5),
        ([row("tent", at=NOW - 9), visit("tent", at=NOW - 5), row("tent")], NOW - 9),
        ([visit("tent", at=NOW - 5), row("tent")], NOW - 5),
        ([visit("tent", at=NOW - 5), row("tent", published_at=NOW - 3)], NOW - 3),
        ([row("tent", published_at="1950-01-01")], 0),
    ],
)
def test_an_item_is_there_since_it_was_published_or_else_first_heard_of(records: list[Record], since: int) -> None:
    shop = Shop()
    shop.take(*records)
    assert shop.view("tent").since == since


def test_a_withdrawn_item_stays_away_whatever_events_come_until_a_new_row_does() -> None:
    shop = Shop()
    shop.take(row("tent", category="camping"), visit("tent"), visit("lamp", ["tent"]))
    assert shop.take(tombstone("tent")) == {(CATALOG_TOPIC, "withdrawn"): 1}
    assert shop.view("tent").withdrawn
    shop.take(visit("tent", at=NOW + 1), visit("lamp", ["tent"], at=NOW + 2))
    withdrawn = shop.view("tent")
    assert (withdrawn.withdrawn, withdrawn.neighbours, withdrawn.category, withdrawn.visits) == (True, [], None, 2)
    shop.take(row("tent", at=NOW + 9, brand="Alm"))
    back = shop.view("tent")
    assert (back.withdrawn, back.category, back.brand, back.visits) == (False, None, "Alm", 2)
    assert back.neighbours == ["lamp"]


def test_an_item_can_be_withdrawn_before_it_is_known() -> None:
    shop = Shop()
    shop.take(tombstone("tent"))
    shop.take(visit("tent"))
    assert shop.view("tent").withdrawn


def test_a_row_and_a_tombstone_of_one_batch_count_in_their_order() -> None:
    shop = Shop()
    shop.take(row("tent"), tombstone("tent"), tombstone("lamp"), row("lamp"))
    assert (shop.view("tent").withdrawn, shop.view("lamp").withdrawn) == (True, False)


def test_a_row_that_is_refused_becomes_a_dead_letter_and_leaves_the_item_as_it_was() -> None:
    shop = Shop()
    shop.take(row("tent", price=5))
    stored = dict(shop.stored)
    bad = row("tent", price=-5)
    assert shop.take(bad, row("lamp")) == {(CATALOG_TOPIC, "refused"): 1, (CATALOG_TOPIC, "accepted"): 1}
    assert (shop.stored["tent"], shop.view("tent").price) == (stored["tent"], 5.0)
    (letter,) = shop.letters
    assert (letter.topic, letter.key, letter.value) == ("dead-letters.v1", b"tent", bad.value)
    assert dict(letter.headers)["__streams.errors.exception"] == b"out_of_range"
    assert dict(letter.headers)["__streams.errors.message"] == b"price: -5, expected a number from 0 to 1e+09"


def test_a_row_on_the_wrong_partition_changes_nothing() -> None:
    home = partition_of("tent", 3)
    plane, wrong = ItemsPlane(SETTINGS, partitions=3), (home + 1) % 3
    step = plane.step(Shop().read, [row("tent")], wrong)
    assert (step.states, dict(step.refusals)) == ({}, {"wrong_partition": 1})


def test_repairs_are_counted() -> None:
    assert Shop().take(row("tent", price="5")) == {(CATALOG_TOPIC, "repaired"): 1}


def test_a_state_of_the_time_before_there_was_a_catalogue_can_be_read() -> None:
    state = ItemState(visits=3, category="tents", price=4.0)
    old = msgspec.msgpack.encode(msgspec.structs.astuple(state)[:-3])
    assert msgspec.msgpack.decode(old, type=ItemState) == state
    view = ItemView((1.0, 1.0, 1.0), 1, 0, 0, [], b"", b"", "tents", None, 4.0)
    assert decode_view(msgspec.msgpack.encode(msgspec.structs.astuple(view)[:-3])) == view


items = st.sampled_from(["tent", "lamp", "mat"])
records = st.lists(
    st.builds(row, items, price=st.integers(0, 9), tags=st.lists(st.sampled_from("abc"), max_size=3))
    | st.builds(tombstone, items)
    | st.builds(visit, items, st.lists(items, max_size=2)),
    max_size=20,
)


@given(records, st.integers(1, 5))
def test_the_same_records_split_over_micro_batches_give_the_same_states_and_views(
    given: list[Record], size: int
) -> None:
    apart, together = Shop(), Shop()
    for at in range(0, len(given), size):
        apart.take(*given[at : at + size])
    if given:
        together.take(*given)
    assert (apart.stored, apart.views) == (together.stored, together.views)


@given(records)
def test_an_item_is_withdrawn_just_as_long_as_its_last_record_in_the_catalogue_is_a_tombstone(
    given: list[Record],
) -> None:
    shop = Shop()
    shop.take(*given)
    last = {record.key: record.value for record in given if record.topic == CATALOG_TOPIC}
    for item, view in shop.views.items():
        assert view is not None
        assert view.withdrawn == (last.get(item.encode(), b"") is None)


def test_the_items_plane_conforms_with_a_catalogue() -> None:
    random = np.random.default_rng(5)
    batches = []
    for n in range(60):
        item = f"item {random.integers(0, 12)}"
        attributes: dict[str, Any] = {
            "category": f"c{n % 3}",
            "tags": [f"t{tag}" for tag in range(n % 9)],
            "embedding": [1, n - 30],
        }
        bad = Record(CATALOG_TOPIC, 0, n, NOW, b"item 1", b"garbage")
        batches.append([visit(item, ["item 1"]), row(item, **attributes), tombstone(f"item {n % 12}"), bad][n % 2 :])
    check_plane(Case(lambda: ItemsPlane(SETTINGS), batches, largest_state=480))
