"""When a partition's next micro-batch is taken, and how much it takes."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from streams.settings.sections import WorkerSettings

_FIRST_RECORD_S = 0.001
"""Seconds that a record is assumed to take before any was measured."""

_FEWEST_RECORDS = 50
_MEMORY = 0.8
"""Weight of the cost known so far against that of the micro-batch just computed."""


class Pacing:
    """Gather records for an interval, but take no more than can be computed in the time a step may take.

    A step that takes long holds up the steps of all other partitions, so its length is bounded by
    ``worker.step_ms``. The cost of a record is not known beforehand and differs between planes: it is estimated as an
    exponentially weighted mean over the micro-batches computed so far.

    Parameters
    ----------
    worker
        Bounds of a micro-batch.
    interval_ms
        Least milliseconds between the beginnings of two micro-batches.
    clock
        Monotonic seconds.

    Attributes
    ----------
    record_s : float
        Estimated seconds to compute a record.

    Examples
    --------
    >>> pacing = Pacing(WorkerSettings(step_ms=100), interval_ms=50, clock=lambda: 0.0)
    >>> pacing.most_records
    100
    >>> pacing.computed(records=100, seconds=0.6)
    >>> pacing.most_records
    50
    >>> pacing.begin()
    >>> pacing.wait_s(records=10, size_bytes=1000), pacing.wait_s(records=50, size_bytes=1000)
    (0.05, 0.0)
    """

    def __init__(self, worker: WorkerSettings, interval_ms: int, clock: Callable[[], float] = monotonic) -> None:
        self._worker, self._interval_s, self._clock = worker, interval_ms / 1000.0, clock
        self._began_at: float | None = None
        self.record_s = _FIRST_RECORD_S

    @property
    def most_bytes(self) -> int:
        """Bytes that a micro-batch takes at most: a quarter of those that may wait."""
        return self._worker.buffer_bytes // 4

    @property
    def most_records(self) -> int:
        """Records that a micro-batch takes at most: as many as can be computed in time, within the settings' bound."""
        in_time = int(self._worker.step_ms / 1000.0 / self.record_s)
        return min(self._worker.batch_max_records, max(_FEWEST_RECORDS, in_time))

    def wait_s(self, records: int, size_bytes: int) -> float:
        """Return how many seconds to gather on, given what waits already; 0 if a micro-batch is full or due."""
        if self._began_at is None or records >= self.most_records or size_bytes >= self.most_bytes:
            return 0.0
        return max(0.0, self._began_at + self._interval_s - self._clock())

    def begin(self) -> None:
        """Note that a micro-batch begins now."""
        self._began_at = self._clock()

    def computed(self, records: int, seconds: float) -> None:
        """Learn from a micro-batch that was computed what a record costs.

        Few records are ignored: each of them bears a larger part of what a step costs by itself.
        """
        if records >= _FEWEST_RECORDS:
            self.record_s = _MEMORY * self.record_s + (1.0 - _MEMORY) * seconds / records
