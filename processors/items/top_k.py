"""The slots with the highest scores, kept current at constant cost per changed score."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from processors.common.compiled import kernel

Slots = npt.NDArray[np.int64]

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
        self._order = _NOBODY
        self._added: list[int] = []
        self._best: Slots | None = None

    def offer(self, slot: int, score: float) -> None:
        """Take note of a slot's new score. Constant time, amortised over :meth:`best`."""
        if slot not in self._pool:
            if score < self._floor:
                return
            self._pool.add(slot)
            self._added.append(slot)
        self._best = None

    def discard(self, slot: int) -> None:
        """Remove a slot."""
        if slot in self._pool:
            self._pool.discard(slot)
            self._order, self._added = _NOBODY, list(self._pool)
            self._best = None

    def best(
        self, scores: npt.NDArray[np.float64], tie: npt.NDArray[np.float64], everything: Callable[[], Slots]
    ) -> Slots:
        """Return the ``depth`` slots with the highest scores, the highest first.

        Complexity: linear in the pool while its order changes little.

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
                self._order, self._added = _NOBODY, list(self._pool)
            if len(self._added) > _FEW:
                pool = np.fromiter(self._pool, np.int64, len(self._pool))
                self._order = pool[np.lexsort((tie[pool], scores[pool]))[::-1]]
            else:
                self._order = _sorted(self._order, np.array(self._added, np.int64), scores, tie)
            self._added = []
            if len(self._order) > 4 * self._depth:
                self._order = self._order[: 2 * self._depth].copy()
                self._pool, self._floor = set(self._order.tolist()), float(scores[self._order[-1]])
            self._best = self._order[: self._depth]
        return self._best


@kernel
def _sorted(order, added, scores, tie):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return slots and more slots by score and tie, the highest first: by insertion, as most of them stand right."""
    found = np.empty(len(order) + len(added), np.int64)
    for n in range(len(found)):
        slot = order[n] if n < len(order) else added[n - len(order)]
        at = n
        while at > 0 and (
            scores[found[at - 1]] < scores[slot]
            or (scores[found[at - 1]] == scores[slot] and tie[found[at - 1]] < tie[slot])
        ):
            found[at] = found[at - 1]
            at -= 1
        found[at] = slot
    return found


_FEW = 32
"""Slots added since the last time up to which they are inserted one by one."""

_NOBODY = np.empty(0, np.int64)
