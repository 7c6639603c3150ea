"""The similarity index of a category: which of its items an item is compared with, all of few, the likely of many."""

from __future__ import annotations

import numpy as np

from processors.common.arrays import Ints
from processors.items.attributes import AttributeColumns
from processors.items.similarity import Vectors

COMPARED = 1024
"""Largest category in which all items are compared; in a larger one, so many by price and as many by embedding."""
_PER_BUCKET = 256
_MOST_BITS = 12


class SimilarityIndex:
    """The listed items of one category, as of one version of its attributes.

    In a large category an item is compared with those of the nearest prices, and with those whose embeddings lie on the
    same side of all, or all but one, of a few random hyperplanes.

    Complexity: sorting the category to make one; constant to ask it.

    Parameters
    ----------
    attributes
        Attribute columns of all items, of which no reference is kept.
    category
        Number of the category.

    Attributes
    ----------
    version : int
        Version of the category that the index was made from; the index is out of date once the columns have another.
    slots : int64 array
        Slots of the listed items, by price step.

    References
    ----------
    M. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002; the planes are those of
    D. Achlioptas, "Database-friendly random projections", PODS 2001.
    """

    def __init__(self, attributes: AttributeColumns, category: int) -> None:
        self.version = int(attributes.version[category])
        slots = attributes.members(category)
        prices = np.nan_to_num(attributes.price_step[slots], nan=np.inf)
        order = np.lexsort((attributes.tie[slots], prices))
        self.slots, self._prices = slots[order], prices[order]
        self._bits = 0
        if len(slots) > COMPARED and len(attributes.embedding):
            self._bits = min(_MOST_BITS, (len(slots) // _PER_BUCKET).bit_length())
            codes = _codes(attributes.embedding[self.slots], self._bits)
            codes[~attributes.embedding[self.slots].any(axis=1)] = 1 << self._bits
            by_code = np.argsort(codes, kind="stable")
            self._in_buckets, self._codes = self.slots[by_code], codes[by_code]

    def pool(self, attributes: AttributeColumns, slot: int) -> Ints:
        """Return the slots to compare an item with, in the same order of items in every process.

        Parameters
        ----------
        attributes
            The columns that the index was made from.
        slot
            The item's slot; it may be among those returned.
        """
        if len(self.slots) <= COMPARED:
            return self.slots
        price = np.nan_to_num(attributes.price_step[slot], nan=np.inf)
        equal = [int(np.searchsorted(self._prices, price, side)) for side in ("left", "right")]
        middle = sum(equal) // 2
        begin = min(max(0, middle - COMPARED // 2), len(self.slots) - COMPARED)
        near = self.slots[begin : begin + COMPARED]
        if not self._bits or not attributes.embedding[slot].any():
            return near
        both = np.union1d(near, self._bucket(attributes.embedding[slot]))
        return both[np.argsort(attributes.tie[both])]

    def _bucket(self, embedding: Vectors) -> Ints:
        own = int(_codes(embedding[None, :], self._bits)[0])
        probes = np.array([own, *(own ^ 1 << bit for bit in range(self._bits))])
        begins, ends = np.searchsorted(self._codes, probes), np.searchsorted(self._codes, probes, side="right")
        found = [self._in_buckets[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        return np.concatenate(found)[:COMPARED]


def _codes(embeddings: Vectors, bits: int) -> Ints:
    """Return on which sides of ``bits`` fixed hyperplanes embeddings lie, one bit each."""
    # Normals of ones and minus ones keep the sums exact: an embedding's code does not depend on the others beside it.
    planes = np.random.default_rng(0).integers(0, 2, (_MOST_BITS, embeddings.shape[1])) * 2.0 - 1.0
    sides = embeddings @ planes[:bits].T.astype(embeddings.dtype) > 0.0
    return np.asarray(sides @ (1 << np.arange(bits)), np.int64)
