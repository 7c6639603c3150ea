"""Prequential evaluation: whether the list shown before an event held the item it touched.

Every event is a question first and a lesson afterwards, so each figure speaks of predictions only. An event counts in
one variant or two: ``all`` takes every event, ``new`` those whose user meets the item for the first time, and judges
them by a list without anything the user has touched.

A list is cleaned of what was never seen, repeats itself or is excluded, and a short one is filled up with the most
popular items so far, so that systems are compared by how they rank, not by how much they return. An item that nobody
has touched before is a certain miss; it stays in the denominator, and ``ceiling`` is what a clairvoyant would reach.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

DEPTH = 20
"""Places of a list that are looked at."""

_MISS, _UNSEEN, _NOT_NEW = 0, -1, -2


class Figures(TypedDict):
    """Metrics over the ``n`` events of a segment; nothing but ``n`` if that is zero.

    ``hr10``, ``hr20`` are hit rates, ``mrr20`` the mean reciprocal rank, ``ndcg10`` the discounted gain, ``ceiling``
    the share of the events that any list could have hit.
    """

    n: int
    hr10: NotRequired[float]
    hr20: NotRequired[float]
    mrr20: NotRequired[float]
    ndcg10: NotRequired[float]
    ceiling: NotRequired[float]


class Popularity:
    """Items in the exact order of how often they were counted; of equals, the one counted first comes first.

    Examples
    --------
    >>> popularity = Popularity()
    >>> for item in (0, 1, 2, 2):
    ...     popularity.count(item)
    >>> list(popularity)
    [2, 0, 1]
    """

    def __init__(self) -> None:
        self._counts: list[int] = []
        self._order: list[int] = []

    def __iter__(self) -> Iterator[int]:
        return (key & 0xFFFFFFFF for key in self._order)

    def count(self, item: int) -> None:
        """Count an item once more. Items are numbered from 0 in the order in which they first come.

        Complexity: a binary search, and a move of the items it overtakes.
        """
        if item == len(self._counts):
            self._counts.append(0)
        else:
            del self._order[bisect_left(self._order, _key(self._counts[item], item))]
        self._counts[item] += 1
        insort(self._order, _key(self._counts[item], item))


def _key(count: int, item: int) -> int:
    return -count << 32 | item


class Prequential:
    """Follows a stream and keeps the rank at which each event's item stood.

    Memory grows with the distinct user-item pairs: this is for finite streams.

    Examples
    --------
    >>> stream = Prequential()
    >>> stream.score("u", "tent", [], [])
    >>> stream.score("u", "lamp", ["tent"], [])
    >>> stream.score("v", "lamp", ["stove", "tent", "tent", "lamp"], ["lamp"])
    >>> figures = stream.result()["full"]
    >>> figures["all"]["n"], figures["all"]["mrr20"], figures["new"]["mrr20"]
    (3, 0.16666666666666666, 0.3333333333333333)
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._touched: dict[str, set[int]] = {}
        self._popularity = Popularity()
        self._ranks = {"all": array("h"), "new": array("h")}

    def __len__(self) -> int:
        return len(self._ranks["all"])

    def first_time(self, user: str, item: str) -> bool:
        """Whether the user has not touched the item so far, so that the event counts as ``new``."""
        return self._numbers.get(item) not in self._touched.get(user, ())

    def score(self, user: str, item: str, shown: Iterable[str], discover: Iterable[str]) -> None:
        """Judge the lists for an event, then count the event as seen.

        Parameters
        ----------
        user, item
            Of the event.
        shown
            What the user would have been shown just before, best first.
        discover
            The same without what the user has touched; looked at only if the event is a first-time one.
        """
        number = self._numbers.get(item)
        touched = self._touched.get(user, set())
        self._ranks["all"].append(self._rank(number, shown, ()))
        self._ranks["new"].append(_NOT_NEW if number in touched else self._rank(number, discover, touched))
        self.see(user, item)

    def see(self, user: str, item: str) -> None:
        """Count an event as seen without judging anything by it.

        Examples
        --------
        >>> stream = Prequential()
        >>> stream.see("u", "tent")
        >>> len(stream), stream.first_time("u", "tent")
        (0, False)
        """
        number = self._numbers.setdefault(item, len(self._numbers))
        self._touched.setdefault(user, set()).add(number)
        self._popularity.count(number)

    def result(self) -> dict[str, dict[str, Figures]]:
        """Figures per segment (``full``, ``last50``, ``last20``) and variant (``all``, ``new``)."""
        n = len(self)
        begins = {"full": 0, "last50": n // 2, "last20": int(n * 0.8)}
        ranks = {variant: np.array(column, np.int64) for variant, column in self._ranks.items()}
        return {
            segment: {variant: _figures(column[begin:]) for variant, column in ranks.items()}
            for segment, begin in begins.items()
        }

    def series(self, buckets: int = 60) -> list[dict[str, float]]:
        """Figures of consecutive parts of the stream, each with the number of events up to its end.

        Examples
        --------
        >>> stream = Prequential()
        >>> for item in ("tent", "lamp", "lamp", "lamp"):
        ...     stream.score("u", item, ["lamp"], [])
        >>> [(point["events"], point["hr20"]) for point in stream.series(2)]
        [(2.0, 0.0), (4.0, 1.0)]
        """
        ranks = {variant: np.array(column, np.int64) for variant, column in self._ranks.items()}
        points = []
        for part in np.array_split(np.arange(len(self)), min(buckets, max(len(self), 1))):
            if len(part):
                found, new = (_figures(ranks[variant][part]) for variant in ("all", "new"))
                point = {"events": float(part[-1] + 1)}
                point.update({name: found[name] for name in ("hr20", "mrr20", "ceiling")})
                if new["n"]:
                    point.update({f"{name}_new": new[name] for name in ("hr20", "mrr20")})
                points.append(point)
        return points

    def _rank(self, wanted: int | None, listed: Iterable[str], excluded: Collection[int]) -> int:
        """Rank of an item in a list once that is cleaned and filled up; the first is 1."""
        if wanted is None:
            return _UNSEEN
        known = (self._numbers[item] for item in listed if item in self._numbers)
        met: set[int] = set()
        for number in chain(known, self._popularity):
            if number not in excluded:
                met.add(number)
                if number == wanted:
                    return len(met)
                if len(met) == DEPTH:
                    break
        return _MISS


def _figures(ranks: npt.NDArray[np.int64]) -> Figures:
    """Metrics over ranks as :class:`Prequential` keeps them.

    Examples
    --------
    >>> _figures(np.array([1, 3, 20, _MISS, _NOT_NEW]))
    {'n': 4, 'hr10': 0.5, 'hr20': 0.75, 'mrr20': 0.3458333333333333, 'ndcg10': 0.375, 'ceiling': 1.0}
    >>> _figures(np.array([], np.int64))
    {'n': 0}
    """
    ranks = ranks[ranks != _NOT_NEW]
    n = len(ranks)
    if not n:
        return {"n": 0}
    hits = ranks[ranks > 0].astype(np.float64)
    early = hits[hits <= 10]
    return {
        "n": n,
        "hr10": len(early) / n,
        "hr20": len(hits) / n,
        "mrr20": float(np.sum(1.0 / hits)) / n,
        "ndcg10": float(np.sum(1.0 / np.log2(early + 1.0))) / n,
        "ceiling": float(np.mean(ranks != _UNSEEN)),
    }
