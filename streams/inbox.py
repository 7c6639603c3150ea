"""What a partition has been handed over and not taken yet: bounded, by pausing the topics it comes from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from streams.partition import SourceBatch

Acknowledge = Callable[[], None]

_PART_RECORDS = 250
"""Records that a micro-batch takes at once or not at all."""


def _nothing() -> None:
    """What acknowledges a part of what was handed over: only the last one does."""


class Inbox:
    """Batches that wait, first come first served.

    Parameters
    ----------
    most_records, most_bytes
        What may wait. Beyond either the topic that went over it is paused, until half of both is free.
    pause, resume
        ``pause(topic)``: stop, go on fetching.

    Examples
    --------
    >>> from processors.events import Record
    >>> inbox = Inbox(2, 1000, pause=lambda topic: print("pause", topic), resume=lambda topic: print("resume", topic))
    >>> records = [Record("t", 0, offset, 0, b"user", b"{}") for offset in range(3)]
    >>> inbox.put(SourceBatch("t", 0, 3, records), lambda: None)
    pause t
    >>> [(batch.start, batch.end) for batch, _ in inbox.take(10, 1000)]
    resume t
    [(0, 3)]
    """

    def __init__(
        self, most_records: int, most_bytes: int, pause: Callable[[str], None], resume: Callable[[str], None]
    ) -> None:
        self._most_records, self._most_bytes = most_records, most_bytes
        self._pause, self._resume = pause, resume
        self._waiting: deque[tuple[SourceBatch, Acknowledge, int]] = deque()
        self._paused: set[str] = set()
        self.records = self.size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, batch: SourceBatch, acknowledge: Acknowledge) -> None:
        """Add a batch.

        Parameters
        ----------
        acknowledge
            Returned by :meth:`take` with the last part of the batch.
        """
        *before, last = batch.parts(_PART_RECORDS)
        for part, then in (*((part, _nothing) for part in before), (last, acknowledge)):
            size = part.size_bytes()
            self._waiting.append((part, then, size))
            self.records += len(part.records)
            self.size_bytes += size
        full = self.records > self._most_records or self.size_bytes > self._most_bytes
        if full and batch.topic not in self._paused:
            self._paused.add(batch.topic)
            self._pause(batch.topic)

    def take(self, records: int, size_bytes: int) -> list[tuple[SourceBatch, Acknowledge]]:
        """Remove the first batches, as many as keep within both limits, and at least one if there is one."""
        taken: list[tuple[SourceBatch, Acknowledge]] = []
        while self._waiting:
            batch, acknowledge, size = self._waiting[0]
            records, size_bytes = records - len(batch.records), size_bytes - size
            if taken and (records < 0 or size_bytes < 0):
                break
            self._waiting.popleft()
            self.records -= len(batch.records)
            self.size_bytes -= size
            taken.append((batch, acknowledge))
        if self.records <= self._most_records // 2 and self.size_bytes <= self._most_bytes // 2:
            self._resume_paused()
        return taken

    def clear(self) -> None:
        """Forget everything; it will be handed over again, or belongs to somebody else."""
        self._waiting.clear()
        self.records = self.size_bytes = 0
        self._resume_paused()

    def _resume_paused(self) -> None:
        for topic in sorted(self._paused):
            self._resume(topic)
        self._paused.clear()
