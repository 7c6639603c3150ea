"""Objectives of the shop beside the learned score: purchases, margin, and new items.

The ranker learns what people choose next. A shop may weigh other objectives against that: each is a value per item,
which is multiplied by its weight and added to the item's score. As scores are logits, a weight of 0.7 doubles the odds
that the item is chosen for each unit of the objective.
"""

from __future__ import annotations

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.common.bounds import Importance
from processors.common.time import DAY_MS
from processors.items.index import ItemIndex
from processors.ranking.candidates import Candidates
from processors.ranking.features import nearness
from processors.ranking.frame import SLATES_AND_TRIALS, Frame, Stage

_PRIOR_VISITS = 20.0
"""Visits at the mean rate of purchases that are added to an item's own: a few visits alone give no reliable rate."""

_FURTHEST = 2.0
"""Greatest absolute value of the objective ``purchase``."""

_NEW_MS = 7 * DAY_MS
"""Age, in milliseconds, at which the objective ``freshness`` has fallen to 1/e."""


class Objectives(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the objectives.

    Parameters
    ----------
    click
        Weight of the learned score, which says what the user is likely to choose.
    purchase
        Weight of the logarithm of the item's purchases per visit over the mean of all items, -2 to 2.
    margin
        Weight of the margin in the catalogue, 0 to 1; an unknown margin counts as 0.
    freshness
        Weight of how new the item is: 1 for just now, 1/e after a week.

    Examples
    --------
    >>> Objectives().is_learned_score, Objectives(margin=0.5).is_learned_score
    (True, False)
    """

    click: Importance = 1.0
    purchase: Importance = 0.0
    margin: Importance = 0.0
    freshness: Importance = 0.0

    @property
    def is_learned_score(self) -> bool:
        """Whether the learned score alone counts."""
        return (self.click, self.purchase, self.margin, self.freshness) == (1.0, 0.0, 0.0, 0.0)

    def applied_to(self, scores: Floats, candidates: Candidates, index: ItemIndex) -> Floats:
        """Return the learned scores of the candidates, shape (candidates,), weighed against the other objectives.

        Parameters
        ----------
        scores
            The learned scores, shape (candidates,).
        candidates
            The candidates.
        index
            The read model of items.
        """
        if self.is_learned_score:
            return scores
        slots = candidates.slots
        total = self.click * scores
        if self.purchase:
            total = total + self.purchase * purchase_values(slots, index)
        if self.margin:
            total = total + self.margin * np.nan_to_num(index.attributes.margin[slots], nan=0.0)
        if self.freshness:
            age = candidates.visitors.now_ms[candidates.rows] - index.attributes.since[slots]
            total = total + self.freshness * nearness(age, _NEW_MS)
        return total


def purchase_values(slots: Ints, index: ItemIndex) -> Floats:
    """Return the logarithm of purchases per visit over the mean of all items, one value per slot.

    Few visits pull the value towards 0; if nothing was ever bought, all values are 0.
    """
    visits = index.popularity.total
    bought = index.attributes.bought
    if not bought:
        return np.zeros(len(slots))
    mean = bought / visits
    rate = (index.attributes.purchases[slots] + _PRIOR_VISITS * mean) / (index.popularity.visits[slots] + _PRIOR_VISITS)
    return np.clip(np.log(rate / mean), -_FURTHEST, _FURTHEST)


class WeighObjectives(Stage):
    """Weigh the learned score against the other objectives of the shop.

    Parameters
    ----------
    objectives
        The weights of the objectives.
    """

    name = "objectives"
    purposes = SLATES_AND_TRIALS

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        scores, candidates, items = frame.scores, frame.candidates, frame.read.items
        frame.scores = frame.once(
            (self.name, frame.scored_by), lambda: self._objectives.applied_to(scores, candidates, items)
        )
        return frame
