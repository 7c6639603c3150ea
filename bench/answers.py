"""Which recommendation answers which event.

An event is answered by the recommendation that names it as its cause. Where a user had several events in one
micro-batch, the answer names the last of them: then an event is answered by the user's first recommendation whose
cause is later, on the same topic-partition by offset, on another one by append time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from bench.worker_process import BenchmarkFailed

LogPosition = tuple[str, int, int]
"""Topic, partition and offset of a record."""


class Appended(NamedTuple):
    """An event as it stands in the log."""

    user_id: str
    position: LogPosition
    time_ms: int
    scheduled_ms: int


class Received(NamedTuple):
    """An answer: the position of its cause, when it was in hand, and when the broker appended it."""

    position: LogPosition
    at_ms: float
    appended_ms: float = 0.0


def answers_to(appended: list[Appended], answers: list[tuple[str, Received]]) -> dict[LogPosition, Received]:
    """Find the answer to each event.

    Raises
    ------
    BenchmarkFailed
        If an event was never answered.

    Examples
    --------
    >>> events = [Appended("u", ("t", 0, n), n, n) for n in (3, 4)]
    >>> found = answers_to(events, [("u", Received(("t", 0, 4), 9.0))])
    >>> [answer.at_ms for answer in found.values()]
    [9.0, 9.0]
    """
    appended_at = {event.position: event.time_ms for event in appended}
    exact = {answer.position: answer for _, answer in answers}
    per_user: dict[str, list[Received]] = defaultdict(list)
    for user, answer in answers:
        per_user[user].append(answer)

    def answers_later(event: Appended, cause: LogPosition) -> bool:
        if cause[:2] == event.position[:2]:
            return cause[2] > event.position[2]
        return appended_at.get(cause, -1) >= event.time_ms

    found = {}
    for event in appended:
        later = (other for other in per_user[event.user_id] if answers_later(event, other.position))
        first = exact.get(event.position) or next(later, None)
        if first is None:
            raise BenchmarkFailed(f"the event at {event.position} of {event.user_id} was not answered")
        found[event.position] = first
    return found


def percentile(values: list[float], percent: int) -> float:
    """Return the smallest value that is not below so many percent of the values.

    Examples
    --------
    >>> percentile([4.0, 1.0, 3.0, 2.0], 50), percentile([4.0, 1.0, 3.0, 2.0], 99)
    (2.0, 4.0)
    """
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
