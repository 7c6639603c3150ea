"""What a shop wants of a slate, beside being chosen from: purchases, margin, what is new.

The ranker learns what people choose next. A shop may weigh that against other ends: each objective is a value per item
that is added to the item's score with its weight, so that a weight says how many units of score, that is, how much of
the logarithm of the odds of being chosen, one unit of the objective is worth.
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
"""Visits at the mean rate that an item's own are added to: an item with two visits has no rate to speak of."""
_FURTHEST = 2.0
_NEW_MS = 7 * DAY_MS


class Objectives(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of the objectives.

    Parameters
    ----------
    click
        Of the learned score: what the user is likely to choose.
    purchase
        Of the logarithm of the item's purchases per visit, relative to the mean of all items; at most 2 either way.
    margin
        Of the margin in the catalogue, 0 to 1; none where it is unknown.
    freshness
        Of how new the item is: 1 for just now, 1/e after a week.

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
        """Whether nothing but the learned score counts."""
        return (self.click, self.purchase, self.margin, self.freshness) == (1.0, 0.0, 0.0, 0.0)

    def applied_to(self, scores: Floats, candidates: Candidates, index: ItemIndex) -> Floats:
        """Learned scores of the candidates, weighed against the other objectives."""
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
    """Logarithm of the items' purchases per visit over those of all items, towards 0 for items with few visits."""
    visits = float(index.popularity.visits.sum())
    bought = float(index.attributes.purchases.sum())
    if not bought:
        return np.zeros(len(slots))
    mean = bought / visits
    rate = (index.attributes.purchases[slots] + _PRIOR_VISITS * mean) / (index.popularity.visits[slots] + _PRIOR_VISITS)
    return np.clip(np.log(rate / mean), -_FURTHEST, _FURTHEST)


class WeighObjectives(Stage):
    """Weigh the learned score against the other ends of the shop.

    Parameters
    ----------
    objectives
        The ends and their weights.
    """

    name = "objectives"
    purposes = SLATES_AND_TRIALS

    def __init__(self, objectives: Objectives) -> None:
        self._objectives = objectives

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.scores = self._objectives.applied_to(frame.scores, frame.candidates, frame.read.items)
        return frame
