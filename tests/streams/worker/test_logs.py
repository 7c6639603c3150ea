"""Entries of other libraries that repeat themselves."""

import inspect
import logging

from aiokafka.consumer import fetcher

from streams.worker.logs import ASKED_AGAIN, RepeatFilter
from tests.streams.worker.fakes import Clock


def entry(name: str, text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, text, args, None)


def test_what_repeats_itself_is_counted_instead() -> None:
    clock = Clock()
    repeats = RepeatFilter(own=("streams",), after_s=10, clock=clock)
    assert repeats.filter(entry("aiokafka", "node %d is away", 1))
    assert not any(repeats.filter(entry("aiokafka", "node %d is away", n)) for n in range(5))
    assert repeats.filter(entry("aiokafka", "something else"))
    clock.now = 10
    again = entry("aiokafka", "node %d is away", 7)
    assert repeats.filter(again)
    assert again.getMessage() == "node 7 is away (5 more like it left out)"


def test_our_own_entries_are_never_left_out() -> None:
    repeats = RepeatFilter(own=("streams",))
    assert all(repeats.filter(entry("streams.worker.worker", "ready")) for _ in range(3))


def test_what_is_asked_again_until_it_is_told_is_no_error() -> None:
    repeats = RepeatFilter(own=("streams",))
    assert not repeats.filter(entry("aiokafka.consumer.fetcher", "Failed fetch offsets from %s: %s", 1, "NotLeader"))
    assert repeats.filter(entry("aiokafka.consumer.fetcher", "Failed fetch messages from %s: %s", 1, "NotLeader"))
    assert ASKED_AGAIN[0] in inspect.getsource(fetcher), "aiokafka says it otherwise now"
