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
from processors.ranking.rule_effects import Cap, Pin

NEVER = -np.inf
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
    limited = [(_labels(cap, safe, slots), cap.at_most) for cap in caps] if len(scores) else []
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


def _labels(cap: Cap, numbers: Ints, slots: Ints) -> Ints:
    labels = cap.labels[slots[numbers]].astype(np.int64)
    return labels if cap.within is None else np.where(cap.within[numbers], labels, 0)


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
    for pin in sorted(_first_of_each_place(pins), key=lambda pin: pin.place):
        if pin.place >= numbers.shape[1]:
            continue
        at = np.flatnonzero((slots == pin.slot) & allowed)
        users = np.searchsorted(begins, at, side="right") - 1
        for user, number in zip(users.tolist(), at.tolist(), strict=True):
            row = [
                n
                for n, there in zip(numbers[user].tolist(), filled[user].tolist(), strict=True)
                if there and n != number
            ]
            row.insert(pin.place, number)
            row = row[: numbers.shape[1]]
            numbers[user, : len(row)] = row
            filled[user] = np.arange(numbers.shape[1]) < len(row)
    return numbers, filled


def _first_of_each_place(pins: Sequence[Pin]) -> list[Pin]:
    places: dict[int, Pin] = {}
    for pin in pins:
        places.setdefault(pin.place, pin)
    return list(places.values())
