"""Fence, gap check, chain and order, without any broker."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from processors.common.errors import DeliveryGap
from processors.events.record import Record, SourceRecord
from processors.planes.base import KeptForever, Output, ReadStates, Step
from processors.planes.chain import Link
from state.store import MemoryStore
from streams.engine.partition import LINK_HEADER, PartitionProcessor
from streams.engine.source_batch import SourceBatch


class Log(msgspec.Struct, array_like=True):
    seen: list[str] = msgspec.field(default_factory=list)


class LogPlane(KeptForever):
    """Appends what it sees to one state, and sends it on."""

    name = "log"
    state_type = Log
    source_topics: tuple[str, ...] = ("a", "b")
    chained_topics: frozenset[str] = frozenset(("a",))

    def committed(self, step: Step[Log]) -> None:
        """Nothing follows from a step but what it says."""

    def step(self, read: ReadStates[Log], batch: Sequence[SourceRecord], partition: int) -> Step[Log]:
        (state,) = read(["all"])
        state = state or Log()
        state.seen.extend(f"{record.topic}{record.offset}" for record in batch)
        sent = [Output("next", receiver, None, b"x", chained=True) for receiver in (0, 1)]
        return Step(states={"all": state}, outputs=sent if len(batch) > 1 else sent[:1])


Processor = PartitionProcessor[Log]


def processor(store: MemoryStore[Log] | None = None) -> Processor:
    return PartitionProcessor(LogPlane(), 3, store or MemoryStore(Log))


def batch(
    topic: str, start: int, end: int, missing: tuple[int, ...] = (), time: Callable[[int], int] = int
) -> SourceBatch:
    records = [Record(topic, 3, n, time(n), None, b"") for n in range(start, end) if n not in missing]
    return SourceBatch(topic, start, end, records)


def apply(target: Processor, *batches: SourceBatch) -> list[Output]:
    prepared = target.prepare(batches)
    if prepared is None:
        return []
    target.commit(prepared, 0)
    return prepared.outputs


def seen(target: Processor) -> list[str]:
    (state,) = target.store.read(["all"])
    return state.seen if state else []


def test_a_record_counts_once_however_often_it_is_delivered() -> None:
    target = processor()
    apply(target, batch("a", 0, 3))
    apply(target, batch("a", 0, 3))
    apply(target, batch("a", 2, 5))
    assert (seen(target), target.repeated) == (["a0", "a1", "a2", "a3", "a4"], 4)


def test_random_redelivery_leaves_no_trace() -> None:
    for seed in range(200):
        random_, target, at = random.Random(seed), processor(), 0
        while at < 40:
            start = random_.randint(max(0, at - 10), at)
            end = random_.randint(start, start + 12)
            apply(target, batch("a", start, end))
            at = max(at, end)
        assert seen(target) == [f"a{n}" for n in range(at)]


def test_without_the_fence_records_would_count_twice() -> None:
    class Unfenced(Processor):
        def _behind_fence(self, batch: SourceBatch, position: object) -> Sequence[SourceRecord]:
            return batch.records

    target = Unfenced(LogPlane(), 3, MemoryStore(Log))
    apply(target, batch("a", 0, 3))
    apply(target, batch("a", 0, 3))
    assert len(seen(target)) == 6


def test_a_batch_that_starts_beyond_the_position_is_a_gap() -> None:
    target = processor()
    apply(target, batch("a", 0, 3))
    with pytest.raises(DeliveryGap, match=r"a\[3\]: expected offset 3, the batch starts at 4"):
        apply(target, batch("a", 4, 6))
    apply(target, batch("a", 3, 6))
    assert seen(target) == [f"a{n}" for n in range(6)]


def test_a_gap_changes_nothing_for_the_other_topics_of_the_batch() -> None:
    target = processor()
    apply(target, batch("a", 0, 1), batch("b", 0, 1))
    with pytest.raises(DeliveryGap):
        apply(target, batch("a", 1, 2), batch("b", 5, 6))
    assert (seen(target), target.position.offsets) == (["a0", "b0"], {"a": 1, "b": 1})


def test_markers_inside_and_between_batches_are_no_gap() -> None:
    target = processor()
    apply(target, batch("a", 0, 5, missing=(1, 4)))
    assert apply(target, SourceBatch("a", 5, 7, [])) == []
    apply(target, batch("a", 7, 8))
    assert (seen(target), target.position.offsets["a"]) == (["a0", "a2", "a3", "a7"], 8)


def test_another_owner_goes_on_where_the_last_one_committed() -> None:
    store: MemoryStore[Log] = MemoryStore(Log)
    first = processor(store)
    apply(first, batch("a", 0, 3))
    first.prepare([batch("a", 3, 6)])  # and is killed before it commits
    apply(processor(store), batch("a", 2, 6))
    assert seen(processor(store)) == [f"a{n}" for n in range(6)]


def test_a_topic_whose_head_is_lost_starts_at_what_is_left() -> None:
    target = processor()
    target.start_at("a", 7)
    apply(target, batch("a", 7, 9))
    assert seen(target) == ["a7", "a8"]


def test_topics_are_taken_in_the_order_of_time_and_each_in_its_own() -> None:
    one = processor()
    apply(one, batch("b", 0, 2, time=lambda n: (5, 20)[n]), batch("a", 0, 3, time=lambda n: (10, 4, 30)[n]))
    assert seen(one) == ["b0", "a0", "a1", "b1", "a2"]


def test_the_order_does_not_depend_on_how_the_batches_arrived() -> None:
    one, other = processor(), processor()
    apply(one, batch("a", 0, 2), batch("b", 0, 1), batch("a", 2, 4))
    apply(other, batch("b", 0, 1), batch("a", 0, 4))
    assert seen(one) == seen(other)


def linked(offset: int, number: int, previous: int, sender: str = "users-0") -> SourceBatch:
    header = (LINK_HEADER, msgspec.msgpack.encode(Link(sender, number, previous)))
    return SourceBatch("a", offset, offset + 1, [Record("a", 3, offset, 0, None, b"", (header,))])


def test_a_repeated_link_is_dropped() -> None:
    target = processor()
    apply(target, linked(0, 1, 0), linked(1, 1, 0), linked(2, 4, 1))
    assert (seen(target), target.repeated, target.chain_breaks) == (["a0", "a2"], 1, 0)


def test_a_header_of_that_name_on_a_topic_without_chain_is_the_apps_own() -> None:
    target = processor()
    header = (LINK_HEADER, msgspec.msgpack.encode(Link("users-0", 1, 0)))
    own = [Record("b", 3, n, 0, None, b"", (header,)) for n in range(2)]
    apply(target, SourceBatch("b", 0, 2, own))
    assert (seen(target), target.repeated) == (["b0", "b1"], 0)


def test_a_link_that_cannot_be_read_is_no_link() -> None:
    target = processor()
    apply(target, SourceBatch("a", 0, 1, [Record("a", 3, 0, 0, None, b"", ((LINK_HEADER, b"garbage"),))]))
    assert seen(target) == ["a0"]


def test_a_link_without_a_value_is_no_link() -> None:
    target = processor()
    headers: Any = ((LINK_HEADER, None),)
    apply(target, SourceBatch("a", 0, 1, [Record("a", 3, 0, 0, None, b"", headers)]))
    assert seen(target) == ["a0"]


def test_chains_of_different_senders_do_not_mix() -> None:
    target = processor()
    apply(target, linked(0, 5, 0), linked(1, 5, 0, sender="users-1"))
    assert seen(target) == ["a0", "a1"]


def test_a_sender_that_began_anew_begins_a_new_chain() -> None:
    target = processor()
    apply(target, linked(0, 5, 0, sender="users-1"), linked(1, 500, 0))
    apply(target, linked(2, 1, 0, sender="users-0@7"), linked(3, 2, 1, sender="users-0@7"))
    assert (seen(target), target.repeated, target.chain_breaks) == (["a0", "a1", "a2", "a3"], 0, 0)


def test_only_the_latest_life_of_a_sender_is_remembered() -> None:
    target = processor()
    apply(target, linked(0, 5, 0, sender="users-00"))
    for life in range(1, 9):
        apply(target, linked(life, 3, 0, sender=f"users-0@{life}"))
    assert target.position.received == {"users-00": 5, "users-0@8": 3}


def test_a_link_names_the_life_that_its_sender_began() -> None:
    store: MemoryStore[Log] = MemoryStore(Log)
    first = processor(store)
    first.begin(7)
    apply(first, batch("a", 0, 1))
    second = processor(store)
    second.begin(8)
    (output,) = apply(second, batch("a", 1, 2))
    assert msgspec.msgpack.decode(output.headers[-1][1], type=Link) == Link("log-3@7", 2, 1)


def test_a_missing_link_is_counted() -> None:
    target = processor()
    apply(target, linked(0, 1, 0), linked(1, 7, 4))
    assert (seen(target), target.chain_breaks) == (["a0", "a1"], 1)


def test_a_chain_goes_on_after_a_change_of_owner() -> None:
    store: MemoryStore[Log] = MemoryStore(Log)
    decode = msgspec.msgpack.Decoder(Link).decode
    links = []
    for start, end in ((0, 2), (2, 3), (3, 5)):
        outputs = apply(processor(store), batch("a", start, end))
        links.append({output.partition: decode(output.headers[-1][1]) for output in outputs})
    name = "log-3"
    assert links == [
        {0: Link(name, 1, 0), 1: Link(name, 1, 0)},
        {0: Link(name, 2, 1)},
        {0: Link(name, 3, 2), 1: Link(name, 3, 1)},
    ]


def test_two_chained_records_for_one_receiver_are_a_mistake_of_the_plane() -> None:
    class Doubling(LogPlane):
        def step(self, read: ReadStates[Log], batch: Sequence[SourceRecord], partition: int) -> Step[Log]:
            return Step(outputs=[Output("next", 0, None, b"", chained=True)] * 2)

    with pytest.raises(ValueError, match="sent two chained records to next/0"):
        PartitionProcessor(Doubling(), 3, MemoryStore(Log)).prepare([batch("a", 0, 1)])
