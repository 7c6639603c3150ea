"""The best few of very many, kept current at the price of a set insertion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Slots = npt.NDArray[np.intp]

_NONE = float("-inf")


class TopSlots:
    """The slots with the highest scores, exactly, as long as scores only rise.

    What scores less than the ``2 * depth`` best at some moment can only come back by being offered again, so nothing
    else needs to be looked at. Scores themselves stay in the caller's columns.

    Parameters
    ----------
    depth
        How many can be asked for.

    Examples
    --------
    >>> scores, tie = np.array([3.0, 1.0, 2.0]), np.zeros(3)
    >>> top = TopSlots(depth=2)
    >>> for slot in range(3):
    ...     top.offer(slot, scores[slot])
    >>> top.best(scores, tie, lambda: np.arange(3)).tolist()
    [0, 2]
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._pool: set[int] = set()
        self._floor = _NONE
        self._best: Slots | None = None

    def offer(self, slot: int, score: float) -> None:
        """Note that a slot has a new score. Constant time, amortised over :meth:`best`."""
        if score >= self._floor or slot in self._pool:
            self._pool.add(slot)
            self._best = None

    def discard(self, slot: int) -> None:
        """Note that a slot is gone."""
        if slot in self._pool:
            self._pool.discard(slot)
            self._best = None

    def best(
        self, scores: npt.NDArray[np.float64], tie: npt.NDArray[np.float64], everything: Callable[[], Slots]
    ) -> Slots:
        """The ``depth`` best slots, best first; equals by ``tie``, the higher one first.

        Parameters
        ----------
        everything
            Gives all slots there are, for when so many were discarded that the pool ran dry.
        """
        if self._best is None:
            if len(self._pool) < self._depth and self._floor > _NONE:
                self._pool, self._floor = set(everything().tolist()), _NONE
            pool = np.fromiter(self._pool, np.intp, len(self._pool))
            order = np.lexsort((tie[pool], scores[pool]))[::-1]
            if len(order) > 4 * self._depth:
                kept = pool[order[: 2 * self._depth]]
                self._pool, self._floor = set(kept.tolist()), float(scores[kept[-1]])
            self._best = pool[order[: self._depth]]
        return self._best
