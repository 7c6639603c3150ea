"""What a partition has been handed over and not taken yet: bounded, by pausing the topics it comes from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from streams.engine.source_batch import SourceBatch

Acknowledge = Callable[[], None]

_PART_RECORDS = 250
"""Records that a micro-batch takes at once or not at all."""


_MOST_STALE = 200
"""Batches of a topic that are taken for older than a seek, at most: more than Faust's queues hold on the way here."""


def _nothing() -> None:
    """What acknowledges a part of what was handed over: only the last one does."""


class Inbox:
    """Batches that wait, first come first served.

    What was on its way here when a topic was sought arrives after the seek all the same. It lies beyond what was
    sought, so it looks like a gap, and seeking back for it would only bring the next one: see :meth:`seek`.

    Parameters
    ----------
    most_records, most_bytes
        What may wait. Beyond either the topic that went over it is paused, until half of both is free.
    pause, resume
        ``pause(topic)``: stop, go on fetching.

    Examples
    --------
    >>> from processors.events.record import Record
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
        self._sought: dict[str, tuple[int, int]] = {}
        self.records = self.size_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, batch: SourceBatch, acknowledge: Acknowledge) -> None:
        """Add a batch, or drop it if it was fetched before its topic was sought.

        Parameters
        ----------
        acknowledge
            Returned by :meth:`take` with the last part of the batch. That of a batch that is dropped must not be
            called: it would have offsets committed that nobody has applied.
        """
        if self._is_stale(batch):
            return
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

    def seek(self, offsets: Mapping[str, int]) -> None:
        """Forget everything, and drop what arrives beyond these offsets until what they name has arrived.

        Call it right before the consumer is told to seek, with the same offsets, and without waiting for anything
        since they were looked up. A batch that the consumer fetches after a seek begins where it was told to, with
        one exception: if the log has lost that offset in the meantime it begins where the log does. So no topic drops
        more than a bound; what arrives then is told as the gap that it is. A watchdog that seeks anew is sooner where
        little arrives.

        Parameters
        ----------
        offsets
            Offset that is sought, by topic.
        """
        self._clear()
        self._sought.update({topic: (offset, 0) for topic, offset in offsets.items()})

    def _is_stale(self, batch: SourceBatch) -> bool:
        """Whether a batch lies beyond what was sought and has not arrived yet."""
        if batch.topic not in self._sought:
            return False
        offset, dropped = self._sought[batch.topic]
        if batch.start > offset and dropped < _MOST_STALE:
            self._sought[batch.topic] = offset, dropped + 1
            return True
        if batch.end > offset:
            del self._sought[batch.topic]
        return False

    def _clear(self) -> None:
        self._waiting.clear()
        self.records = self.size_bytes = 0
        self._resume_paused()

    def _resume_paused(self) -> None:
        for topic in sorted(self._paused):
            self._resume(topic)
        self._paused.clear()
