"""Events in micro-batches of one size to a topology driver, at the pace at which they are simulated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from bench.load import LoadEvent
from streams.engine.driver import TopologyDriver

SIZE = 500
"""Events that are appended at once. Those of one topic are a micro-batch."""

STEP_MS = 1000
"""Time between two appends, in milliseconds: 500 events a second, as :func:`bench.load.simulated` has them."""

Batch = dict[str, list[tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]]]
"""Records by topic, as :meth:`streams.engine.driver.TopologyDriver.pipe_batch` takes them."""

Element = TypeVar("Element")


def chunks(elements: Iterable[Element], size: int = SIZE) -> Iterator[list[Element]]:
    """Yield lists of so many elements, the last one with what is left.

    Examples
    --------
    >>> list(chunks(range(5), 2))
    [[0, 1], [2, 3], [4]]
    """
    left = iter(elements)
    while chunk := list(islice(left, size)):
        yield chunk


def batch_of(events: Iterable[LoadEvent]) -> Batch:
    """Return events as records by topic."""
    per_topic: Batch = {}
    for event in events:
        per_topic.setdefault(event.topic, []).append((event.key.encode(), event.value, ()))
    return per_topic


def pipe(driver: TopologyDriver, batch: Batch, at: int) -> None:
    """Append a batch at a moment, milliseconds since the epoch, and run until nothing is left to do."""
    for topic, records in batch.items():
        driver.pipe_batch(topic, records, at)
