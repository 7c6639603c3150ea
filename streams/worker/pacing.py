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

_LONGEST = 4
"""How many times its least interval a busy partition waits at most."""

_MOST_SHARE = {"users": 0.5, "campaigns": 0.2}
_SHARE_BEHIND = 0.05


def most_share_of(plane: str) -> float:
    """Return the share of the time that the micro-batches of one partition may take.

    It is high for the plane that people wait for, less for the one that counts money, and low for the others.

    Examples
    --------
    >>> most_share_of("users"), most_share_of("items")
    (0.5, 0.05)
    """
    return _MOST_SHARE.get(plane, _SHARE_BEHIND)


class Pacing:
    """Gather records for an interval that follows the load, but take no more than can be computed in a step's time.

    A step that takes long holds up the steps of all other partitions, so its length is bounded by
    ``worker.step_ms``. The cost of a record is not known beforehand and differs between planes: it is estimated as an
    exponentially weighted mean over the micro-batches computed so far.

    A transaction costs worker and brokers much the same whatever it holds. So a partition takes no more than a share of
    the time: if its micro-batches last longer, from the beginning of the computation to the commit, they come less
    often, up to a fourth as often, and each holds more.

    Parameters
    ----------
    worker
        Bounds of a micro-batch.
    interval_ms
        Least milliseconds between the beginnings of two micro-batches.
    most_share
        Share of the time that the partition's micro-batches may take, in (0, 1].
    clock
        Monotonic seconds.

    Attributes
    ----------
    record_s : float
        Estimated seconds to compute a record.
    batch_s : float
        Estimated seconds that a micro-batch takes, from the beginning of its computation to its commit.

    Examples
    --------
    >>> pacing = Pacing(WorkerSettings(step_ms=100), interval_ms=50, most_share=0.4, clock=lambda: 0.0)
    >>> pacing.most_records
    100
    >>> pacing.computed(records=100, seconds=0.6)
    >>> pacing.most_records
    50
    >>> pacing.begin()
    >>> pacing.wait_s(records=10, size_bytes=1000), pacing.wait_s(records=50, size_bytes=1000)
    (0.05, 0.0)
    >>> pacing.committed(seconds=0.2)
    >>> round(pacing.interval_s, 3)
    0.1
    """

    def __init__(
        self, worker: WorkerSettings, interval_ms: int, most_share: float = 1.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self._worker, self._least_s, self._most_share, self._clock = worker, interval_ms / 1000.0, most_share, clock
        self._began_at: float | None = None
        self.record_s = _FIRST_RECORD_S
        self.batch_s = 0.0

    @property
    def interval_s(self) -> float:
        """Seconds between the beginnings of two micro-batches, as far as neither is full."""
        return min(max(self._least_s, self.batch_s / self._most_share), _LONGEST * self._least_s)

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
        return max(0.0, self._began_at + self.interval_s - self._clock())

    def begin(self) -> None:
        """Note that a micro-batch begins now."""
        self._began_at = self._clock()

    def computed(self, records: int, seconds: float) -> None:
        """Learn from a micro-batch that was computed what a record costs.

        Few records are ignored: each of them bears a larger part of what a step costs by itself.
        """
        if records >= _FEWEST_RECORDS:
            self.record_s = _MEMORY * self.record_s + (1.0 - _MEMORY) * seconds / records

    def committed(self, seconds: float) -> None:
        """Learn from a micro-batch that was committed how long one takes, since its computation began."""
        self.batch_s = _MEMORY * self.batch_s + (1.0 - _MEMORY) * seconds
