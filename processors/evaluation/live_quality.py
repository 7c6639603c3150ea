"""Live quality of slates: rolling hit rate, reciprocal rank, calibration, coverage, inequality, novelty, diversity.

A choice is an event that touches an item. It is judged by the position that the item had in the slate that its user was
last shown (:mod:`processors.evaluation.published`): after rules, limits, fatigue and exploration. What the ranker
expected is compared with what came true before anything is learned from the choice (prequentially).

References
----------
A. Dawid, "Statistical theory: the prequential approach", JRSS A 147, 1984. S. Vargas, P. Castells, "Rank and relevance
in novelty and diversity metrics for recommender systems", RecSys 2011 (novelty as self-information, intra-list
diversity).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.compiled import kernel
from processors.evaluation.published import Judged
from processors.evaluation.rolling_values import RollingValues

DEPTHS = (10, 20)
"""Positions within which a chosen item counts as a hit."""


@dataclass(frozen=True)
class Choices:
    """Choices of candidates that one head of the ranker predicted, as columns.

    Attributes
    ----------
    head
        Name of the head.
    confidences
        For each choice of a candidate, the probability that the ranker gave to the candidate it ranked first.
    first
        For each choice of a candidate, whether it was the one ranked first.
    """

    head: str
    confidences: Floats
    first: Flags


@dataclass(frozen=True)
class ShownSlates:
    """What there is to say of slates published for one placement; those that are empty are left out.

    Attributes
    ----------
    placement
        Name of the placement.
    novelty
        Mean self-information of each slate's items, in bits. Shape (slates,).
    diversity
        Share of the pairs of each slate's items that are of different categories. Shape (slates,).
    slots
        Slots of the items, one slate after the other.
    """

    placement: str
    novelty: Floats
    diversity: Floats
    slots: Ints

    @classmethod
    def of(cls, placement: str, slots: Ints, categories: Ints, popularity: Floats) -> ShownSlates:
        """Make it of arrays of shape (slates, size).

        Parameters
        ----------
        slots
            Slots of the items by position; -1 beyond the end of a slate.
        categories
            Number of each item's category, 0 for none.
        popularity
            Each item's share of all visits.

        Examples
        --------
        >>> shown = ShownSlates.of("home", np.array([[7, 4, -1]]), np.array([[1, 2, 0]]), np.array([[0.5, 0.125, 0.0]]))
        >>> shown.novelty.tolist(), shown.diversity.tolist(), shown.slots.tolist()
        ([2.0], [1.0], [7, 4])
        """
        return cls(placement, *_variety_of(slots, categories, popularity))


@dataclass(frozen=True)
class Observations:
    """Choices and slates of one step, from which live quality is computed."""

    judged: list[Judged] = field(default_factory=list)
    choices: list[Choices] = field(default_factory=list)
    shown: list[ShownSlates] = field(default_factory=list)


class LiveQuality:
    """Rolling metrics of the slates that one process made.

    Parameters
    ----------
    window
        Number of latest choices, or slates, that a metric is taken over.

    Examples
    --------
    >>> quality = LiveQuality()
    >>> quality.take(Observations([Judged("home", np.array([4]), np.array([True]))]))
    >>> quality.figures()["reciprocal_rank", "home", "known"]
    0.25
    """

    def __init__(self, window: int = 2000) -> None:
        self._ranks = _Windows(lambda: RollingValues(window, np.int64))
        self._expected = _Windows(lambda: RollingValues(window, np.float64))
        self._came_true = _Windows(lambda: RollingValues(window, np.bool_))
        self._novelty = _Windows(lambda: RollingValues(window, np.float64))
        self._diversity = _Windows(lambda: RollingValues(window, np.float64))
        self._shown = _Windows(lambda: RollingValues(20 * window, np.int64))

    def take(self, observations: Observations) -> None:
        """Add the choices and slates of a step. Complexity: some microseconds, however many there are."""
        for judged in observations.judged:
            self._ranks.of(judged.placement, "known").add(judged.ranks[judged.known])
            self._ranks.of(judged.placement, "new").add(judged.ranks[~judged.known])
        for choices in observations.choices:
            self._expected.of(choices.head).add(choices.confidences)
            self._came_true.of(choices.head).add(choices.first)
        for shown in observations.shown:
            self._novelty.of(shown.placement).add(shown.novelty)
            self._diversity.of(shown.placement).add(shown.diversity)
            self._shown.of(shown.placement).add(shown.slots)

    def figures(self) -> dict[tuple[str, ...], float]:
        """Return all metrics, keyed by name and labels; those that nothing was observed for are left out.

        ``hit_rate`` (placement, user, depth; of the choices judged, the share whose item was among the first so many),
        ``reciprocal_rank`` (placement, user), ``calibration`` (head; mean probability given to the candidate ranked
        first over the share of choices that were it; 1 is ideal), ``coverage`` (placement; distinct items per position
        shown), ``inequality`` (placement; Gini coefficient of the impressions per item shown: 0 if all are equal),
        ``novelty`` (placement; mean self-information in bits), ``diversity`` (placement; share of the pairs of items in
        a slate that are of different categories).

        Complexity: some milliseconds; it looks at all that the windows hold.
        """
        found: dict[tuple[str, ...], float] = {}
        for (placement, user), ranks in self._ranks.filled():
            for depth in DEPTHS:
                found["hit_rate", placement, user, str(depth)] = float(((ranks > 0) & (ranks <= depth)).mean())
            found["reciprocal_rank", placement, user] = float(
                np.where(ranks > 0, 1.0 / np.maximum(ranks, 1), 0.0).mean()
            )
        for ((head,), expected), (_, came_true) in zip(self._expected.filled(), self._came_true.filled(), strict=True):
            if came_true.any():
                found["calibration", head] = float(expected.mean() / came_true.mean())
        for name, windows in (("novelty", self._novelty), ("diversity", self._diversity)):
            for (placement,), values in windows.filled():
                found[name, placement] = float(values.mean())
        for (placement,), slots in self._shown.filled():
            counts = np.unique(slots, return_counts=True)[1]
            found["coverage", placement] = len(counts) / len(slots)
            found["inequality", placement] = _gini(counts)
        return found


class _Windows:
    """Windows by labels, made when something is first added to one."""

    def __init__(self, make: Callable[[], RollingValues]) -> None:
        self._make = make
        self._windows: dict[tuple[str, ...], RollingValues] = {}

    def of(self, *labels: str) -> RollingValues:
        if labels not in self._windows:
            self._windows[labels] = self._make()
        return self._windows[labels]

    def filled(self) -> list[tuple[tuple[str, ...], Ints]]:
        """Return what the windows hold, those left out that hold nothing."""
        return [(labels, window.values) for labels, window in self._windows.items() if len(window.values)]


@kernel
def _variety_of(slots: Ints, categories: Ints, popularity: Floats) -> tuple[Floats, Floats, Ints]:
    """Compute how novel and how diverse slates are; arrays of shape (slates, size), with slot -1 beyond a slate's end.

    Returns
    -------
    novelty, diversity : float64 arrays
        For each slate that is not empty: the mean self-information of its items, and the share of their pairs that are
        of different categories. An item without category (0) differs from every other.
    shown : int64 array
        The slots of all slates, one slate after the other.
    """
    rows, size = slots.shape
    novelty, diversity, shown = np.empty(rows), np.empty(rows), np.empty(rows * size, np.int64)
    slates = places = 0
    for row in range(rows):
        n, bits, same = 0, 0.0, 0
        while n < size and slots[row, n] >= 0:
            shown[places] = slots[row, n]
            bits -= np.log2(max(popularity[row, n], 1e-12))
            for other in range(n):
                if categories[row, n] > 0 and categories[row, n] == categories[row, other]:
                    same += 1
            n += 1
            places += 1
        if n > 0:
            novelty[slates] = bits / n
            diversity[slates] = 1.0 - 2.0 * same / (n * (n - 1)) if n > 1 else 1.0
            slates += 1
    return novelty[:slates], diversity[:slates], shown[:places]


def _gini(counts: Ints) -> float:
    """Return the Gini coefficient of counts, at least one."""
    n, ordered = len(counts), np.sort(counts)
    return float(2.0 * (np.arange(1, n + 1) * ordered).sum() / (n * ordered.sum()) - (n + 1) / n)
