"""Popularity of items: decayed visits (trends) and all visits as columns, and the most popular items by each."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Floats
from processors.items.attributes import AttributeColumns
from processors.items.top_k import Slots, TopSlots
from processors.items.view import NO_ENTRIES, ItemView

POPULAR_DEPTH = 100
"""Most popular items kept."""

CATEGORY_DEPTH = 32
"""Most popular items kept per category."""

NO_TREND = -1e9
"""Trend of a slot of which nothing is published yet."""

_SCALES = 3


class Popularity:
    """Columns of popularity over the slots of an :class:`processors.items.index.ItemIndex`, which writes them.

    Parameters
    ----------
    attributes
        Attribute columns over the same slots, for the categories and the order of equals.
    max_categories
        Categories told apart.

    Attributes
    ----------
    trends : float64 array of shape (3, capacity)
        Log2 of the decayed visits, one row per half-life, the shortest first; :data:`NO_TREND` where unknown.
    trend : float64 array of shape (capacity,)
        The row of the middle half-life, by which items are evicted.
    visits : float64 array of shape (capacity,)
        Number of visits, all time.
    entries : float64 array of shape (capacity,)
        As the trend, of visits that were the first of a session; :data:`processors.items.view.NO_ENTRIES` if none was.
    category_trend : float64 array of shape (max_categories + 1,)
        Highest trend of any item so far in each category; it never falls.
    visited : dict of int to int
        By category, 0 for none: the number of items that were visited.
    total : float
        Visits of all items: a whole number, so that it is exact whatever the order of the changes.
    """

    def __init__(self, attributes: AttributeColumns, max_categories: int) -> None:
        self._attributes = attributes
        self._trending = [TopSlots(POPULAR_DEPTH) for _ in range(_SCALES)]
        self._visited = TopSlots(POPULAR_DEPTH)
        self._entered = TopSlots(POPULAR_DEPTH)
        self._in_category: dict[int, TopSlots] = {}
        self.category_trend = np.full(max_categories + 1, NO_TREND)
        self.trends: Floats = np.full((_SCALES, 0), NO_TREND)
        self.trend: Floats = self.trends[1]
        self.visits: Floats = np.zeros(0)
        self.entries: Floats = np.zeros(0)
        self.total = 0.0
        self.visited: dict[int, int] = {}

    def grow(self, capacity: int) -> None:
        """Lengthen the columns to ``capacity`` slots."""
        trends = np.full((_SCALES, capacity), NO_TREND)
        trends[:, : self.trends.shape[1]] = self.trends
        visits, entries = np.zeros(capacity), np.full(capacity, NO_ENTRIES)
        visits[: len(self.visits)], entries[: len(self.entries)] = self.visits, self.entries
        self.entries = entries
        self.trends, self.trend, self.visits = trends, trends[1], visits

    def put(self, slot: int, view: ItemView, category_before: int) -> None:
        """Write a published item view into the columns. Write its attributes first: its category is read from them.

        Parameters
        ----------
        slot
            The item's slot.
        view
            What was published of it.
        category_before
            Number of the category that it had before.
        """
        self.total += view.visits - self.visits[slot]
        self._count(category_before, -1 if self.visits[slot] > 0.0 else 0)
        self.trends[:, slot], self.visits[slot] = view.trends, view.visits
        self.entries[slot] = view.entries
        if view.visits:
            for top, trend in zip(self._trending, view.trends, strict=True):
                top.offer(slot, trend)
            self._visited.offer(slot, view.visits)
        if view.entries > NO_ENTRIES:
            self._entered.offer(slot, view.entries)
        category = int(self._attributes.category[slot])
        self._count(category, 1 if view.visits else 0)
        if category_before != category:
            self._discard_from(category_before, slot)
        if category and view.visits:
            self._in_category.setdefault(category, TopSlots(CATEGORY_DEPTH)).offer(slot, view.trends[1])
            self.category_trend[category] = max(self.category_trend[category], view.trends[1])

    def forget(self, slot: int) -> None:
        """Empty the columns of a slot. Call it before the slot's attributes are emptied: its category is read there."""
        for top in self._trending:
            top.discard(slot)
        self._visited.discard(slot)
        self._entered.discard(slot)
        self._discard_from(int(self._attributes.category[slot]), slot)
        self.total -= self.visits[slot]
        self._count(int(self._attributes.category[slot]), -1 if self.visits[slot] > 0.0 else 0)
        self.trends[:, slot], self.visits[slot], self.entries[slot] = NO_TREND, 0.0, NO_ENTRIES

    def trending(self, k: int, scale: int = 1) -> Slots:
        """Find the ``k`` items with the highest trend, highest first; at most :data:`POPULAR_DEPTH`.

        ``scale`` chooses among the half-lives, the shortest being 0.
        """
        return self._trending[scale].best(self.trends[scale], self._attributes.tie, self._visited_ones)[:k]

    def most_visited(self, k: int) -> Slots:
        """Find the ``k`` items with the most visits ever; at most :data:`POPULAR_DEPTH`."""
        return self._visited.best(self.visits, self._attributes.tie, self._visited_ones)[:k]

    def entering(self, k: int) -> Slots:
        """Find the ``k`` items that most sessions begin with lately, highest first; at most :data:`POPULAR_DEPTH`."""
        return self._entered.best(self.entries, self._attributes.tie, self._entered_ones)[:k]

    def tops(self) -> Floats:
        """Return the greatest figure of each kind; 0, but 1 for visits, without items.

        The trend at each time scale, then the number of visits, then the trend of first visits of sessions.
        """
        tops = np.array([0.0, 0.0, 0.0, 1.0, 0.0])
        for scale, trends in enumerate(self.trends):
            top = self.trending(1, scale)
            if len(top):
                tops[scale] = trends[top[0]]
        most = self.most_visited(1)
        if len(most):
            tops[3] = self.visits[most[0]]
        first = self.entering(1)
        if len(first):
            tops[4] = self.entries[first[0]]
        return tops

    def in_category(self, category: int, k: int) -> Slots:
        """Find the ``k`` items of a category with the highest trend; at most :data:`CATEGORY_DEPTH`."""
        top = self._in_category.get(category) or TopSlots(CATEGORY_DEPTH)
        attributes = self._attributes
        return top.best(self.trend, attributes.tie, lambda: self._visited_ones(attributes.category == category))[:k]

    def upper_half(self, category: int | None = None) -> int:
        """Return how many items are in the upper half of those visited: of a category, or of all."""
        number = sum(self.visited.values()) if category is None else self.visited.get(category, 0)
        return (number + 1) // 2

    def _count(self, category: int, change: int) -> None:
        if change:
            self.visited[category] = self.visited.get(category, 0) + change

    def _entered_ones(self) -> Slots:
        return np.flatnonzero(self.entries > NO_ENTRIES)

    def _visited_ones(self, of: npt.NDArray[np.bool_] | bool = True) -> Slots:
        return np.flatnonzero((self.visits > 0.0) & of)

    def _discard_from(self, category: int, slot: int) -> None:
        if category in self._in_category:
            self._in_category[category].discard(slot)
