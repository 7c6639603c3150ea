"""How good slates are, while they are shown: rolling figures over what users chose next and what they were shown.

Every choice is judged before anything is learned from it (prequentially), by the rank that the chosen item had among
all that could have been shown.

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


@dataclass(frozen=True)
class Choices:
    """What users chose, as columns.

    Attributes
    ----------
    head
        By which head of the ranker it was judged.
    ranks
        Place of the item among the candidates, from 1; 0 if it was none.
    known
        Whether the user had a history.
    confidences, first
        Of those whose item was a candidate: the probability that the ranker gave to the candidate it put first, and
        whether that was the one chosen.
    """

    head: str
    ranks: Ints
    known: Flags
    confidences: Floats
    first: Flags


@dataclass(frozen=True)
class Shown:
    """Some slates of a placement, arrays of shape (slates, size).

    Attributes
    ----------
    slots
        Items; -1 beyond the end.
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
    """What one step showed of the quality of slates."""

    choices: list[Choices] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)


class LiveQuality:
    """Keeps rolling figures.

    Parameters
    ----------
    window
        Choices, and slates, that a figure looks back on.

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
        """Take in what a step showed. Complexity: some microseconds per choice and per slate."""
        for choices in observations.choices:
            self._judge(choices)
        for shown in observations.shown:
            self._look_at(shown)

    def figures(self) -> dict[tuple[str, ...], float]:
        """All figures by name and labels.

        ``hit_rate`` (head, user, depth), ``reciprocal_rank`` (head, user), ``calibration`` (head; what the ranker
        expected of its first candidate over what came true), ``coverage`` (placement; distinct items per place),
        ``inequality`` (placement; Gini coefficient of how often each item shown was shown: 0 if all alike),
        ``novelty`` (placement; mean self-information in bits), ``diversity`` (placement; share of pairs in a slate that
        are of different categories).
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

    def _judge(self, choices: Choices) -> None:
        for rank, known in zip(choices.ranks.tolist(), choices.known.tolist(), strict=True):
            user = "known" if known else "new"
            for depth in DEPTHS:
                self._update(float(0 < rank <= depth), "hit_rate", choices.head, user, str(depth))
            self._update(1.0 / rank if rank else 0.0, "reciprocal_rank", choices.head, user)
        for expected, came_true in zip(choices.confidences.tolist(), choices.first.tolist(), strict=True):
            self._update(expected, "_expected", choices.head)
            self._update(float(came_true), "_true", choices.head)

    def _look_at(self, shown: Shown) -> None:
        coverage = self._coverage.setdefault(shown.placement, _Distinct(20 * self._window))
        filled = shown.slots >= 0
        bits = -np.log2(np.maximum(shown.popularity, 1e-12))
        for row in np.flatnonzero(filled.any(axis=1)).tolist():
            there = filled[row]
            self._update(float(bits[row][there].mean()), "novelty", shown.placement)
            self._update(_diversity(shown.categories[row][there]), "diversity", shown.placement)
            coverage.add(shown.slots[row][there].tolist())


def _diversity(categories: Ints) -> float:
    """Share of the pairs that are of different categories; items without one are like nothing."""
    n = len(categories)
    if n < 2:
        return 1.0
    same = (categories[:, None] == categories[None, :]) & (categories > 0)[:, None]
    return 1.0 - float(same.sum() - np.diag(same).sum()) / (n * (n - 1))


class _Distinct:
    """Distinct numbers among the last so many."""

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
        return len(self._counts) / max(len(self._recent), 1)

    def inequality(self) -> float:
        counts = np.sort(np.fromiter(self._counts.values(), np.float64, len(self._counts)))
        if not len(counts):
            return 0.0
        ranks = np.arange(1, len(counts) + 1)
        return float(2.0 * (ranks * counts).sum() / (len(counts) * counts.sum()) - (len(counts) + 1) / len(counts))
