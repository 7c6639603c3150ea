"""The most similar items of an item, found when first asked for and cached until attributes of its category change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from processors.common.arrays import Floats, Ints
from processors.items.attributes import AttributeColumns
from processors.items.similarity import attribute_similarity, cosine_with_all, price_nearness, shared_with_all
from processors.items.similarity_index import COMPARED, SimilarityIndex

REMEMBERED = 16_384
"""Items whose neighbours are cached; those found first are dropped first."""

_COMPARED_AT_ONCE = 512
_TIE = 2.0**-24


class MostSimilar(NamedTuple):
    """Neighbours of several items, the most similar first, as arrays of shape (items, k).

    Attributes
    ----------
    slots
        Slots of the neighbours; the item's own slot where there are no more.
    attribute_similarity, cosine
        Similarities of the two items (:mod:`processors.items.similarity`); 0 where there is no neighbour.
    """

    slots: Ints
    attribute_similarity: Floats
    cosine: Floats

    def take(self, rows: Ints) -> MostSimilar:
        """Return the neighbours of some of the items, which may repeat, by their row."""
        return MostSimilar(self.slots[rows], self.attribute_similarity[rows], self.cosine[rows])


class SimilarItems:
    """Finds for listed items the most similar listed items of their categories, available or not.

    The most similar has the highest sum of attribute similarity, nearness of price step, and cosine; equals are ordered
    by the hash of their ids. Stock and small changes of price, which shops have all the time, leave the cache valid.

    Complexity: constant for a cached item. Else it is compared with its category, or with
    2 x :data:`processors.items.similarity_index.COMPARED` items of a larger one, each in time linear in tags and
    embedding. Any other change of an item's attributes voids the cache for its category: the category is sorted once,
    and each item compared again when asked for. Memory: 24 bytes times ``k`` for each of the :data:`REMEMBERED`, and a
    slot per listed item.

    Parameters
    ----------
    k
        Neighbours per item.
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self._attributes: AttributeColumns | None = None

    def of(self, slots: Ints, attributes: AttributeColumns) -> MostSimilar:
        """Find the neighbours of listed items. The cache changes nothing but the time it takes.

        Parameters
        ----------
        slots
            Slots of listed items, which may repeat.
        attributes
            The attribute columns; other columns than at the last call empty the cache.
        """
        if attributes is not self._attributes:
            self._begin(attributes)
        self._cover(len(attributes.tie))
        rows = self._row[slots]
        if ((rows >= 0) & (self._version[rows] == attributes.version[attributes.category[slots]])).all():
            return self._found.take(rows)
        asked, where = np.unique(slots, return_inverse=True)
        rows = self._row[asked]
        known = (rows >= 0) & (self._version[rows] == attributes.version[attributes.category[asked]])
        found = self._found.take(rows)
        missing = np.flatnonzero(~known)
        if len(missing):
            new = self._find(asked[missing], attributes)
            for part, values in zip(found, new, strict=True):
                part[missing] = values
            self._cache(asked[missing], new, attributes)
        return found.take(where)

    def _begin(self, attributes: AttributeColumns) -> None:
        self._attributes = attributes
        self._indexes: dict[int, SimilarityIndex] = {}
        self._found = MostSimilar(
            np.zeros((REMEMBERED, self._k), np.int64), np.zeros((REMEMBERED, self._k)), np.zeros((REMEMBERED, self._k))
        )
        self._version = np.full(REMEMBERED, -1, np.int64)
        self._owner = np.full(REMEMBERED, -1, np.int64)
        self._row = np.full(0, -1, np.int64)
        self._next = 0

    def _cover(self, capacity: int) -> None:
        if len(self._row) < capacity:
            self._row = np.append(self._row, np.full(capacity - len(self._row), -1, np.int64))

    def _cache(self, slots: Ints, found: MostSimilar, attributes: AttributeColumns) -> None:
        slots = slots[:REMEMBERED]
        uncached = np.flatnonzero(self._row[slots] < 0)
        free_rows = (self._next + np.arange(len(uncached))) % REMEMBERED
        self._next = (self._next + len(uncached)) % REMEMBERED
        before = self._owner[free_rows]
        self._row[before[before >= 0]] = -1
        self._row[slots[uncached]] = free_rows
        self._owner[free_rows] = slots[uncached]
        # A cached item that is out of date may just have lost its row to one that was not cached.
        kept = np.flatnonzero(self._row[slots] >= 0)
        rows = self._row[slots[kept]]
        for part, values in zip(self._found, found, strict=True):
            part[rows] = values[kept]
        self._version[rows] = attributes.version[attributes.category[slots[kept]]]

    def _find(self, slots: Ints, attributes: AttributeColumns) -> MostSimilar:
        n = len(slots)
        found = MostSimilar(np.repeat(slots[:, None], self._k, axis=1), np.zeros((n, self._k)), np.zeros((n, self._k)))
        categories = attributes.category[slots]
        for category in np.unique(categories).tolist():
            index = self._index_of(category, attributes)
            mine = np.flatnonzero(categories == category)
            at_once = _COMPARED_AT_ONCE if len(index.slots) <= COMPARED else 1
            for begin in range(0, len(mine), at_once):
                rows = mine[begin : begin + at_once]
                self._compare(rows, slots[rows], index.pool(attributes, int(slots[rows[0]])), attributes, found)
        return found

    def _index_of(self, category: int, attributes: AttributeColumns) -> SimilarityIndex:
        index = self._indexes.get(category)
        if index is None or index.version != attributes.version[category]:
            index = self._indexes[category] = SimilarityIndex(attributes, category)
        return index

    def _compare(self, rows: Ints, slots: Ints, pool: Ints, attributes: AttributeColumns, found: MostSimilar) -> None:
        """Compare items with a pool that they share, and write their neighbours into rows of ``found``."""
        similarity = attribute_similarity(
            attributes, slots[:, None], pool[None, :], shared_with_all(attributes, slots, pool)
        )
        cosine = cosine_with_all(attributes, slots, pool)
        prices = attributes.price_step
        score = similarity + price_nearness(prices[slots][:, None], prices[pool]) + cosine
        score = np.where((score > 0.0) & (pool != slots[:, None]), score + _TIE * attributes.tie[pool], 0.0)
        k = min(self._k, len(pool))
        best = np.argpartition(-score, k - 1, axis=1)[:, :k] if k else np.zeros((len(rows), 0), np.int64)
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(score, best, axis=1), axis=1), axis=1)
        there = np.take_along_axis(score, best, axis=1) > 0.0
        found.slots[rows, :k] = np.where(there, pool[best], slots[:, None])
        found.attribute_similarity[rows, :k] = np.where(there, np.take_along_axis(similarity, best, axis=1), 0.0)
        found.cosine[rows, :k] = np.where(there, np.take_along_axis(cosine, best, axis=1), 0.0)
