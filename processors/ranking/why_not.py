"""Why an item is not in a slate: the first stage on its way that did not let it pass."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.items.index import ItemIndex
from processors.ranking.candidates import Candidates
from processors.ranking.fatigue import Tired
from processors.ranking.rule_effects import RuleEffects


class WhyNot(msgspec.Struct, frozen=True):
    """What became of an item at a placement.

    Parameters
    ----------
    stage
        ``unknown``, ``unavailable``, ``not_proposed``, ``limit``, ``touched``, ``rule``, ``rank``, ``spread`` or
        ``shown``.
    text
        The same for people.
    """

    placement: str
    stage: str
    text: str


@dataclass(frozen=True)
class Way:
    """What is known of one user's candidates and slate.

    Attributes
    ----------
    at
        Number of the item among the candidates; empty if it is none.
    shown
        Which candidates anything true can be said of.
    allowed
        Which their limits of age and region allow to be shown.
    scores
        By the weights of the placement, and less what fatigue takes.
    places
        Where the item stands in the slate, from 0; empty if it does not.
    tired
        What candidates have lost in ``scores`` because they were shown too often.
    """

    candidates: Candidates
    at: Ints
    shown: Flags
    allowed: Flags
    scores: Floats
    verdict: RuleEffects
    places: Ints
    tired: Tired


def what_became(way: Way, placement: str, only_new: bool, index: ItemIndex, slot: int) -> WhyNot:
    """The stage that ended the item's way, or where it stands.

    Parameters
    ----------
    only_new
        Whether the placement leaves out what the user has touched.
    slot
        The item's, -1 if it is not known.
    """
    if slot < 0:
        return WhyNot(placement, "unknown", "no event and no row of the catalogue has named it, or it was withdrawn")
    if len(way.places):
        return WhyNot(placement, "shown", f"it is in the slate, at place {int(way.places[0]) + 1}")
    if not index.attributes.available[slot]:
        return WhyNot(placement, "unavailable", "the catalogue says that it is not available")
    if not len(way.at) or not way.shown[way.at[0]]:
        return WhyNot(placement, "not_proposed", "no source proposes it for this user")
    number = int(way.at[0])
    if not way.allowed[number]:
        return WhyNot(placement, "limit", "its limits of age or region do not let this user see it")
    if only_new and way.candidates.touched[number]:
        return WhyNot(placement, "touched", "the user has touched it, and the placement shows only what is new")
    removed_by = way.verdict.removed_by
    if removed_by is not None and removed_by[number] >= 0:
        return WhyNot(placement, "rule", f"rule {way.verdict.names[removed_by[number]]} removes it")
    scores = way.verdict.applied_to(way.scores)
    rivals = way.shown & way.allowed & np.isfinite(scores) & index.attributes.available[way.candidates.slots]
    if only_new:
        rivals &= ~way.candidates.touched
    place, of = _place(scores[rivals], scores[number]), int(np.count_nonzero(rivals))
    text = f"its score puts it at place {place} of {of} candidates: others rank higher"
    times, loss = way.tired.of(number)
    rested = _place(scores[rivals], scores[number] + loss)
    if rested < place:
        text += f"; shown {times} times without a reaction, or it would be at place {rested}"
    return WhyNot(placement, "rank", text)


def _place(rivals: Floats, score: float) -> int:
    return int(np.count_nonzero(rivals > score)) + 1
