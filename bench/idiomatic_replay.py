"""The answers of an in-order run: the same functions in one process, one record after the other, without Kafka.

When a signal reaches its item depends on the brokers and on when transactions are committed, and what is recommended
depends on that. So the run takes the order of records from the app, and nothing else: its events are those that were
fed, its signals those that it makes itself, its states plain dictionaries that are never written or decoded. An event
or signal that the app lost, repeated or changed, or a state that came back changed, gives other answers.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from bench.idiomatic_items import Items
from bench.idiomatic_logic import State, learn, new_item, new_profile
from bench.idiomatic_messages import EVENTS, Cause, Event, Signal, hear, recommendations, signals_of
from bench.idiomatic_rank import slates
from processors.common.hashing import partition_of


class Fed(NamedTuple):
    """An event as it stands in the log, and its Kafka timestamp in milliseconds."""

    event: Event
    time_ms: int


class Replay:
    """An in-order run.

    Parameters
    ----------
    fed
        The events, by partition and offset.
    partitions
        Number of partitions of each topic.

    Attributes
    ----------
    answers : list of dict
        Recommendations so far.
    """

    def __init__(self, fed: dict[tuple[int, int], Fed], partitions: int) -> None:
        self.answers: list[State] = []
        self._fed, self._partitions = fed, partitions
        self._items = Items()
        self._profiles: dict[str, State] = defaultdict(new_profile)
        self._states: dict[str, State] = defaultdict(new_item)
        self._signals: dict[int, deque[Signal]] = defaultdict(deque)

    def run(self, order: Iterable[tuple[bool, int, int]]) -> None:
        """Process records, each given by whether it is an event, its partition and its offset.

        Raises
        ------
        LookupError
            If there is no such event, or no signal left for that partition.
        """
        for is_event, partition, offset in order:
            if is_event:
                self._answer(self._fed[partition, offset], partition, offset)
            else:
                self._take(self._signals[partition].popleft())

    @property
    def left(self) -> int:
        """Signals that were made and not processed."""
        return sum(map(len, self._signals.values()))

    def _answer(self, fed: Fed, partition: int, offset: int) -> None:
        event = fed.event
        profile = self._profiles[event.user_id]
        preceding = learn(profile, event)
        if preceding is None:
            return
        for signal in signals_of(event, preceding):
            self._signals[partition_of(signal["item_id"], self._partitions)].append(Signal(**signal))
        ranked = slates(profile, self._items.view, self._items.popular())
        self.answers += recommendations(event, Cause(EVENTS, partition, offset, fed.time_ms / 1000), ranked)

    def _take(self, signal: Signal) -> None:
        item = self._states[signal.item_id]
        hear(item, signal)
        self._items.put(signal.item_id, item)


def count_differing(expected: Iterable[State], found: Iterable[State]) -> int:
    """Count the answers that are missing, there too often, or not the same.

    Examples
    --------
    >>> a, b = {"recommendation_id": "1", "items": []}, {"recommendation_id": "2", "items": []}
    >>> count_differing([a, b], [b, a]), count_differing([a], [a, b]), count_differing([a, b], [a])
    (0, 1, 1)
    >>> count_differing([a], [a, a]), count_differing([a], [{**a, "items": ["tent"]}])
    (1, 1)
    """
    left: dict[str, Any] = {answer["recommendation_id"]: answer for answer in expected}
    differing = 0
    for answer in found:
        differing += left.pop(answer["recommendation_id"], None) != answer
    return differing + len(left)
