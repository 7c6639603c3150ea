"""Signals say which items were touched and which were touched together, to the partitions that own the items."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.hashing import partition_of
from processors.events.event import Event
from processors.items.signals import ItemSignals, SignalGatherer, Touch

NOW = 1_700_000_000_000
Pair = tuple[str, str, int, int]

items = st.integers(0, 9).map(str)
visits = st.lists(
    st.tuples(items, st.lists(items, max_size=5, unique=True), st.integers(0, 10**15)), min_size=1, max_size=20
)


def event(item: str, time_ms: int = NOW, **fields: Any) -> Event:
    return Event(
        event_id="e",
        user_id="u",
        item_id=item,
        time_ms=time_ms,
        kind="click",
        action="view",
        **fields,
    )


def gathered(visits: list[tuple[str, list[str], int]], partitions: int) -> dict[int, ItemSignals]:
    gatherer = SignalGatherer(partitions)
    for item, preceding, time_ms in visits:
        gatherer.add(event(item, time_ms), preceding)
    return gatherer.messages()


def pairs(signals: ItemSignals) -> list[Pair]:
    """Pairs of a message with the items' names: owner, other, distance, time."""
    name = signals.items.__getitem__
    columns = (column.tolist() for column in signals.pairs()[:4])
    return [(name(owner), name(other), distance, time) for owner, other, distance, time in zip(*columns, strict=True)]


def touched(signals: ItemSignals) -> list[tuple[str, int]]:
    return [(signals.items[touch.item], touch.time_ms) for touch in signals.touches]


def test_a_pair_is_told_to_both_of_its_items_and_says_which_came_first() -> None:
    assert pairs(gathered([("lamp", ["tent"], 5)], 1)[0]) == [("tent", "lamp", 1, 5), ("lamp", "tent", -1, 5)]


def test_items_further_back_are_further_away() -> None:
    found = pairs(gathered([("mat", ["lamp", "tent"], 5)], 1)[0])
    assert [(owner, distance) for owner, _, distance, _ in found if distance > 0] == [("lamp", 1), ("tent", 2)]


def test_a_touch_carries_what_the_event_knows_of_the_item() -> None:
    gatherer = SignalGatherer(1)
    gatherer.add(event("tent", category="tents", brand="Alm", price=9.5), ())
    assert gatherer.messages()[0].touches == [Touch(0, NOW, 1.0, "tents", "Alm", 9.5)]


def test_a_touch_says_whether_a_session_began_with_it() -> None:
    gatherer = SignalGatherer(1)
    gatherer.add(event("tent"), (), entered=True)
    gatherer.add(event("lamp"), ("tent",))
    assert [touch.entered for touch in gatherer.messages()[0].touches] == [True, False]


def test_a_touch_weighs_as_much_as_its_action() -> None:
    gatherer = SignalGatherer(1)
    for action in ("view", "cart", "purchase", "stare"):
        gatherer.add(msgspec.structs.replace(event("tent"), action=action), ())
    assert [touch.weight for touch in gatherer.messages()[0].touches] == [1.0, 4.0, 6.0, 1.0]


def test_nothing_touched_is_nothing_said() -> None:
    assert SignalGatherer(4).messages() == {}


@given(visits)
def test_every_visit_is_told_pair_by_pair_in_both_directions(visits: list[tuple[str, list[str], int]]) -> None:
    expected: Counter[Pair] = Counter()
    for item, preceding, time_ms in visits:
        for distance, before in enumerate(preceding, 1):
            expected[before, item, distance, time_ms] += 1
            expected[item, before, -distance, time_ms] += 1
    (signals,) = gathered(visits, 1).values()
    assert Counter(pairs(signals)) == expected
    assert touched(signals) == [(item, time_ms) for item, _, time_ms in visits]


@given(visits, st.integers(1, 5))
def test_a_partition_hears_of_its_own_items_alone_and_of_all_of_them(
    visits: list[tuple[str, list[str], int]], partitions: int
) -> None:
    messages = gathered(visits, partitions)
    (everything,) = gathered(visits, 1).values()
    assert list(messages) == sorted(messages)
    for partition in range(partitions):
        signals = messages.get(partition) or ItemSignals([], [], b"", b"", b"", b"")
        assert pairs(signals) == [p for p in pairs(everything) if partition_of(p[0], partitions) == partition]
        assert touched(signals) == [t for t in touched(everything) if partition_of(t[0], partitions) == partition]


@given(visits)
def test_survives_the_wire(visits: list[tuple[str, list[str], int]]) -> None:
    (signals,) = gathered(visits, 1).values()
    received = msgspec.msgpack.decode(msgspec.msgpack.encode(signals), type=ItemSignals)
    assert (received, pairs(received)) == (signals, pairs(signals))


def test_a_distance_that_its_column_cannot_hold_is_an_error_and_not_another_distance() -> None:
    gatherer = SignalGatherer(1)
    gatherer.add(event("tent"), map(str, range(129)))
    with pytest.raises(OverflowError):
        gatherer.messages()


@given(visits, st.integers(0, 2000))
def test_what_is_cut_fits_is_part_of_the_whole_and_is_counted(
    visits: list[tuple[str, list[str], int]], max_bytes: int
) -> None:
    whole = gathered(visits, 1)[0]
    kept, left_out = whole.cut(max_bytes)
    kept.check()
    assert len(msgspec.msgpack.encode(kept)) <= max(max_bytes, 13)
    assert touched(kept) == touched(whole)[: len(touched(kept))]
    assert not Counter(pairs(kept)) - Counter(pairs(whole))
    everything = len(whole.touches) + len(pairs(whole))
    assert left_out == everything - len(kept.touches) - len(pairs(kept))


def test_near_pairs_stay_longer_than_far_ones() -> None:
    whole = gathered([("mat", ["lamp", "tent", "rope"], 5)], 1)[0]
    kept, _ = whole.cut(160)
    assert {abs(distance) for _, _, distance, _ in pairs(kept)} == {1, 2}
