"""The items plane folds signals into states and broadcasts each item that changed once."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.hashing import partition_of
from processors.common.topics import BROADCAST_ITEMS_TOPIC, SIGNALS_TOPIC
from processors.events.event import Event
from processors.events.record import Record
from processors.items.keeper import ItemKeeper
from processors.items.signals import ItemSignals, SignalGatherer
from processors.items.state import ItemSettings, ItemState
from processors.items.view import decode_view
from processors.planes.base import Step
from processors.planes.items import ItemsPlane

NOW = 1_700_000_000_000
SETTINGS = ItemSettings(neighbours=4, published_neighbours=3, publish_within_ms=0)
KEEPER = ItemKeeper(SETTINGS)
Visit = tuple[str, list[str], int]

items = st.integers(0, 9).map(str)
visits = st.tuples(items, st.lists(items, max_size=4, unique=True), st.integers(NOW - 10**10, NOW))
batches = st.lists(st.lists(visits, min_size=1, max_size=8), min_size=1, max_size=8)


class States:
    """Item states of all partitions, stored as bytes, and the plane that changes them."""

    def __init__(self, partitions: int = 1) -> None:
        self.plane = ItemsPlane(SETTINGS)
        self.partitions = partitions
        self.stored: dict[str, bytes] = {}
        self.broadcasts: list[tuple[int, str, bytes]] = []

    def read(self, keys: Sequence[str], /) -> list[ItemState | None]:
        found = [self.stored.get(key) for key in keys]
        return [None if data is None else msgspec.msgpack.decode(data, type=ItemState) for data in found]

    def learn(self, *messages: list[Visit]) -> None:
        """Take each list of visits as one message per partition, and all messages as one micro-batch."""
        per_partition: dict[int, list[Record]] = {}
        for n, message in enumerate(messages):
            gatherer = SignalGatherer(self.partitions)
            for item, preceding, time_ms in message:
                gatherer.add(event(item, time_ms), preceding)
            for partition, signals in gatherer.messages().items():
                per_partition.setdefault(partition, []).append(record(msgspec.msgpack.encode(signals), partition, n))
        for partition, batch in per_partition.items():
            self.take(self.plane.step(self.read, batch, partition))

    def take(self, step: Step[ItemState]) -> None:
        self.stored.update({key: msgspec.msgpack.encode(state) for key, state in step.states.items()})
        for output in step.outputs:
            assert output.key is not None
            assert output.value is not None
            self.broadcasts.append((output.partition, output.key.decode(), output.value))


def nothing_known(keys: Sequence[str], /) -> list[ItemState | None]:
    return [None for _ in keys]


def event(item: str, time_ms: int) -> Event:
    return Event(event_id="e", user_id="u", item_id=item, time_ms=time_ms, kind="click", action="view", category=item)


def record(value: bytes | None, partition: int = 0, offset: int = 0) -> Record:
    return Record(SIGNALS_TOPIC, partition, offset, NOW, None, value)


def test_two_items_visited_together_become_neighbours_of_each_other() -> None:
    states = States()
    states.learn([("tent", [], NOW), ("lamp", ["tent"], NOW + 1)])
    tent, lamp = states.read(["tent", "lamp"])
    assert tent is not None
    assert lamp is not None
    assert (list(tent.together), list(tent.after)) == (["lamp"], ["lamp"])
    assert (list(lamp.together), list(lamp.after)) == (["tent"], [])


def test_every_touch_of_an_item_is_counted() -> None:
    states = States()
    states.learn([("tent", [], NOW), ("tent", [], NOW + 5)], [("tent", [], NOW + 9)])
    (tent,) = states.read(["tent"])
    assert tent is not None
    assert (tent.visits, tent.first_seen, tent.last_seen, tent.category) == (3, NOW, NOW + 9, "tent")


def test_each_item_that_changed_is_broadcast_once_however_often_it_did() -> None:
    states = States()
    states.learn([("tent", [], NOW), ("tent", [], NOW)], [("tent", [], NOW), ("lamp", ["tent"], NOW)])
    assert [key for _, key, _ in states.broadcasts] == ["tent", "lamp"]


def test_an_item_that_did_not_change_is_not_broadcast() -> None:
    states = States()
    states.learn([("tent", [], NOW)])
    states.broadcasts.clear()
    states.learn([("lamp", [], NOW)])
    assert [key for _, key, _ in states.broadcasts] == ["lamp"]


def test_what_is_broadcast_is_the_view_of_the_new_state() -> None:
    states = States()
    states.learn([("tent", [], NOW), ("lamp", ["tent"], NOW)])
    (state,) = states.read(["tent"])
    assert state is not None
    assert decode_view(states.broadcasts[0][2]) == ItemKeeper(SETTINGS).view(state)


def test_broadcasts_go_to_the_partition_that_the_signals_came_on() -> None:
    step = States().plane.step(nothing_known, [record(_signals([("tent", [], NOW)]))], 3)
    assert [(o.topic, o.partition, o.key, o.chained) for o in step.outputs] == [
        (BROADCAST_ITEMS_TOPIC, 3, b"tent", False)
    ]


def test_counts_what_it_applied() -> None:
    step = States().plane.step(nothing_known, [record(_signals([("tent", [], NOW)]))] * 2, 0)
    assert (dict(step.outcomes), dict(step.refusals)) == ({(SIGNALS_TOPIC, "applied"): 2}, {})


def test_only_items_that_change_are_looked_up() -> None:
    asked: list[str] = []

    def read(keys: Sequence[str], /) -> list[ItemState | None]:
        asked.extend(keys)
        return [None for _ in keys]

    gatherer = SignalGatherer(2)
    gatherer.add(event("lamp", NOW), ["mat"])
    assert (partition_of("lamp", 2), partition_of("mat", 2)) == (0, 1)
    States().plane.step(read, [record(msgspec.msgpack.encode(gatherer.messages()[0]))], 0)
    assert asked == ["lamp"]


@given(batches)
def test_the_same_visits_split_over_messages_give_the_same_states_as_in_one(batches: list[list[Visit]]) -> None:
    apart, together = States(), States()
    apart.learn(*batches)
    together.learn([visit for batch in batches for visit in batch])
    assert apart.stored == together.stored


@given(batches)
def test_the_same_messages_split_over_micro_batches_give_the_same_states_and_last_views(
    batches: list[list[Visit]],
) -> None:
    apart, together = States(), States()
    for batch in batches:
        apart.learn(batch)
    together.learn(*batches)
    assert apart.stored == together.stored
    assert _latest(apart) == _latest(together)


@given(batches, st.integers(2, 5))
def test_the_same_visits_split_over_partitions_give_the_same_states_as_on_one(
    batches: list[list[Visit]], partitions: int
) -> None:
    apart, together = States(partitions), States(1)
    apart.learn(*batches)
    together.learn(*batches)
    assert apart.stored == together.stored
    assert _latest(apart) == _latest(together)


def _columns(owners: list[int], distances: list[int]) -> bytes:
    others, times = np.zeros(len(owners), "<i4"), np.zeros(len(owners), "<i8")
    columns = (np.array(owners, "<i4"), others, np.array(distances, "<i1"), times)
    return msgspec.msgpack.encode(ItemSignals(["a", "b"], [], *(column.tobytes() for column in columns)))


NO_SIGNALS = {
    "no value": None,
    "garbage": b"garbage",
    "beyond the table": _columns([2], [1]),
    "before the table": _columns([-1], [1]),
    "distance of nothing": _columns([1], [0]),
    "columns of different lengths": _columns([0, 1], [1]),
}


@pytest.mark.parametrize("name", NO_SIGNALS)
def test_a_message_that_is_no_signal_becomes_a_dead_letter(name: str) -> None:
    value = NO_SIGNALS[name]
    step = States().plane.step(nothing_known, [record(value)], 0)
    assert (step.states, [(output.topic, output.value) for output in step.outputs]) == (
        {},
        [("dead-letters.v1", value)],
    )
    assert step.refusals == {"bad_signals": 1}


def _signals(visits: list[Visit]) -> bytes:
    gatherer = SignalGatherer(1)
    for item, preceding, time_ms in visits:
        gatherer.add(event(item, time_ms), preceding)
    return msgspec.msgpack.encode(gatherer.messages()[0])


def _latest(states: States) -> dict[str, bytes]:
    return {key: value for _, key, value in states.broadcasts}


def publishing(share: float, within_ms: int) -> States:
    """The states of items that are published by other rules."""
    states = States()
    states.plane = ItemsPlane(msgspec.structs.replace(SETTINGS, publish_share=share, publish_within_ms=within_ms))
    return states


def visit(states: States, at_ms: int, category: str = "tents") -> int:
    """Let the tent be visited; tell how often it was broadcast for that, and check what is said to be held back."""
    gatherer = SignalGatherer(1)
    touched = msgspec.structs.replace(event("tent", at_ms), category=category)
    gatherer.add(touched, ["lamp"])
    message = Record(SIGNALS_TOPIC, 0, 0, at_ms, None, msgspec.msgpack.encode(gatherer.messages()[0]))
    step = states.plane.step(states.read, [message], 0)
    states.take(step)
    published = sum(output.key == b"tent" for output in step.outputs)
    assert step.held == 2 - len(step.outputs)
    return published


def test_broadcasts_of_an_item_grow_with_the_logarithm_of_its_visits() -> None:
    states = publishing(0.1, 10**9)
    counts = [sum(visit(states, NOW + 1000 * at + n) for n in range(400)) for at in range(3)]
    assert 10 < counts[0] < 60
    assert counts[2] < counts[1] < counts[0] / 3
    assert sum(visit(publishing(0.0, 10**9), NOW + n) for n in range(5)) == 5


def test_a_fact_that_changed_is_published_at_once_and_a_small_change_in_time() -> None:
    states = publishing(0.1, 60_000)
    for _ in range(400):
        visit(states, NOW)
    said = states.read(["tent"])[0]
    assert said is not None
    at_ms = said.published.at_ms
    assert visit(states, NOW + 1) == 0
    # Three visits said otherwise, and as many outvote them.
    assert [visit(states, NOW + n, category="lamps") for n in (2, 3, 4)] == [0, 0, 1]
    assert visit(states, NOW + 5, category="lamps") == 0
    assert visit(states, NOW + 4 + 60_000, category="lamps") == 1
    assert at_ms == NOW


@given(batches)
def test_what_is_held_back_has_changed_by_no_more_than_the_share(batches: list[list[Visit]]) -> None:
    states = publishing(0.1, 10**12)
    said: dict[str, ItemState] = {}
    for batch in batches:
        before = len(states.broadcasts)
        states.learn(batch)
        published = {key for _, key, _ in states.broadcasts[before:]}
        for key, data in states.stored.items():
            state = msgspec.msgpack.decode(data, type=ItemState)
            assert state.mass == pytest.approx(sum(state.together.values()))
            if key in published:
                said[key] = state
                continue
            assert state.category == said[key].category
            grown = KEEPER.view(state).trends[0] - KEEPER.view(said[key]).trends[0]
            assert grown <= math.log2(1.1) + 1e-9
            assert state.published.added <= 0.1 * state.mass
            assert state.visits <= 1.1 * said[key].visits
