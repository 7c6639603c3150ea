"""Fatigue: what was shown again and again without a reaction moves down, and comes back with time.

Each showing beyond the first few multiplies an item's odds by about ``exp(-strength)``, until after some tens of them
there is no more to lose: what speaks loudly enough for an item still brings it up. With every half-life since it was
last shown, half of what it lost in score is given back. A reaction ends it at once
(:meth:`processors.users.unclicked_impressions.UnclickedImpressions.discard`).

References
----------
P. Li, L. Lakshmanan, M. Tiwari, S. Shah, "Modeling impression discounting in large-scale recommender systems", KDD
2014: a discount beside the model, of how often and how long ago an item was shown; exponential decay is among the forms
they fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from processors.common.arrays import Floats, Ints
from processors.items.index import ItemIndex
from processors.ranking.candidates import Candidates
from processors.ranking.frame import SLATES_AND_TRIALS, Frame, Stage
from processors.ranking.selection import position_of

LEVEL = 10.0
"""UnclickedImpressions after which the loss levels off: it is never more than so many times the strength."""


@dataclass(frozen=True)
class Fatigued:
    """Candidates that were shown too often.

    Attributes
    ----------
    numbers
        Of the candidates, each once.
    times
        How often each was shown without a reaction.
    losses
        What each loses in score; the odds of being chosen shrink by ``exp(-loss)``.
    """

    numbers: Ints
    times: Ints
    losses: Floats

    def applied_to(self, scores: Floats) -> Floats:
        """The scores of all candidates, less what is lost."""
        if not len(self.numbers):
            return scores
        lowered = scores.copy()
        lowered[self.numbers] -= self.losses
        return lowered

    def of(self, number: int) -> tuple[int, float]:
        """How often a candidate was shown, and what it loses; zeros if it loses nothing.

        Examples
        --------
        >>> fatigued = Fatigued(np.array([4]), np.array([7]), np.array([1.5]))
        >>> fatigued.of(4), fatigued.of(5)
        ((7, 1.5), (0, 0.0))
        """
        at = np.flatnonzero(self.numbers == number)
        return (int(self.times[at[0]]), float(self.losses[at[0]])) if len(at) else (0, 0.0)


_RESTED = Fatigued(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


class Fatigue(Stage):
    """Finds what users are tired of, for many users at once.

    Parameters
    ----------
    strength
        What one showing too many costs in score; 0 turns fatigue off.
    after
        UnclickedImpressions that cost nothing.
    half_life_ms
        Time since an item was last shown after which it loses half as much.
    """

    name = "fatigue"
    purposes = SLATES_AND_TRIALS

    def __init__(self, strength: float, after: int, half_life_ms: int) -> None:
        self._strength, self._after, self._half_life_ms = strength, after, half_life_ms

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.scores = self._of(frame).applied_to(frame.scores)
        return frame

    def note(self, frame: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        times, loss = self._of(frame).of(number)
        rivals = frame.scores[frame.kept]
        position, rested = (position_of(score, rivals) for score in (frame.scores[number], frame.scores[number] + loss))
        if rested == position:
            return None
        return f"shown {times} times without a reaction, or it would be at position {rested}"

    def _of(self, frame: Frame) -> Fatigued:
        return frame.once("fatigue", lambda: self.of(frame.candidates, frame.read.items))

    def of(self, candidates: Candidates, index: ItemIndex) -> Fatigued:
        """Find what the candidates of some users lose.

        Complexity: nothing but a look at each profile if nobody was shown anything too often, else a lookup for each
        such item.
        """
        rows, ids, times, shown_at = list[int](), list[str](), list[int](), list[int]()
        after = self._after
        for row, profile in enumerate(candidates.visitors.profiles if self._strength else ()):
            shown = profile.unclicked
            if shown.ids and max(shown.counts) > after:
                for item, count, at in zip(shown.ids, shown.counts, shown.times, strict=True):
                    if count > after:
                        rows.append(row)
                        ids.append(item)
                        times.append(count)
                        shown_at.append(at)
        if not rows or not len(candidates):
            return _RESTED
        slots, of_row = np.array(index.slots_of(ids), np.int64), np.array(rows, np.int64)
        capacity = index.capacity
        known, wanted = candidates.rows * capacity + candidates.slots, of_row * capacity + slots
        numbers = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        found = np.flatnonzero((slots >= 0) & (known[numbers] == wanted))
        counts = np.array(times, np.int64)[found]
        ages = np.maximum(candidates.visitors.now_ms[of_row[found]] - np.array(shown_at, np.int64)[found], 0)
        return Fatigued(numbers[found], counts, self._losses(counts, ages))

    def _losses(self, times: Ints, ages_ms: Ints) -> Floats:
        grown = -np.expm1((self._after - times) / LEVEL) * LEVEL
        losses: Floats = self._strength * grown * np.exp2(-ages_ms / self._half_life_ms)
        return losses
