"""Live quality of slates: rolling hit rate, reciprocal rank, calibration, coverage, inequality, novelty, diversity.

A choice is an event that touches an item. It is judged before anything is learned from it (prequentially), by the rank
of the chosen item among all candidates that could have been shown.

References
----------
A. Dawid, "Statistical theory: the prequential approach", JRSS A 147, 1984. S. Vargas, P. Castells, "Rank and relevance
in novelty and diversity metrics for recommender systems", RecSys 2011 (novelty as self-information, intra-list
diversity).
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from river.stats import Mean
from river.utils import Rolling

from processors.common.arrays import Flags, Floats, Ints

DEPTHS = (10, 20)
"""Positions within which a chosen item counts as a hit."""


@dataclass(frozen=True)
class Choices:
    """Choices of users that one head of the ranker predicted, as columns.

    Attributes
    ----------
    head
        Name of the head.
    ranks
        Rank of the chosen item among the candidates, from 1; 0 if it was no candidate. Shape (choices,).
    known
        Whether the user had a history. Shape (choices,).
    confidences
        For each choice of a candidate, the probability that the ranker gave to the candidate it ranked first.
    first
        For each choice of a candidate, whether it was the one ranked first.
    """

    head: str
    ranks: Ints
    known: Flags
    confidences: Floats
    first: Flags


@dataclass(frozen=True)
class ShownSlates:
    """Slates published for one placement, as arrays of shape (slates, size).

    Attributes
    ----------
    placement
        Name of the placement.
    slots
        Slots of the items by position; -1 beyond the end of a slate.
    categories
        Number of each item's category, 0 for none.
    popularity
        Each item's share of all visits.
    """

    placement: str
    slots: Ints
    categories: Ints
    popularity: Floats


@dataclass(frozen=True)
class Observations:
    """Choices and slates of one step, from which live quality is computed."""

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
    >>> no, yes = np.array([False]), np.array([True])
    >>> quality.take(Observations([Choices("any", np.array([4]), yes, np.array([0.5]), no)]))
    >>> quality.figures()["reciprocal_rank", "any", "known"]
    0.25
    """

    def __init__(self, window: int = 2000) -> None:
        self._window = window
        self._means: dict[tuple[str, ...], Any] = {}
        self._coverage: dict[str, _Distinct] = {}

    def take(self, observations: Observations) -> None:
        """Add the choices and slates of a step. Complexity: some microseconds per choice and per slate."""
        for choices in observations.choices:
            self._add_choices(choices)
        for shown in observations.shown:
            self._add_slates(shown)

    def figures(self) -> dict[tuple[str, ...], float]:
        """Return all metrics, keyed by name and labels.

        ``hit_rate`` (head, user, depth), ``reciprocal_rank`` (head, user), ``calibration`` (head; mean probability
        given to the candidate ranked first over the share of choices that were it; 1 is ideal), ``coverage``
        (placement; distinct items per position shown), ``inequality`` (placement; Gini coefficient of the impressions
        per item shown: 0 if all are equal), ``novelty`` (placement; mean self-information in bits), ``diversity``
        (placement; share of the pairs of items in a slate that are of different categories).
        """
        found = {name: mean.get() for name, mean in self._means.items() if not name[0].startswith("_")}
        for name, mean in self._means.items():
            if name[0] == "_expected":
                came_true = self._means["_true", name[1]].get()
                if came_true > 0.0:
                    found["calibration", name[1]] = mean.get() / came_true
        for placement, distinct in self._coverage.items():
            found["coverage", placement] = distinct.share()
            found["inequality", placement] = distinct.inequality()
        return found

    def _update(self, value: float, *name: str) -> None:
        if name not in self._means:
            self._means[name] = Rolling(Mean, window_size=self._window)
        self._means[name].update(value)

    def _add_choices(self, choices: Choices) -> None:
        for rank, known in zip(choices.ranks.tolist(), choices.known.tolist(), strict=True):
            user = "known" if known else "new"
            for depth in DEPTHS:
                self._update(float(0 < rank <= depth), "hit_rate", choices.head, user, str(depth))
            self._update(1.0 / rank if rank else 0.0, "reciprocal_rank", choices.head, user)
        for expected, came_true in zip(choices.confidences.tolist(), choices.first.tolist(), strict=True):
            self._update(expected, "_expected", choices.head)
            self._update(float(came_true), "_true", choices.head)

    def _add_slates(self, shown: ShownSlates) -> None:
        coverage = self._coverage.setdefault(shown.placement, _Distinct(20 * self._window))
        filled = shown.slots >= 0
        bits = -np.log2(np.maximum(shown.popularity, 1e-12))
        for row in np.flatnonzero(filled.any(axis=1)).tolist():
            there = filled[row]
            self._update(float(bits[row][there].mean()), "novelty", shown.placement)
            self._update(_diversity(shown.categories[row][there]), "diversity", shown.placement)
            coverage.add(shown.slots[row][there].tolist())


def _diversity(categories: Ints) -> float:
    """Return the share of pairs of items of different categories; an item without category differs from every other."""
    n = len(categories)
    if n < 2:
        return 1.0
    same = (categories[:, None] == categories[None, :]) & (categories > 0)[:, None]
    return 1.0 - float(same.sum() - np.diag(same).sum()) / (n * (n - 1))


class _Distinct:
    """How often each number occurs among the last ``window`` ones."""

    def __init__(self, window: int) -> None:
        self._recent: deque[int] = deque()
        self._counts: Counter[int] = Counter()
        self._window = window

    def add(self, numbers: list[int]) -> None:
        self._recent.extend(numbers)
        self._counts.update(numbers)
        while len(self._recent) > self._window:
            old = self._recent.popleft()
            self._counts[old] -= 1
            if not self._counts[old]:
                del self._counts[old]

    def share(self) -> float:
        """Return the number of distinct ones over the number of all."""
        return len(self._counts) / max(len(self._recent), 1)

    def inequality(self) -> float:
        """Return the Gini coefficient of the counts."""
        counts = np.sort(np.fromiter(self._counts.values(), np.float64, len(self._counts)))
        if not len(counts):
            return 0.0
        ranks = np.arange(1, len(counts) + 1)
        return float(2.0 * (ranks * counts).sum() / (len(counts) * counts.sum()) - (len(counts) + 1) / len(counts))
