"""The Quix Streams app's functions, run in memory, answer as an in-order run does; what goes wrong is noticed."""

import random
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any, cast

import msgspec
import pytest
from quixstreams.context import set_message_context
from quixstreams.models import MessageContext

from bench.idiomatic_items import Items
from bench.idiomatic_messages import EVENTS, QUIX, SIGNALS, Event, Signal
from bench.idiomatic_quix import Shop, is_signal, key_of
from bench.idiomatic_replay import Fed
from bench.load import simulated
from bench.peer_quix import compare_answers
from bench.worker_process import BenchmarkFailed
from processors.common.hashing import partition_of

PARTITIONS = 3
Order = list[tuple[str, int, int]]
Answers = list[dict[str, Any]]


class JsonState:
    """A state of Quix Streams as far as the app uses it: what is kept is JSON."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def get(self, key: str) -> Any:
        return msgspec.json.decode(self._kept[key]) if key in self._kept else None

    def set(self, key: str, value: Any) -> None:
        self._kept[key] = msgspec.json.encode(value)


class InMemory:
    """Runs a shop: signals wait in logs, and reach their items some events later."""

    def __init__(self) -> None:
        self.order: Order = []
        self.answers: Answers = []
        self.fed: dict[tuple[int, int], Fed] = {}
        self._shop = Shop(Items())
        self._states: dict[str, JsonState] = defaultdict(JsonState)
        self._logs: dict[int, deque[Signal]] = defaultdict(deque)
        self._draw = random.Random(3)

    def run(self, events: int) -> None:
        ends: dict[int, int] = defaultdict(int)
        for topic, user, value in simulated(events, users=20, items=100):
            assert topic.startswith("events.")
            partition = partition_of(user, PARTITIONS)
            self._answer(partition, ends[partition], msgspec.json.decode(value, type=Event))
            ends[partition] += 1
            if self._draw.random() < 0.1:
                self._deliver(self._draw.randrange(PARTITIONS))
        for partition in range(PARTITIONS):
            self._deliver(partition)

    def _answer(self, partition: int, offset: int, event: Event) -> None:
        self.fed[partition, offset] = Fed(event, 1_700_000_000_123 + offset)
        set_message_context(MessageContext(QUIX + EVENTS, partition, offset, 0))
        state = cast(Any, self._states[f"user {event.user_id}"])
        for value in self._shop.answer(event, event.user_id, 1_700_000_000_123 + offset, None, state):
            sent = msgspec.json.encode(value)
            if is_signal(value):
                self._logs[partition_of(key_of(value), PARTITIONS)].append(msgspec.json.decode(sent, type=Signal))
            else:
                assert key_of(value) == event.user_id
                self.answers.append(msgspec.json.decode(sent))
        self.order.append((QUIX + EVENTS, partition, offset))

    def _deliver(self, partition: int) -> None:
        while self._logs[partition]:
            signal = self._logs[partition].popleft()
            self._shop.take(signal, cast(Any, self._states[f"item {signal.item_id}"]))
            self.order.append((QUIX + SIGNALS, partition, 0))


@pytest.fixture(scope="module")
def done() -> InMemory:
    found = InMemory()
    found.run(400)
    return found


def test_the_functions_answer_as_an_in_order_run_does(done: InMemory) -> None:
    assert len(done.answers) == 800
    assert {item["source"] for answer in done.answers for item in answer["items"]} >= {"together", "next", "recent"}
    assert compare_answers(done.order, done.fed, done.answers, PARTITIONS) == 0


def test_an_event_seen_before_is_not_answered_again() -> None:
    shop, state, event = Shop(Items()), cast(Any, JsonState()), Event("e", "u", "tent", 1_700_000_000_000)
    set_message_context(MessageContext(QUIX + EVENTS, 0, 0, 0))
    assert len(shop.answer(event, "u", 0, None, state)) == 3
    assert shop.answer(event, "u", 0, None, state) == []


def _lose_an_answer(_order: Order, answers: Answers) -> None:
    del answers[5]


def _repeat_an_answer(_order: Order, answers: Answers) -> None:
    answers.append(answers[5])


def _change_an_answer(_order: Order, answers: Answers) -> None:
    answers[700] = {**answers[700], "items": answers[700]["items"][1:]}


def _lose_an_event(order: Order, _answers: Answers) -> None:
    order.remove(next(record for record in order if record[0] == QUIX + EVENTS and record[2] == 20))


def _lose_a_signal(order: Order, _answers: Answers) -> None:
    del order[max(at for at, record in enumerate(order) if record[0] == QUIX + SIGNALS)]


def _repeat_a_signal(order: Order, _answers: Answers) -> None:
    order.append((QUIX + SIGNALS, 1, 0))


def _take_a_signal_late(order: Order, _answers: Answers) -> None:
    order.append(order.pop(next(at for at, record in enumerate(order) if record[0] == QUIX + SIGNALS)))


@pytest.mark.parametrize(
    "break_it",
    [
        _lose_an_answer,
        _repeat_an_answer,
        _change_an_answer,
        _lose_an_event,
        _lose_a_signal,
        _repeat_a_signal,
        _take_a_signal_late,
    ],
)
def test_what_goes_wrong_fails(done: InMemory, break_it: Callable[[Order, Answers], None]) -> None:
    order, answers = list(done.order), list(done.answers)
    break_it(order, answers)
    with pytest.raises(BenchmarkFailed, match="in-order run"):
        compare_answers(order, done.fed, answers, PARTITIONS)
