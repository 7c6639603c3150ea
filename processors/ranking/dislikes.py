"""What users do not want: an item dismissed or rated low leaves the slates, and what is like it ranks lower.

Two things make a candidate like a disliked item. Being of its category counts by the part that dislikes have in what
the user did there: ``d / (d + t + 2)`` for ``d`` dislikes and ``t`` other items of the category, so that one dismissed
shoe does not hide the shoes of somebody who looks at many. And being visited together with a dismissed item counts by
the strength of that, relative to the item's closest neighbour. With an item rated low it does not: people look at what
goes together whether they like it or not. Dislikes fade with a half-life.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.compiled import kernel
from processors.common.time import DAY_MS
from processors.ranking.candidates import without
from processors.ranking.frame import SLATES_AND_TRIALS, Frame, Stage
from processors.ranking.selection import position_by_score
from processors.users.profile import Profile

_NEIGHBOURS = 20
"""Neighbours of a disliked item that rank lower with it."""


class Disliked(Stage):
    """Remove items that the user dismissed or rated low.

    Parameters
    ----------
    days
        For how many days; the user's next act on the item ends it.
    """

    name = "disliked"
    purposes = SLATES_AND_TRIALS
    shared = True
    removes = "the user dismissed it or rated it low"

    def __init__(self, days: float) -> None:
        self._lasting_ms = int(days * DAY_MS)

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        lasting = self._lasting_ms
        disliked = [
            [item for item, at_ms in zip(one.dislikes.ids, one.dislikes.times, strict=True) if now - at_ms <= lasting]
            for one, now in zip(frame.profiles, frame.now_ms, strict=True)
        ]
        frame.kept = without(frame.candidates, frame.kept, disliked, frame.read.items)
        return frame


class LessOfTheDisliked(Stage):
    """Lower the scores of candidates that are like what the user dismissed or rated low.

    Parameters
    ----------
    strength
        Loss in score of a candidate that is as much like it as can be; 0 turns it off.
    half_life_ms
        After this long a dislike counts half; milliseconds.
    """

    name = "dislikes"
    purposes = SLATES_AND_TRIALS

    def __init__(self, strength: float, half_life_ms: int) -> None:
        self._strength, self._half_life_ms = strength, half_life_ms

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        losses, scores = self._losses_once(frame), frame.scores
        if losses is not None:
            frame.scores = frame.once((self.name, frame.scored_by), lambda: scores - losses)
        return frame

    def note(self, frame: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        losses = self._losses_once(frame)
        if losses is None or losses[number] <= 0.0:
            return None
        score, rivals = frame.scores[number], frame.scores[frame.kept]
        position, without = position_by_score(score, rivals), position_by_score(score + losses[number], rivals)
        if without == position:
            return None
        return f"it is like what the user dismissed or rated low, or its score would put it at position {without}"

    def _losses_once(self, frame: Frame) -> Floats | None:
        """Return what each candidate loses, shape (candidates,); :obj:`None` if no user dislikes anything."""
        if not self._strength or not any(profile.dislikes.ids for profile in frame.profiles):
            return None
        return frame.once("disliked", lambda: self._losses(frame))

    def _losses(self, frame: Frame) -> Floats:
        begins, slots, weights, dismissed = _columns(frame.profiles, frame.now_ms, frame, self._half_life_ms)
        candidates, index = frame.candidates, frame.read.items
        visitors = candidates.visitors
        found: Floats = _alike(
            candidates.begins, candidates.slots, index.attributes.category, begins, slots, weights, dismissed,
            visitors.begins, visitors.slots, index.neighbours, index.together, _NEIGHBOURS,
        )  # fmt: skip
        return self._strength * found


def _columns(
    profiles: Sequence[Profile], now_ms: Sequence[int], frame: Frame, half_life_ms: int
) -> tuple[Ints, Ints, Floats, Flags]:
    """Return where each user's dislikes begin; slot (-1 if unknown), decayed weight, and whether it was dismissed."""
    begins, items, ages, dismissed = [0], list[str](), list[int](), list[bool]()
    for profile, now in zip(profiles, now_ms, strict=True):
        items += profile.dislikes.ids
        dismissed += profile.dislikes.dismissed
        ages += [max(0, now - at_ms) for at_ms in profile.dislikes.times]
        begins.append(len(items))
    weights = np.exp2(-np.array(ages, np.float64) / half_life_ms)
    slots = np.array(frame.read.items.slots_of(items), np.int64)
    return np.array(begins, np.int64), slots, weights, np.array(dismissed, np.bool_)


@kernel
def _alike(  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    begins,
    slots,
    category,
    disliked_begins,
    disliked,
    weights,
    dismissed,
    recent_begins,
    recent,
    neighbours,
    together,
    reach,
):
    """Return how much each candidate is like what its user dislikes, from 0 to 2."""
    alike = np.zeros(len(slots))
    width = min(reach, neighbours.shape[1])
    for user in range(len(begins) - 1):
        for at in range(disliked_begins[user], disliked_begins[user + 1]):
            slot = disliked[at]
            if slot < 0 or not dismissed[at]:
                continue
            closest = 0.0
            for column in range(width):
                closest = max(closest, np.float64(together[slot, column]))
            for column in range(width):
                share = np.float64(together[slot, column])
                if share <= 0.0:
                    continue
                for candidate in range(begins[user], begins[user + 1]):
                    if slots[candidate] == neighbours[slot, column]:
                        alike[candidate] = max(alike[candidate], weights[at] * share / closest)
        for candidate in range(begins[user], begins[user + 1]):
            own, against, others = category[slots[candidate]], 0.0, 0.0
            if own <= 0 or disliked_begins[user] == disliked_begins[user + 1]:
                continue
            for at in range(disliked_begins[user], disliked_begins[user + 1]):
                if disliked[at] >= 0 and category[disliked[at]] == own:
                    against += weights[at]
            if against > 0.0:
                for at in range(recent_begins[user], recent_begins[user + 1]):
                    if category[recent[at]] == own:
                        others += 1.0
                alike[candidate] += against / (against + others + 2.0)
    return alike
