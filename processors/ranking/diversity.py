"""Spreading: slates whose categories take turns, within the caps that rules set.

References
----------
J. Carbonell, J. Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
summaries", SIGIR 1998: the trade between an item's score and its similarity to the items above it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.compiled import kernel
from processors.ranking.frame import SLATES, Frame, Stage
from processors.ranking.rule_effects import Cap
from processors.ranking.selection import pinned_candidates, position_in_slate, top

DEPTH = 3
"""Slates are spread among so many times as many of the best candidates as there are positions."""


def spread(
    numbers: Ints,
    filled: Flags,
    scores: Floats,
    groups: Ints,
    size: int,
    diversity: float,
    caps: Sequence[Cap],
    slots: Ints,
    pinned: Ints,
) -> tuple[Ints, Flags]:
    """Fill the positions from the first to the last: by score, less a loss for groups shown above, within the caps.

    Complexity: ``size`` rounds over the ``depth`` candidates of each user.

    Parameters
    ----------
    numbers, filled
        From :func:`top`, of shape (users, depth), where ``depth`` is greater than ``size``.
    scores, groups, slots
        One per candidate: its score, the number of its group (0 for none, which is not spread), and its item.
    size
        Positions of a slate.
    diversity
        0 to 1: how much of the range of the user's scores an item loses whose group fills all positions above.
    caps
        Bounds that hold for each user's slate.
    pinned
        The candidates that are put into each slate afterwards, shape (users, pins), -1 for none: they count for the
        caps and take no position here.

    Returns
    -------
    numbers, filled
        Likewise, of shape (users, size).
    """
    everything = np.arange(len(slots))
    labels = np.empty((len(caps), len(slots)), np.int64)
    for row, cap in enumerate(caps):
        labels[row] = cap.labels_of(everything, slots)
    at_most = np.array([cap.at_most for cap in caps], np.int64)
    bounds = (labels, at_most, pinned)
    found: tuple[Ints, Flags] = _spread(numbers, filled, scores, groups, size, diversity, *bounds)
    return found


@kernel
def _spread(numbers, filled, scores, groups, size, diversity, labels, at_most, pinned):  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    """Return what :func:`spread` does; ``labels`` has one row per cap, ``at_most`` one bound."""
    users, depth = numbers.shape
    chosen, found = np.zeros((users, size), np.int64), np.zeros((users, size), np.bool_)
    taken = np.empty(depth, np.bool_)
    for user in range(users):
        length = 0
        while length < depth and filled[user, length]:
            taken[length] = False
            for pin in range(pinned.shape[1]):
                taken[length] = taken[length] or pinned[user, pin] == numbers[user, length]
            length += 1
        if not length:
            continue
        loss = diversity * (scores[numbers[user, 0]] - scores[numbers[user, length - 1]])
        for position in range(size):
            best, value = -1, -np.inf
            for column in range(length):
                number = numbers[user, column]
                same = 0
                for above in range(position):
                    same += groups[number] > 0 and groups[chosen[user, above]] == groups[number]
                worth = scores[number] - loss * same / max(position, 1)
                if taken[column] or worth <= value:
                    continue
                is_full = False
                for cap in range(len(at_most)):
                    label, there = labels[cap, number], 0
                    for pin in range(pinned.shape[1]):
                        there += pinned[user, pin] >= 0 and labels[cap, pinned[user, pin]] == label
                    for above in range(position):
                        there += labels[cap, chosen[user, above]] == label
                    is_full = is_full or (label > 0 and there >= at_most[cap])
                if not is_full:
                    best, value = column, worth
            if best < 0:
                break
            chosen[user, position], found[user, position] = numbers[user, best], True
            taken[best] = True
    return chosen, found


class Spread(Stage):
    """Spread slates over categories, and keep within the caps that rules set.

    Only the best candidates are looked at, :data:`DEPTH` times as many as the slate has positions: a slate stays short
    if caps allow fewer of them than it has positions.

    Parameters
    ----------
    diversity
        0 to 1: how much of the range of the user's scores an item loses whose category fills all positions above.
    """

    name = "spread"
    purposes = SLATES

    def __init__(self, diversity: float) -> None:
        self._diversity = diversity

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        if self._diversity or frame.effects.caps:
            frame.numbers, frame.filled = _spread_slates(frame, self._diversity, frame.effects.caps)
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`.

        Rank is the cause if the slate is full of items that rank higher. Else it is the first cap of a label of the
        item that is exhausted in the slate, or that others of its category are shown, or that the item is beyond the
        candidates that are looked at.
        """
        caps = before.effects.caps
        if not (self._diversity or caps) or not before.kept[number] or position_in_slate(after, number) is not None:
            return None
        shown = after.numbers[0][after.filled[0]]
        is_short = len(shown) < after.size
        if not is_short and not (after.kept_scores[shown] < after.kept_scores[number]).any():
            return None
        slots, item = before.candidates.slots, np.array([number])
        for cap in caps:
            label = cap.labels_of(item, slots)
            if label > 0 and np.count_nonzero(cap.labels_of(shown, slots) == label) >= cap.at_most:
                if not cap.at_most:
                    return f"rule {cap.rule} shows none of its {cap.per}"
                return (
                    f"rule {cap.rule} shows at most {cap.at_most} of a {cap.per}, and others of its {cap.per} are shown"
                )
        category = before.read.items.attributes.category
        if (
            self._diversity
            and category[slots[number]] > 0
            and (category[slots[shown]] == category[slots[number]]).any()
        ):
            return "others of its category are shown, and diversity has categories take turns"
        depth = DEPTH * before.size
        return f"slates are filled from the {depth} candidates that rank highest, and it is not one of them"


def _spread_slates(frame: Frame, diversity: float, caps: Sequence[Cap]) -> tuple[Ints, Flags]:
    """Make the slates of a frame anew, spread over categories and within some caps."""
    slots = frame.candidates.slots
    deep = top(frame.candidates.begins, frame.kept_scores, DEPTH * frame.size)
    if not diversity and not caps:
        return deep[0][:, : frame.size], deep[1][:, : frame.size]
    categories = frame.read.items.attributes.category[slots].astype(np.int64)
    pinned = pinned_candidates(frame)
    return spread(*deep, frame.kept_scores, categories, frame.size, diversity, caps, slots, pinned)
