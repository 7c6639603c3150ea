"""Fatigue: an item that was shown many times without a reaction ranks lower, and recovers with time.

Each impression beyond the first few multiplies the odds that the item is chosen by about ``exp(-strength)``. The loss
levels off after some tens of impressions, so that an item with a very high score can still be shown. With every
half-life since the last impression, the loss in score halves. A reaction ends it at once
(:meth:`processors.users.unclicked_impressions.UnclickedImpressions.discard`).

References
----------
P. Li, L. Lakshmanan, M. Tiwari, S. Shah, "Modeling impression discounting in large-scale recommender systems", KDD
2014: a discount, applied beside the model, by the number of impressions and the time since the last one; exponential
decay is among the forms they fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from processors.common.arrays import Floats, Ints
from processors.items.index import ItemIndex
from processors.ranking.candidates import Candidates, numbers_of
from processors.ranking.frame import SLATES_AND_TRIALS, Frame, Stage
from processors.ranking.selection import position_by_score

LEVEL = 10.0
"""Impressions after which the loss levels off: it never exceeds this many times the strength."""


@dataclass(frozen=True)
class Fatigued:
    """Candidates whose items were shown too often, as columns of one length.

    Attributes
    ----------
    numbers
        The candidates' numbers, each once.
    times
        Impressions of each without a reaction.
    losses
        What each loses in score; the odds of being chosen are multiplied by ``exp(-loss)``.
    """

    numbers: Ints
    times: Ints
    losses: Floats

    def applied_to(self, scores: Floats) -> Floats:
        """Return the scores of all candidates, shape (candidates,), less the losses."""
        if not len(self.numbers):
            return scores
        lowered = scores.copy()
        lowered[self.numbers] -= self.losses
        return lowered

    def times_and_loss(self, number: int) -> tuple[int, float]:
        """Return how often a candidate was shown, and its loss in score; zeros if it loses nothing.

        Examples
        --------
        >>> fatigued = Fatigued(np.array([4]), np.array([7]), np.array([1.5]))
        >>> fatigued.times_and_loss(4), fatigued.times_and_loss(5)
        ((7, 1.5), (0, 0.0))
        """
        at = np.flatnonzero(self.numbers == number)
        return (int(self.times[at[0]]), float(self.losses[at[0]])) if len(at) else (0, 0.0)


_NONE_FATIGUED = Fatigued(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


class Fatigue(Stage):
    """Lower the scores of items that the user was shown too often without a reaction.

    Parameters
    ----------
    strength
        Loss in score for the first impression too many; 0 turns fatigue off.
    after
        Impressions without a reaction that cost nothing.
    half_life_ms
        Time since the last impression, in milliseconds, after which an item loses half as much.
    """

    name = "fatigue"
    purposes = SLATES_AND_TRIALS

    def __init__(self, strength: float, after: int, half_life_ms: int) -> None:
        self._strength, self._after, self._half_life_ms = strength, after, half_life_ms

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        found, scores = self._found_once(frame), frame.scores
        frame.scores = frame.once((self.name, frame.scored_by), lambda: found.applied_to(scores))
        return frame

    def note(self, frame: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        times, loss = self._found_once(frame).times_and_loss(number)
        score, rivals = frame.scores[number], frame.scores[frame.kept]
        position, without_loss = position_by_score(score, rivals), position_by_score(score + loss, rivals)
        if without_loss == position:
            return None
        return f"shown {times} times without a reaction, or its score would put it at position {without_loss}"

    def _found_once(self, frame: Frame) -> Fatigued:
        """Find what the candidates of a frame lose, once for all placements."""
        return frame.once("fatigue", lambda: self.find(frame.candidates, frame.read.items))

    def find(self, candidates: Candidates, index: ItemIndex) -> Fatigued:
        """Find which candidates were shown to their user too often, and what they lose.

        Complexity: one check per profile; where items were shown too often, a look through the user's candidates for
        each.

        Parameters
        ----------
        candidates
            Candidates of some users.
        index
            The read model of items.
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
            return _NONE_FATIGUED
        slots, of_row = np.array(index.slots_of(ids), np.int64), np.array(rows, np.int64)
        numbers = numbers_of(candidates.begins, candidates.slots, of_row, slots)
        found = np.flatnonzero(numbers >= 0)
        counts = np.array(times, np.int64)[found]
        ages = np.maximum(candidates.visitors.now_ms[of_row[found]] - np.array(shown_at, np.int64)[found], 0)
        return Fatigued(numbers[found], counts, self._losses(counts, ages))

    def _losses(self, times: Ints, ages_ms: Ints) -> Floats:
        """Return the loss in score by number of impressions and time since the last one in milliseconds."""
        grown = -np.expm1((self._after - times) / LEVEL) * LEVEL
        losses: Floats = self._strength * grown * np.exp2(-ages_ms / self._half_life_ms)
        return losses
