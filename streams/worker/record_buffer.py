"""Records that were delivered to a partition and not taken yet: bounded, by pausing the topics they come from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from streams.engine.source_batch import SourceBatch

Acknowledge = Callable[[], None]

_PART_RECORDS = 250
"""Records that a micro-batch takes together or not at all: delivered batches are split into parts of this size."""

_MOST_STALE = 200
"""Most batches of a topic that are dropped as older than a seek: more than Faust's queues hold on the way here."""


def _nothing() -> None:
    """Acknowledge nothing: what every part of a delivered batch but the last one is acknowledged with."""


class RecordBuffer:
    """Queue of delivered batches, first in, first out.

    Batches that were on their way when the consumer was told to seek arrive after the seek all the same. They begin
    beyond the offset that was sought and so look like a gap, but seeking back again would only bring about the next
    such gap: :meth:`seek` says how they are recognized and dropped.

    Parameters
    ----------
    most_records, most_bytes
        How much may wait. The topic whose batch exceeds either bound is paused until both are at most half used.
    pause, resume
        ``pause(topic)`` has the consumer stop fetching a topic, ``resume(topic)`` has it go on.

    Attributes
    ----------
    records, size_bytes : int
        What waits now: records, and bytes of their keys, values and headers.

    Examples
    --------
    >>> from processors.events.record import Record
    >>> def pause(topic: str) -> None:
    ...     print("pause", topic)
    >>> def resume(topic: str) -> None:
    ...     print("resume", topic)
    >>> buffer = RecordBuffer(2, 1000, pause, resume)
    >>> records = [Record("t", 0, offset, 0, b"user", b"{}") for offset in range(3)]
    >>> buffer.put(SourceBatch("t", 0, 3, records), lambda: None)
    pause t
    >>> [(batch.start, batch.end) for batch, _ in buffer.take(10, 1000)]
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
        """Add a delivered batch, or drop it if it was fetched before the last seek of its topic.

        Parameters
        ----------
        batch
            Records and the offsets that they cover.
        acknowledge
            Commits the offsets of the batch; :meth:`take` returns it with the batch's last part. For a batch that is
            dropped here it is never called, since that would commit offsets of records that nobody has applied.
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
        """Remove and return the batches that have waited longest, each with its acknowledgement.

        Parameters
        ----------
        records, size_bytes
            Limits to what is returned. A batch of more records is taken in parts; the first one is returned even if it
            has more bytes, so that a record larger than the limit does not wait for ever.
        """
        taken: list[tuple[SourceBatch, Acknowledge]] = []
        while self._waiting:
            if not taken:
                self._split_first(records)
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

    def _split_first(self, records: int) -> None:
        """Have the batch that has waited longest hold at most so many records."""
        batch, acknowledge, _ = self._waiting[0]
        if len(batch.records) > records:
            self._waiting.popleft()
            *before, last = batch.parts(records)
            for part, then in ((last, acknowledge), *((part, _nothing) for part in reversed(before))):
                self._waiting.appendleft((part, then, part.size_bytes()))

    def seek(self, offsets: Mapping[str, int]) -> None:
        """Discard everything that waits, and drop what arrives beyond these offsets until a batch reaches them.

        Call it right before the consumer is told to seek, with the same offsets, and without awaiting anything
        between looking them up and this call: records applied meanwhile would count as missing.

        A batch that the consumer fetches after a seek begins at the offset it was told, unless retention has deleted
        that offset in the meantime; then it begins where the log does, and would be dropped for ever. So no topic
        drops more than a fixed number of batches. The next one is let through and reported as the gap that it is. On
        a topic with few records the watchdog (:mod:`streams.worker.watchdog`) notices before that.

        Parameters
        ----------
        offsets
            Offset that the consumer is told to seek to, by topic.
        """
        self._clear()
        self._sought.update({topic: (offset, 0) for topic, offset in offsets.items()})

    def _is_stale(self, batch: SourceBatch) -> bool:
        """Tell whether a batch begins beyond the offset that was sought while that offset has not arrived."""
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
