"""The latest values of a stream, to compute figures over a window from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


class RollingValues:
    """Keep the last so many values, added many at a time.

    Use it where values come in arrays and figures are asked for seldom: adding copies memory, whatever is computed
    from the values later. :class:`river.utils.Rolling` keeps a statistic up to date with every single value instead.

    Parameters
    ----------
    size
        Number of values kept.
    dtype
        Type of the values.

    Examples
    --------
    >>> latest = RollingValues(3, np.int64)
    >>> latest.add(np.array([1, 2]))
    >>> latest.add(np.array([3, 4]))
    >>> sorted(latest.values.tolist())
    [2, 3, 4]
    """

    def __init__(self, size: int, dtype: npt.DTypeLike) -> None:
        self._kept = np.zeros(size, dtype)
        self._next = self._count = 0

    @property
    def values(self) -> npt.NDArray[Any]:
        """The values kept, in no particular order. A view: it changes with the next :meth:`add`."""
        return self._kept[: self._count]

    def add(self, values: npt.NDArray[Any]) -> None:
        """Add values, the latest last. Complexity: linear in their number."""
        size = len(self._kept)
        values = values[-size:]
        until_end = min(len(values), size - self._next)
        self._kept[self._next : self._next + until_end] = values[:until_end]
        self._kept[: len(values) - until_end] = values[until_end:]
        self._next = (self._next + len(values)) % size
        self._count = min(self._count + len(values), size)
