"""How far the partitions of a worker are behind their source logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from faust.types import TP

from processors.planes.base import Plane
from streams.kafka.faust_transport import BatchConsumer
from streams.worker.runner import PartitionRunner

Runners = Mapping[tuple[str, int], PartitionRunner]
"""Runners of a worker by name of the plane and number of the partition."""


class Lags:
    """Positions and lags of the topic-partitions that are assigned to a worker.

    Parameters
    ----------
    planes
        All planes. Each source topic belongs to one of them.
    runners
        What the worker runs now; it changes with every assignment.
    consumer
        Returns the consumer of the worker.
    """

    def __init__(self, planes: Sequence[Plane[Any]], runners: Runners, consumer: Callable[[], BatchConsumer]) -> None:
        self._plane_of = {topic: plane.name for plane in planes for topic in plane.source_topics}
        self._runners, self._consumer = runners, consumer

    def runner(self, tp: TP) -> PartitionRunner | None:
        """Return the runner that a topic-partition is delivered to; :obj:`None` if there is none now."""
        plane = self._plane_of.get(tp.topic)
        return None if plane is None else self._runners.get((plane, tp.partition))

    def offset(self, tp: TP) -> int | None:
        """Return the offset up to which a topic-partition is applied; :obj:`None` while it is not taken over."""
        runner = self.runner(tp)
        if runner is None or runner.processor is None:
            return None
        return runner.processor.position.offsets.get(tp.topic)

    def now(self) -> dict[TP, int]:
        """Return how many offsets are not applied yet, for each assigned topic-partition that is taken over.

        Offsets at the position that are known to hold no record, such as a transaction's marker, are no lag.
        """
        if not self._runners:
            return {}  # nor may the consumer be asked before it has started
        consumer = self._consumer()
        lags: dict[TP, int] = {}
        for tp in list(consumer.assignment()):
            offset, end = self.offset(tp), consumer.end(tp)
            if offset is None or end is None:
                continue
            start, stop = consumer.recordless.get(tp, (0, 0))
            if start <= offset < stop:
                offset = stop
            lags[tp] = max(0, end - offset)
        return lags
