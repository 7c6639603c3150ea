"""The items most alike each item, found when first asked for and remembered until attributes change."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from processors.common.arrays import Floats, Ints
from processors.items.attributes import AttributeColumns
from processors.items.similarity import cosine_with_all, kinship, price_nearness, shared_with_all
from processors.items.similarity_index import COMPARED, SimilarityIndex

REMEMBERED = 16_384
"""Items whose neighbours are remembered; those found first go first."""

_TOGETHER = 512
_TIE = 2.0**-24


class Alike(NamedTuple):
    """Neighbours of several items, most alike first, as arrays of shape (items, k).

    Attributes
    ----------
    slots
        The item's own where there are no more.
    kinship, cosine
        See :mod:`processors.items.similarity`; 0 where there is no neighbour.
    """

    slots: Ints
    kinship: Floats
    cosine: Floats

    def take(self, rows: Ints) -> Alike:
        """Some of the items, or some of them several times."""
        return Alike(self.slots[rows], self.kinship[rows], self.cosine[rows])


class SimilarItems:
    """Finds for listed items the listed items of their categories that are most alike, available or not.

    Most alike has the highest sum of kinship, nearness of price step, and cosine; equals are ordered by the hash of
    their ids. So neither stock nor small changes of price, which shops have all the time, make what is remembered
    obsolete.

    Complexity: of an item that is remembered, constant. Of another, comparisons with its category, or with
    2 x :data:`processors.items.similarity_index.COMPARED` items of a larger one, each as dear as tags and embedding are
    long. A change of any other fact of an item has those of its category found anew, each when it is asked for next,
    and the category sorted once. Memory: 24 bytes times ``k`` for each of the :data:`REMEMBERED`, and a slot per listed
    item.

    Parameters
    ----------
    k
        Neighbours per item.
    """

    def __init__(self, k: int) -> None:
        self._k = k
        self._attributes: AttributeColumns | None = None

    def of(self, slots: Ints, attributes: AttributeColumns) -> Alike:
        """Neighbours of listed items. What is remembered changes nothing but the time it takes."""
        if attributes is not self._attributes:
            self._begin(attributes)
        self._cover(len(attributes.tie))
        asked, where = np.unique(slots, return_inverse=True)
        rows = self._row[asked]
        known = (rows >= 0) & (self._version[rows] == attributes.version[attributes.category[asked]])
        found = self._found.take(rows)
        missing = np.flatnonzero(~known)
        if len(missing):
            new = self._find(asked[missing], attributes)
            for part, values in zip(found, new, strict=True):
                part[missing] = values
            self._remember(asked[missing], new, attributes)
        return found.take(where)

    def _begin(self, attributes: AttributeColumns) -> None:
        self._attributes = attributes
        self._indexes: dict[int, SimilarityIndex] = {}
        self._found = Alike(
            np.zeros((REMEMBERED, self._k), np.int64), np.zeros((REMEMBERED, self._k)), np.zeros((REMEMBERED, self._k))
        )
        self._version = np.full(REMEMBERED, -1, np.int64)
        self._owner = np.full(REMEMBERED, -1, np.int64)
        self._row = np.full(0, -1, np.int64)
        self._next = 0

    def _cover(self, capacity: int) -> None:
        if len(self._row) < capacity:
            self._row = np.append(self._row, np.full(capacity - len(self._row), -1, np.int64))

    def _remember(self, slots: Ints, found: Alike, attributes: AttributeColumns) -> None:
        slots = slots[:REMEMBERED]
        strange = np.flatnonzero(self._row[slots] < 0)
        places = (self._next + np.arange(len(strange))) % REMEMBERED
        self._next = (self._next + len(strange)) % REMEMBERED
        before = self._owner[places]
        self._row[before[before >= 0]] = -1
        self._row[slots[strange]] = places
        self._owner[places] = slots[strange]
        # One that was known, but not as it is now, may just have lost its place to a strange one.
        kept = np.flatnonzero(self._row[slots] >= 0)
        rows = self._row[slots[kept]]
        for part, values in zip(self._found, found, strict=True):
            part[rows] = values[kept]
        self._version[rows] = attributes.version[attributes.category[slots[kept]]]

    def _find(self, slots: Ints, attributes: AttributeColumns) -> Alike:
        n = len(slots)
        found = Alike(np.repeat(slots[:, None], self._k, axis=1), np.zeros((n, self._k)), np.zeros((n, self._k)))
        categories = attributes.category[slots]
        for category in np.unique(categories).tolist():
            index = self._index_of(category, attributes)
            mine = np.flatnonzero(categories == category)
            at_once = _TOGETHER if len(index.slots) <= COMPARED else 1
            for begin in range(0, len(mine), at_once):
                rows = mine[begin : begin + at_once]
                self._compare(rows, slots[rows], index.pool(attributes, int(slots[rows[0]])), attributes, found)
        return found

    def _index_of(self, category: int, attributes: AttributeColumns) -> SimilarityIndex:
        index = self._indexes.get(category)
        if index is None or index.version != attributes.version[category]:
            index = self._indexes[category] = SimilarityIndex(attributes, category)
        return index

    def _compare(self, rows: Ints, slots: Ints, pool: Ints, attributes: AttributeColumns, found: Alike) -> None:
        """Write the neighbours of the slots, which all have the same pool, into the rows."""
        kin = kinship(attributes, slots[:, None], pool[None, :], shared_with_all(attributes, slots, pool))
        cosine = cosine_with_all(attributes, slots, pool)
        prices = attributes.price_step
        score = kin + price_nearness(prices[slots][:, None], prices[pool]) + cosine
        score = np.where((score > 0.0) & (pool != slots[:, None]), score + _TIE * attributes.tie[pool], 0.0)
        k = min(self._k, len(pool))
        best = np.argpartition(-score, k - 1, axis=1)[:, :k] if k else np.zeros((len(rows), 0), np.int64)
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(score, best, axis=1), axis=1), axis=1)
        there = np.take_along_axis(score, best, axis=1) > 0.0
        found.slots[rows, :k] = np.where(there, pool[best], slots[:, None])
        found.kinship[rows, :k] = np.where(there, np.take_along_axis(kin, best, axis=1), 0.0)
        found.cosine[rows, :k] = np.where(there, np.take_along_axis(cosine, best, axis=1), 0.0)
