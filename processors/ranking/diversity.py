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
from processors.ranking.frame import SLATES, Frame, Stage
from processors.ranking.rule_effects import Cap
from processors.ranking.scoring import NEVER
from processors.ranking.selection import position_in_slate, top

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
) -> tuple[Ints, Flags]:
    """Fill the positions from the first to the last: by score, less a loss for groups shown above, within the caps.

    Complexity: ``size`` rounds over arrays of shape (users, depth).

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

    Returns
    -------
    numbers, filled
        Likewise, of shape (users, size).
    """
    safe = np.where(filled, numbers, 0)
    value = np.where(filled, scores[safe] if len(scores) else 0.0, NEVER)
    group = groups[safe] if len(scores) else safe
    counts = _CapCounts(caps if len(scores) else (), safe, slots)
    picks, found = _pick(value, group, diversity * _range_of(value, filled), counts, size)
    return np.take_along_axis(numbers, picks, axis=1), found


def _pick(value: Floats, group: Ints, loss: Floats, counts: _CapCounts, size: int) -> tuple[Ints, Flags]:
    """Pick columns of the tables for one position after another.

    Parameters
    ----------
    value, group
        Value and group of each user's candidates, shape (users, depth); values that were picked become :data:`NEVER`.
    loss
        What a candidate loses if its group fills all positions above, shape (users, 1).
    counts
        What the caps bound.
    size
        Positions of a slate.

    Returns
    -------
    picks, found
        The column picked for each position, and whether there was any to pick, shape (users, size).
    """
    users = len(value)
    picks, filled = np.zeros((users, size), np.int64), np.zeros((users, size), np.bool_)
    same_above, rows = np.zeros(value.shape), np.arange(users)
    for position in range(size):
        left = counts.without_full(value - loss * same_above / max(position, 1))
        pick = np.argmax(left, axis=1)
        found = left[rows, pick] > NEVER
        picks[:, position], filled[:, position] = pick, found
        value[rows[found], pick[found]] = NEVER
        picked_group = group[rows, pick][:, None]
        same_above += found[:, None] & (picked_group > 0) & (group == picked_group)
        counts.add(rows, pick, found)
    return picks, filled


def _range_of(value: Floats, filled: Flags) -> Floats:
    """Return the difference between each user's best and worst value, shape (users, 1); the best come first."""
    lowest = np.where(filled, value, np.inf).min(axis=1, initial=np.inf)
    found: Floats = np.where(filled[:, 0], value[:, 0] - np.where(np.isfinite(lowest), lowest, 0.0), 0.0)[:, None]
    return found


class _CapCounts:
    """Counts, while slates are filled, what each cap bounds.

    Parameters
    ----------
    caps
        Bounds that hold for each user's slate.
    numbers
        Candidates to choose from, shape (users, depth).
    slots
        Item of each candidate.
    """

    def __init__(self, caps: Sequence[Cap], numbers: Ints, slots: Ints) -> None:
        self._caps = [(cap.labels_of(numbers, slots), cap.at_most, np.zeros(numbers.shape, np.int64)) for cap in caps]

    def without_full(self, values: Floats) -> Floats:
        """Return the values, with :data:`NEVER` for candidates of labels that the slate has enough of."""
        for labels, at_most, counts in self._caps:
            values = np.where((labels > 0) & (counts >= at_most), NEVER, values)
        return values

    def add(self, rows: Ints, pick: Ints, found: Flags) -> None:
        """Count the candidate that each user's slate got, by its column; ``found`` says which users got one."""
        for labels, _, counts in self._caps:
            label = labels[rows, pick][:, None]
            counts += found[:, None] & (label > 0) & (labels == label)


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
    return spread(*deep, frame.kept_scores, categories, frame.size, diversity, caps, slots)
