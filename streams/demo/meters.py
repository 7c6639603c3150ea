"""Small meters in bounded memory: a rate, latencies, figures over the time of a run."""

from collections import deque
from collections.abc import Sequence

import numpy as np

_LONGEST_MS = 60_000


class Rate:
    """How many things a second, in the last seconds.

    Parameters
    ----------
    window_s
        Length of the window in seconds.

    Examples
    --------
    >>> rate = Rate(window_s=2.0)
    >>> for tenth in range(100):
    ...     rate.add(tenth / 10)
    >>> rate.per_s(10.0)
    10.0
    """

    def __init__(self, window_s: float = 3.0) -> None:
        self._window = window_s
        self._at: deque[float] = deque()
        self._begun: float | None = None

    def add(self, now_s: float) -> None:
        """Count one."""
        if self._begun is None:
            self._begun = now_s
        self._at.append(now_s)
        self._forget(now_s)

    def per_s(self, now_s: float) -> float:
        """Return the rate over the window, or since the first one if that is shorter ago."""
        self._forget(now_s)
        if self._begun is None:
            return 0.0
        return len(self._at) / max(min(self._window, now_s - self._begun), 0.5)

    def _forget(self, now_s: float) -> None:
        while self._at and self._at[0] < now_s - self._window:
            self._at.popleft()


class Latencies:
    """Latencies in whole milliseconds: quantiles of the whole run, and of the last ones.

    Parameters
    ----------
    last
        How many latencies the recent quantiles are taken from.

    Examples
    --------
    >>> latencies = Latencies(last=10)
    >>> for ms in (*range(1, 101), *[7] * 10):
    ...     latencies.add(ms)
    >>> latencies.quantile(0.5), latencies.quantile(0.99), latencies.recent(0.99)
    (45.0, 99.0, 7.0)
    """

    def __init__(self, last: int = 2_000) -> None:
        self._counts = np.zeros(_LONGEST_MS + 1, np.int64)
        self._last: deque[float] = deque(maxlen=last)

    def add(self, ms: float) -> None:
        """Count one; a negative one (clocks of two machines) counts as zero."""
        ms = min(max(float(ms), 0.0), _LONGEST_MS)
        self._counts[round(ms)] += 1
        self._last.append(ms)

    def quantile(self, share: float) -> float | None:
        """Return a quantile of all latencies, to the millisecond; :obj:`None` before the first."""
        total = int(self._counts.sum())
        if not total:
            return None
        return float(np.searchsorted(self._counts.cumsum(), share * total))

    def recent(self, share: float) -> float | None:
        """Return a quantile of the last latencies; :obj:`None` before the first."""
        if not self._last:
            return None
        ordered = sorted(self._last)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class Curve:
    """Means of several figures over the time of a run, in equal stretches; when they grow too many, two become one.

    Parameters
    ----------
    figures
        How many figures are added at a time.
    stretch_s
        Seconds of a stretch at first.
    most
        Most stretches that are kept.

    Examples
    --------
    >>> curve = Curve(figures=1, stretch_s=1.0, most=4)
    >>> for second in range(8):
    ...     curve.add(second, [second])
    >>> curve.points(0)
    [0.5, 2.5, 4.5, 6.5]
    >>> curve.mean(0, 0.75, 1.0)
    6.5
    """

    def __init__(self, figures: int, stretch_s: float = 0.5, most: int = 240) -> None:
        self._stretch, self._most = stretch_s, most
        self._sums: list[list[float]] = []
        self._figures = figures

    def add(self, at_s: float, values: Sequence[float]) -> None:
        """Add figures of one moment, in seconds since the run began."""
        index = max(0, int(at_s / self._stretch))
        while index >= self._most:
            self._halve()
            index = int(at_s / self._stretch)
        while len(self._sums) <= index:
            self._sums.append([0.0] * (self._figures + 1))
        row = self._sums[index]
        row[-1] += 1
        for figure, value in enumerate(values):
            row[figure] += value

    def points(self, figure: int) -> list[float]:
        """Return the mean of each stretch in which anything was added."""
        return [row[figure] / row[-1] for row in self._sums if row[-1]]

    def mean(self, figure: int, begin: float = 0.0, end: float = 1.0) -> float | None:
        """Return the mean over a part of the run, given as shares of it; :obj:`None` if nothing was added there."""
        first, last = int(begin * len(self._sums)), max(round(end * len(self._sums)), 1)
        rows = self._sums[first:last]
        number = sum(row[-1] for row in rows)
        return sum(row[figure] for row in rows) / number if number else None

    def _halve(self) -> None:
        if len(self._sums) % 2:
            self._sums.append([0.0] * (self._figures + 1))
        pairs = zip(self._sums[::2], self._sums[1::2], strict=True)
        self._sums = [[one + other for one, other in zip(*pair, strict=True)] for pair in pairs]
        self._stretch *= 2
