"""The attribute columns of the item index: what catalogue and events say of items, and each category's newest items."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from processors.common.bounds import MAX_MS
from processors.items.catalogue_fields import MAX_TAGS
from processors.items.labels import Labels
from processors.items.regions import EVERYWHERE, RegionSets
from processors.items.top_k import Slots, TopSlots
from processors.items.view import ItemView, Listing

NEWEST_DEPTH = 24
"""Newest items kept per category."""
PRICE_STEP = 0.25
"""Width of a price step, in the logarithm of one plus the price: from one step to the next prices rise by 28 %."""


class AttributeColumns:
    """Columns of attributes over the slots of an :class:`processors.items.index.ItemIndex`, which writes them.

    Tags and embeddings take memory from the first item on that has any: 64 bytes per slot, and four per number.

    Parameters
    ----------
    embedding_size
        Length of an embedding; embeddings of another length are left out. 0 keeps none.
    max_categories
        Categories told apart, and brands; those that come later count as none.

    Attributes
    ----------
    listed : bool array of shape (capacity,)
        Whether the item has a row in the catalogue.
    available : bool array of the same shape
        False only where the catalogue says so.
    category, brand, supplier : int32 arrays of the same shape
        Number of the item's label, 0 for none.
    margin : float64 array of the same shape
        Share of the price that the shop keeps; NaN if unknown.
    min_age : int16 array of the same shape
        Age in years from which a user may be shown the item; 0 for everybody.
    regions : int32 array of the same shape
        Number of the set of regions that the item may be shown in.
    region_sets : RegionSets
        The sets of regions by their numbers.
    limited : set of int
        Slots of the items with a limit of age or region.
    purchases : float64 array of the same shape
        Number of purchases, all time.
    log_price : float64 array of the same shape
        Logarithm of one plus the price; NaN if unknown.
    price_step : float64 array of the same shape
        ``log_price`` rounded to multiples of :data:`PRICE_STEP`. Similar items are found by it, so that a small change
        of price does not make the cache of them void.
    since : float64 array of the same shape
        When the item was published or first seen, milliseconds since the epoch; 0 if unknown.
    tags : uint16 array of shape (capacity or 0, 32)
        Numbers of the item's tags, 0 beyond the last.
    tag_count : uint8 array of shape (capacity,)
        How many tags the item has.
    embedding : float32 array of shape (capacity or 0, embedding_size)
        Unit vectors of multiples of :data:`processors.items.catalogue_fields.EMBEDDING_STEP`; zeros for an item without
        embedding.
    version : int64 array of shape (categories + 1,)
        Version of each category. It changes with category, brand, price step, tags or embedding of any of its listed
        items, and when one is listed or no longer is. No version is ever used twice.
    categories, brands, suppliers : Labels
        Numbers of the categories, the brands and the suppliers.
    tie : float64 array of the same shape as ``listed``
        Number in [0, 1) that follows from the item's id; it orders equal scores alike in every process.
    listings : int
        Number of listed items.
    bought : float
        Purchases of all items.
    """

    def __init__(self, capacity: int, embedding_size: int, max_categories: int) -> None:
        self._size = embedding_size
        self.categories, self.brands = Labels(max_categories), Labels(max_categories)
        self.suppliers, self._tags = Labels(), Labels()
        self._members: dict[int, set[int]] = {}
        self._newest: dict[int, TopSlots] = {}
        self._changes = 0
        self.listings, self.bought = 0, 0.0
        self.version = np.zeros(max_categories + 1, np.int64)
        self.tags = np.zeros((0, MAX_TAGS), np.uint16)
        self.embedding = np.zeros((0, embedding_size), np.float32)
        self.listed, self.available = np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        self.category, self.brand, self.supplier = (np.zeros(0, np.int32) for _ in range(3))
        self.tie = np.zeros(0)
        self.min_age, self.regions = np.zeros(0, np.int16), np.zeros(0, np.int32)
        self.region_sets, self.limited = RegionSets(), set[int]()
        self.tag_count = np.zeros(0, np.uint8)
        self.margin, self.since, self.purchases = np.zeros(0), np.zeros(0), np.zeros(0)
        self.log_price, self.price_step = np.zeros(0), np.zeros(0)
        self.grow(capacity)

    def grow(self, capacity: int) -> None:
        """Lengthen all columns to ``capacity`` slots."""
        self.listed, self.available = _grown(self.listed, capacity, False), _grown(self.available, capacity, True)
        self.category, self.brand = _grown(self.category, capacity, 0), _grown(self.brand, capacity, 0)
        self.supplier, self.tie = _grown(self.supplier, capacity, 0), _grown(self.tie, capacity, 0.0)
        self.regions = _grown(self.regions, capacity, EVERYWHERE)
        self.min_age, self.since = _grown(self.min_age, capacity, 0), _grown(self.since, capacity, 0.0)
        self.margin, self.tag_count = _grown(self.margin, capacity, np.nan), _grown(self.tag_count, capacity, 0)
        self.purchases = _grown(self.purchases, capacity, 0.0)
        self.log_price = _grown(self.log_price, capacity, np.nan)
        self.price_step = _grown(self.price_step, capacity, np.nan)
        if len(self.tags):
            self.tags = _grown(self.tags, capacity, 0)
        if len(self.embedding):
            self.embedding = _grown(self.embedding, capacity, 0.0)

    @property
    def tag_numbers(self) -> int:
        """How many numbers of tags are in use, counting 0."""
        return len(self._tags) + 1

    def members(self, category: int) -> npt.NDArray[np.int64]:
        """Return the slots of the listed items of a category, available or not, in arbitrary order."""
        found = self._members.get(category, ())
        return np.fromiter(found, np.int64, len(found))

    def newest_in(self, category: int, k: int) -> Slots:
        """Find the ``k`` newest items of a category, the newest first; at most :data:`NEWEST_DEPTH`.

        Unavailable items and those of unknown age are left out.
        """

        def everything() -> Slots:
            of_category = (self.category == category) & (self.listed if category == 0 else True)
            return np.flatnonzero(of_category & self.available & (self.since > 0.0))

        newest = self._newest.get(category) or TopSlots(NEWEST_DEPTH)
        return newest.best(self.since, self.tie, everything)[:k]

    def describe(self, slot: int, view: ItemView, before: ItemView | None) -> None:
        """Write a published item view into the columns.

        Complexity: constant for attributes that did not change.

        Parameters
        ----------
        slot
            The item's slot.
        view
            What was published now.
        before
            What was published of the item before, with or without its embedding; :obj:`None` if nothing was.
        """
        categories = int(self.category[slot]), self.categories.number(view.category)
        self.bought += view.purchases - self.purchases[slot]
        listing, self.purchases[slot] = view.listing, view.purchases
        self._date(slot, float(view.since), listing is None or listing.available, listing is not None, categories)
        if before is None or view.brand != before.brand:
            self.brand[slot] = self.brands.number(view.brand)
        if before is None or view.price != before.price:
            step = _step(view.price)
            self.log_price[slot] = np.nan if view.price is None else math.log1p(view.price)
            self.price_step[slot] = np.nan if step is None else step
        if listing is not None:
            self.supplier[slot] = self.suppliers.number(listing.supplier)
            self.margin[slot] = np.nan if listing.margin is None else listing.margin
            self._limit(slot, listing)
        elif self.listed[slot]:
            self._unlist(slot, categories[0])
            self._forget_rest(slot)
        if listing is not None and (
            before is None or _similarity_key(view) != _similarity_key(before) or not self._embeds(slot, listing)
        ):
            self._list(slot, listing, categories)
        self.category[slot] = categories[1]

    def _limit(self, slot: int, listing: Listing) -> None:
        """Write the item's limits of age and region."""
        self.min_age[slot] = listing.min_age or 0
        self.region_sets.release(int(self.regions[slot]))
        self.regions[slot] = self.region_sets.acquire(listing.regions)
        if self.min_age[slot] or self.regions[slot]:
            self.limited.add(slot)
        else:
            self.limited.discard(slot)

    def _date(self, slot: int, since: float, available: bool, listed: bool, categories: tuple[int, int]) -> None:
        """Write age and availability, and keep the newest items of each category (without category: listed ones)."""
        old, new = categories
        before = (old, self.since[slot], self.available[slot], self.listed[slot])
        if before == (new, since, available, listed):
            return
        if old in self._newest:
            self._newest[old].discard(slot)
        self.since[slot], self.available[slot] = since, available
        if available and 0.0 < since <= MAX_MS and (new or listed):
            self._newest.setdefault(new, TopSlots(NEWEST_DEPTH)).offer(slot, since)

    def _list(self, slot: int, listing: Listing, categories: tuple[int, int]) -> None:
        """Make the item a listed one of its category, with its tags and embedding."""
        old, new = categories
        self._unlist(slot, old)
        self.listed[slot] = True
        self.listings += 1
        self._members.setdefault(new, set()).add(slot)
        self._touch(new)
        if listing.tags and not len(self.tags):
            self.tags = np.zeros((len(self.listed), MAX_TAGS), np.uint16)
        if len(self.tags):
            numbers = sorted({self._tags.number(tag) for tag in listing.tags} - {0})[:MAX_TAGS]
            self.tags[slot] = 0
            self.tags[slot, : len(numbers)] = numbers
            self.tag_count[slot] = len(numbers)
        embedding = self._vector(listing)
        if embedding is not None and not len(self.embedding):
            self.embedding = np.zeros((len(self.listed), self._size), np.float32)
        if len(self.embedding):
            self.embedding[slot] = 0.0 if embedding is None else embedding

    def forget(self, slot: int) -> None:
        """Empty the columns of a slot."""
        category = int(self.category[slot])
        self._date(slot, 0.0, True, False, (category, category))
        self._unlist(slot, category)
        self._forget_rest(slot)
        self.bought -= self.purchases[slot]
        self.category[slot] = self.brand[slot] = self.purchases[slot] = 0
        self.log_price[slot] = self.price_step[slot] = np.nan

    def _forget_rest(self, slot: int) -> None:
        self.supplier[slot] = self.min_age[slot] = 0
        self.region_sets.release(int(self.regions[slot]))
        self.regions[slot] = EVERYWHERE
        self.limited.discard(slot)
        self.margin[slot] = np.nan

    def _unlist(self, slot: int, category: int) -> None:
        """Take an item off the listed ones of its category, and empty its tags and embedding."""
        if not self.listed[slot]:
            return
        self.listed[slot] = False
        self.listings -= 1
        self._members[category].discard(slot)
        self._touch(category)
        if len(self.tags):
            self.tags[slot] = self.tag_count[slot] = 0
        if len(self.embedding):
            self.embedding[slot] = 0.0

    def _touch(self, category: int) -> None:
        self._changes += 1
        self.version[category] = self._changes

    def _vector(self, listing: Listing) -> npt.NDArray[np.float16] | None:
        """Return the embedding; :obj:`None` if there is none, or one of another length than the setting says now."""
        found = listing.embedding
        return np.frombuffer(found, "<f2") if found and len(found) == 2 * self._size else None

    def _embeds(self, slot: int, listing: Listing | None) -> bool:
        """Tell whether the column already holds the embedding."""
        vector = None if listing is None else self._vector(listing)
        if not len(self.embedding):
            return vector is None
        return bool((self.embedding[slot] == (0.0 if vector is None else vector)).all())


def _similarity_key(view: ItemView) -> tuple[object, ...]:
    """Return what similar items are found by, the embedding apart; nothing if the item is not listed."""
    return () if view.listing is None else (view.category, view.brand, _step(view.price), view.listing.tags)


def _step(price: float | None) -> float | None:
    return None if price is None else round(math.log1p(price) / PRICE_STEP) * PRICE_STEP


def _grown(column: npt.NDArray[np.generic], capacity: int, fill: float) -> np.ndarray:
    grown = np.full((capacity, *column.shape[1:]), fill, column.dtype)
    grown[: len(column)] = column
    return grown
