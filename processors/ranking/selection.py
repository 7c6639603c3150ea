"""From scores to slates: each user's best candidates, and the items that rules pin at their positions.

Between the two, :mod:`processors.ranking.diversity` spreads the slates over categories.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.compiled import kernel
from processors.ranking.candidates import numbers_of
from processors.ranking.frame import SLATES, SLATES_AND_TRIALS, Frame, Stage
from processors.ranking.rule_effects import Pin
from processors.ranking.scoring import NEVER


def top(begins: Ints, scores: Floats, size: int) -> tuple[Ints, Flags]:
    """Find each user's best candidates, best first; of equal ones the one that was named first.

    Parameters
    ----------
    begins
        Number of each user's first candidate, and the number of candidates, shape (users + 1,).
    scores
        Score of each candidate; :data:`processors.ranking.scoring.NEVER` for those that must not be in a slate.
    size
        Positions of a slate, at least 1.

    Returns
    -------
    numbers, filled
        The candidate number at each position, and which positions are filled, both of shape (users, size). Numbers at
        positions that are not filled mean nothing.

    Examples
    --------
    >>> numbers, filled = top(np.array([0, 2, 3]), np.array([0.1, 0.2, 0.3]), 2)
    >>> numbers[filled].tolist()
    [1, 0, 2]
    """
    found: tuple[Ints, Flags] = _best(begins, scores, size)
    return found


@kernel
def _best(begins, scores, size):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return what :func:`top` does: insert each candidate into its user's slate, which stays sorted."""
    users = len(begins) - 1
    numbers, filled = np.zeros((users, size), np.int64), np.zeros((users, size), np.bool_)
    for user in range(users):
        length = 0
        for at in range(begins[user], begins[user + 1]):
            score = scores[at]
            if score == -np.inf or (length == size and score <= scores[numbers[user, size - 1]]):
                continue
            if length < size:
                filled[user, length] = True
                length += 1
            position = length - 1
            while position > 0 and scores[numbers[user, position - 1]] < score:
                numbers[user, position] = numbers[user, position - 1]
                position -= 1
            numbers[user, position] = at
    return numbers, filled


def pinned(
    numbers: Ints, filled: Flags, pins: Sequence[Pin], allowed: Flags, begins: Ints, slots: Ints
) -> tuple[Ints, Flags]:
    """Put pinned items at their positions.

    A pinned item leaves the position that it had, and the items from its new position on move down by one; what moves
    beyond the last position is no longer in the slate. In a slate that ends above the pin, the item comes last.

    Parameters
    ----------
    numbers, filled
        Slates without pins, shape (users, size).
    pins
        In the order in which they win: of several for one position the first counts.
    allowed
        Which candidates may be shown; others are not pinned.
    begins, slots
        Number of each user's first candidate, and the item of each candidate.

    Returns
    -------
    numbers, filled
        The slates with the pins, as new arrays.
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


def pinned_candidates(frame: Frame) -> Ints:
    """Return the candidates that rules pin for each user, shape (users, pins); -1 where one is not to be shown.

    They are in the slate whatever else is: caps count them, and exploration leaves them alone.
    """
    users, candidates = len(frame.profiles), frame.candidates
    pins = [pin for pin in _first_of_each_position(frame.effects.pins) if pin.position < frame.size]
    if not pins:
        return np.empty((users, 0), np.int64)
    rows, slots = np.repeat(np.arange(users), len(pins)), np.tile([pin.slot for pin in pins], users)
    numbers = numbers_of(candidates.begins, candidates.slots, rows, slots.astype(np.int64))
    shown = np.where((numbers >= 0) & frame.kept[numbers], numbers, -1)
    return shown.reshape(users, len(pins))


def _first_of_each_position(pins: Sequence[Pin]) -> list[Pin]:
    """Return the pin that wins each position."""
    positions: dict[int, Pin] = {}
    for pin in pins:
        positions.setdefault(pin.position, pin)
    return list(positions.values())


def position_by_score(score: float, rivals: Floats) -> int:
    """Return the position, from 1, of a score among the scores of all candidates, itself included.

    Examples
    --------
    >>> position_by_score(2.0, np.array([3.0, 2.0, 1.0]))
    2
    """
    return int(np.count_nonzero(rivals > score)) + 1


def position_in_slate(frame: Frame, number: int) -> int | None:
    """Return the position, from 0, of a candidate in the slate of the only user; :obj:`None` if it is not in it."""
    size = frame.size
    found = np.flatnonzero((frame.numbers[0, :size] == number) & frame.filled[0, :size])
    return int(found[0]) if len(found) else None


class Top(Stage):
    """Fill each slate with the user's candidates of the highest scores."""

    name = "rank"
    purposes = SLATES_AND_TRIALS

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.kept_scores = np.where(frame.kept, frame.scores, NEVER)
        frame.numbers, frame.filled = top(frame.candidates.begins, frame.kept_scores, frame.size)
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        if not before.kept[number] or position_in_slate(after, number) is not None:
            return None
        rivals = after.kept_scores[after.kept]
        position = position_by_score(after.kept_scores[number], rivals)
        return f"its score puts it at position {position} of {len(rivals)} candidates: others rank higher"


class Pins(Stage):
    """Put the items that rules pin at their positions."""

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
        slots = after.candidates.slots
        entered = set(_slots_in(after, slots)) - set(_slots_in(before, slots))
        pins = ", ".join(dict.fromkeys(pin.rule for pin in after.effects.pins if pin.slot in entered))
        return f"it stood at the end of the slate, and what is pinned by {pins} pushed it out"


def _slots_in(frame: Frame, slots: Ints) -> list[int]:
    """Return the slots of the items in the slate of a single user."""
    found: list[int] = slots[frame.numbers[0][frame.filled[0]]].tolist()
    return found
