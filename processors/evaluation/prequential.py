"""Prequential evaluation of a finite stream: whether the list made before an event held the event's item.

Every event is predicted first and learned from afterwards, so that all metrics are of predictions. They come in two
variants: ``all`` counts every event; ``new`` counts the events that are their user's first with the item, and judges
them by a list without the items that the user has touched.

Items never touched by anybody, repeated or excluded are removed from a list, and a short list is filled up with the
most popular items so far, so that systems are compared by how they rank, not by how many items they return. An item
that nobody has touched before is a certain miss, but is counted; ``ceiling`` is the highest hit rate possible.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator
from itertools import chain
from typing import NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

DEPTH = 20
"""Positions of a list that count."""

_MISS, _UNSEEN, _NOT_NEW = 0, -1, -2


class Figures(TypedDict):
    """Metrics over the ``n`` events of a segment; nothing but ``n`` if that is zero.

    ``hr10`` and ``hr20`` are hit rates in the first 10 and 20 positions, ``mrr20`` the mean reciprocal rank (0 beyond
    20), ``ndcg10`` the normalised discounted cumulative gain, ``ceiling`` the share of events that a list could hit.
    """

    n: int
    hr10: NotRequired[float]
    hr20: NotRequired[float]
    mrr20: NotRequired[float]
    ndcg10: NotRequired[float]
    ceiling: NotRequired[float]


class Popularity:
    """Items in descending order of how often they were counted; of equals, the one counted first comes first.

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
        """Count an item once more.

        Complexity: a binary search, and moving the items that it overtakes.

        Parameters
        ----------
        item
            Number of the item. The first item counted must be 0, and each new one the next number.
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
    """Follows a stream and keeps the rank of each event's item in the list made before it.

    Memory grows without bound, with the events and the distinct user-item pairs: use it for finite streams only.

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
        """Tell whether the user has not touched the item so far, so that an event counts in the variant ``new``."""
        return self._numbers.get(item) not in self._touched.get(user, ())

    def score(self, user: str, item: str, shown: Iterable[str], discover: Iterable[str]) -> None:
        """Rank an event's item in the lists made for it, then learn the event.

        Parameters
        ----------
        user, item
            User and item of the event.
        shown
            Item ids that the user would have been shown just before the event, best first.
        discover
            The same from a placement for items new to the user; read only if the item is new to the user.
        """
        number = self._numbers.get(item)
        touched = self._touched.get(user, set())
        self._ranks["all"].append(self._rank(number, shown, ()))
        self._ranks["new"].append(_NOT_NEW if number in touched else self._rank(number, discover, touched))
        self.see(user, item)

    def see(self, user: str, item: str) -> None:
        """Learn an event without counting it in any metric, as for a warm-up.

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
        """Return the figures by segment and variant (``all``, ``new``).

        Segments are ``full``, ``last50`` and ``last20``: the whole stream and its last 50 and 20 per cent.
        """
        n = len(self)
        begins = {"full": 0, "last50": n // 2, "last20": int(n * 0.8)}
        ranks = {variant: np.array(column, np.int64) for variant, column in self._ranks.items()}
        return {
            segment: {variant: _figures(column[begin:]) for variant, column in ranks.items()}
            for segment, begin in begins.items()
        }

    def series(self, buckets: int = 60) -> list[dict[str, float]]:
        """Return the figures of at most ``buckets`` consecutive parts of the stream, with the events up to their end.

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
        """Return the rank of an item, from 1, in a list after removals and filling up; 0 or less if it has none."""
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
    """Compute the metrics of ranks as :class:`Prequential` keeps them.

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
