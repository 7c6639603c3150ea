"""The slots with the highest scores, kept current at constant cost per changed score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Slots = npt.NDArray[np.intp]

_NONE = float("-inf")


class TopSlots:
    """The slots with the highest scores. Exact as long as scores only rise; a slot whose score fell may stay too long.

    A pool of at least ``2 * depth`` slots is kept: a slot that scored less than all of them when the pool was last cut
    comes back only by being offered with a higher score. The scores themselves stay in the caller's columns.

    Parameters
    ----------
    depth
        How many slots :meth:`best` returns at most.

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
        """Take note of a slot's new score. Constant time, amortised over :meth:`best`."""
        if score >= self._floor or slot in self._pool:
            self._pool.add(slot)
            self._best = None

    def discard(self, slot: int) -> None:
        """Remove a slot."""
        if slot in self._pool:
            self._pool.discard(slot)
            self._best = None

    def best(
        self, scores: npt.NDArray[np.float64], tie: npt.NDArray[np.float64], everything: Callable[[], Slots]
    ) -> Slots:
        """Return the ``depth`` slots with the highest scores, the highest first.

        Parameters
        ----------
        scores
            Score by slot.
        tie
            Number by slot that orders slots of equal score, the higher first.
        everything
            Returns all slots that may be in the result; called if too many were removed from the pool.
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
