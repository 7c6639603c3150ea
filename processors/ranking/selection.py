"""From scored candidates to places: the best ones, spread over categories, within caps, with pins where they belong.

References
----------
J. Carbonell, J. Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing
summaries", SIGIR 1998: the trade between score and likeness to what stands above.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.ranking.frame import SLATES, SLATES_AND_TRIALS, Frame, Stage
from processors.ranking.rule_effects import Cap, Pin
from processors.ranking.scoring import NEVER

DEPTH = 3
"""Candidates that the spreading looks at, as a multiple of the slate."""


def top(begins: Ints, scores: Floats, size: int) -> tuple[Ints, Flags]:
    """Candidate numbers of each user's best, best first, shape (users, size), and which of those places are filled.

    Examples
    --------
    >>> numbers, filled = top(np.array([0, 2, 3]), np.array([0.1, 0.2, 0.3]), 2)
    >>> numbers[filled].tolist()
    [1, 0, 2]
    """
    lengths = np.diff(begins)
    width = max(int(lengths.max(initial=0)), size)
    table = np.full((len(lengths), width), NEVER)
    table[np.arange(width) < lengths[:, None]] = scores
    places = np.tile(np.arange(size), (len(lengths), 1))
    best = np.argpartition(-table, size - 1, axis=1)[:, :size] if width > size else places
    values = np.take_along_axis(table, best, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    values = np.take_along_axis(values, order, axis=1)
    return np.take_along_axis(best, order, axis=1) + begins[:-1, None], values > NEVER


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
    """Choose places one after another: by score, less what stands above of the same group, and within the caps.

    Complexity: ``size`` rounds over arrays of shape (users, candidates).

    Parameters
    ----------
    numbers, filled
        From :func:`top`, deeper than the slate.
    scores, groups, slots
        Of each candidate: its score, the number of the group that is to be spread (0 is like nothing), its slot.
    size
        Of the slate.
    diversity
        0 to 1: how much of the range of the user's scores an item loses whose group fills all places above.
    caps
        Bounds per label.

    Returns
    -------
    numbers, filled
        As those given, of shape (users, size).
    """
    users, width = numbers.shape
    safe = np.where(filled, numbers, 0)
    value = np.where(filled, scores[safe] if len(scores) else 0.0, NEVER)
    group = groups[safe] if len(scores) else safe
    lowest = np.where(filled, value, np.inf).min(axis=1, initial=np.inf)
    span = np.where(filled[:, 0], value[:, 0] - np.where(np.isfinite(lowest), lowest, 0.0), 0.0)[:, None]
    limited = [(cap.labels_of(safe, slots), cap.at_most) for cap in caps] if len(scores) else []
    chosen, taken = np.zeros((users, size), np.int64), np.zeros((users, size), np.bool_)
    like, rows = np.zeros((users, width)), np.arange(users)
    counts = [np.zeros((users, width), np.int64) for _ in limited]
    for place in range(size):
        offered = value - diversity * span * like / max(place, 1)
        for (labels, at_most), count in zip(limited, counts, strict=True):
            offered = np.where((labels > 0) & (count >= at_most), NEVER, offered)
        pick = np.argmax(offered, axis=1)
        found = offered[rows, pick] > NEVER
        chosen[:, place], taken[:, place] = numbers[rows, pick], found
        value[rows[found], pick[found]] = NEVER
        mine = group[rows, pick][:, None]
        like += found[:, None] & (mine > 0) & (group == mine)
        for (labels, _), count in zip(limited, counts, strict=True):
            label = labels[rows, pick][:, None]
            count += found[:, None] & (label > 0) & (labels == label)
    return chosen, taken


def pinned(
    numbers: Ints, filled: Flags, pins: Sequence[Pin], allowed: Flags, begins: Ints, slots: Ints
) -> tuple[Ints, Flags]:
    """Put pinned items at their places; what stood there and below moves down, what falls off the end is gone.

    Parameters
    ----------
    numbers, filled
        The slate so far, shape (users, size).
    pins
        Those that win first; a place that is taken is taken.
    allowed
        Which candidates may be shown.
    begins, slots
        Where each user's candidates begin, and the slot of each candidate.
    """
    numbers, filled = numbers.copy(), filled.copy()
    for pin in sorted(_first_of_each_position(pins), key=lambda pin: pin.position):
        if pin.position >= numbers.shape[1]:
            continue
        at = np.flatnonzero((slots == pin.slot) & allowed)
        users = np.searchsorted(begins, at, side="right") - 1
        for user, number in zip(users.tolist(), at.tolist(), strict=True):
            row = [
                n
                for n, there in zip(numbers[user].tolist(), filled[user].tolist(), strict=True)
                if there and n != number
            ]
            row.insert(pin.position, number)
            row = row[: numbers.shape[1]]
            numbers[user, : len(row)] = row
            filled[user] = np.arange(numbers.shape[1]) < len(row)
    return numbers, filled


def _first_of_each_position(pins: Sequence[Pin]) -> list[Pin]:
    positions: dict[int, Pin] = {}
    for pin in pins:
        positions.setdefault(pin.position, pin)
    return list(positions.values())


def position_of(score: float, rivals: Floats) -> int:
    """Return the position, from 1, that a score has among those of its rivals, its own among them.

    Examples
    --------
    >>> position_of(2.0, np.array([3.0, 2.0, 1.0]))
    2
    """
    return int(np.count_nonzero(rivals > score)) + 1


def position_in_slate(frame: Frame, number: int) -> int | None:
    """Return the position, from 0, of a candidate in the slate of a single user; :obj:`None` if it is not in it."""
    size = frame.size
    found = np.flatnonzero((frame.numbers[0, :size] == number) & frame.filled[0, :size])
    return int(found[0]) if len(found) else None


class Top(Stage):
    """Take the best candidates of each user."""

    name = "rank"
    purposes = SLATES_AND_TRIALS

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.offered = np.where(frame.kept, frame.scores, NEVER)
        frame.numbers, frame.filled = top(frame.candidates.begins, frame.offered, frame.size)
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        if not before.kept[number] or position_in_slate(after, number) is not None:
            return None
        rivals = after.offered[after.kept]
        position = position_of(after.offered[number], rivals)
        return f"its score puts it at position {position} of {len(rivals)} candidates: others rank higher"


class Spread(Stage):
    """Spread the slates over categories, and keep within the caps of rules.

    Looks at :data:`DEPTH` times as many candidates as the slate has positions; where caps leave fewer than that, the
    slate stays short.

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
            frame.numbers, frame.filled = _spread(frame, self._diversity, frame.effects.caps)
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`.

        Rank is to blame where only items that rank higher are in the slate. Else a cap is if the item were in the slate
        without it, and diversity if it were without that.
        """
        caps = before.effects.caps
        if not (self._diversity or caps) or not before.kept[number] or position_in_slate(after, number) is not None:
            return None
        shown = after.numbers[0][after.filled[0]]
        is_short = len(shown) < after.size
        if not is_short and not (after.offered[shown] < after.offered[number]).any():
            return None
        for cap in caps:
            others = tuple(other for other in caps if other is not cap)
            if _is_in(_spread(before, self._diversity, others), number):
                return (
                    f"rule {cap.rule} shows at most {cap.at_most} of a {cap.per}, and others of its {cap.per} are shown"
                )
        if _is_in(_spread(before, 0.0, caps), number):
            return "others of its category are shown, and diversity has categories take turns"
        depth = DEPTH * before.size
        if is_short and not _is_in(top(before.candidates.begins, before.offered, depth), number):
            return f"slates are filled from the {depth} candidates that rank highest, and it is not one of them"
        return "several caps, or caps and diversity, let items that rank lower pass it"


def _is_in(slates: tuple[Ints, Flags], number: int) -> bool:
    numbers, filled = slates
    return bool((numbers[0][filled[0]] == number).any())


def _spread(frame: Frame, diversity: float, caps: Sequence[Cap]) -> tuple[Ints, Flags]:
    slots = frame.candidates.slots
    deep = top(frame.candidates.begins, frame.offered, DEPTH * frame.size)
    if not diversity and not caps:
        return deep[0][:, : frame.size], deep[1][:, : frame.size]
    categories = frame.read.items.attributes.category[slots].astype(np.int64)
    return spread(*deep, frame.offered, categories, frame.size, diversity, caps, slots)


class Pins(Stage):
    """Put pinned items at their positions."""

    name = "pins"
    purposes = SLATES

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        if frame.effects.pins:
            frame.numbers, frame.filled = pinned(
                frame.numbers, frame.filled, frame.effects.pins, frame.kept, frame.candidates.begins,
                frame.candidates.slots,
            )  # fmt: skip
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        if not before.effects.pins or position_in_slate(after, number) is not None:
            return None
        if position_in_slate(before, number) is None:
            return None
        pins = ", ".join(dict.fromkeys(pin.rule for pin in after.effects.pins))
        return f"it stood at the end of the slate, and what is pinned by {pins} pushed it out"
