"""What the read model holds of the catalogue: columns of attributes, who is alike whom in what, and what is new."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from processors.common.bounds import MAX_MS
from processors.items.catalogue_fields import MAX_TAGS
from processors.items.regions import EVERYWHERE, RegionSets
from processors.items.top_k import Slots, TopSlots
from processors.items.view import ItemView, Listing

NEWEST_DEPTH = 24
"""New items of a category that can be asked for."""
MAX_LABELS = 65_535
"""Suppliers told apart, and tags; those that come later count as none."""
PRICE_STEP = 0.25
"""Of the logarithm of one plus the price: three quarters of a price to the price."""


class Labels:
    """Numbers for labels, from 1 on; 0 stands for none, and for every label beyond the bound.

    A number is never given to another label: columns refer to it.

    Examples
    --------
    >>> labels = Labels(limit=1)
    >>> labels.number("aster"), labels.number("halden"), labels.number(None), labels.number("aster")
    (1, 0, 0, 1)
    """

    def __init__(self, limit: int = MAX_LABELS) -> None:
        self._limit = limit
        self._numbers: dict[str, int] = {}

    def number(self, label: str | None) -> int:
        """Number of a label. Constant time."""
        if label is None:
            return 0
        found = self._numbers.get(label)
        if found is None:
            if len(self._numbers) >= self._limit:
                return 0
            found = self._numbers[label] = len(self._numbers) + 1
        return found

    def known(self, labels: Iterable[str]) -> list[int]:
        """Numbers of labels; those that were never met are left out."""
        return [self._numbers[label] for label in labels if label in self._numbers]

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def numbers(self) -> int:
        """Numbers in use, 0 for none among them."""
        return len(self._numbers) + 1


class AttributeColumns:
    """Columns of attributes over the slots of an :class:`processors.items.index.ItemIndex`, which writes them.

    Tags and embeddings take memory from the first item on that has any: 64 bytes per slot, and four per number.

    Parameters
    ----------
    embedding_size
        Numbers of an embedding; others are left out. 0 for none at all.
    max_categories
        Bound on the numbers of categories, and on the brands told apart.

    Attributes
    ----------
    listed : bool array of shape (capacity,)
        Whether the item has a row in the catalogue.
    available : bool array of the same shape
        False only where the catalogue says so.
    category, brand, supplier : int32 arrays of the same shape
        Numbers of the labels, 0 for none.
    margin : float64 array of the same shape
        NaN if unknown.
    min_age : int16 array of the same shape
        Years, 0 for everybody.
    regions : int32 array of the same shape
        Number of the set of regions that it may be shown in.
    region_sets : RegionSets
        Those sets.
    limited : set of int
        Slots of the items that not everybody may be shown.
    purchases : float64 array of the same shape
        All purchases ever.
    log_price : float64 array of the same shape
        Logarithm of one plus the price; NaN if unknown.
    price_step : float64 array of the same shape
        The same, rounded to quarters, so that what rests on it outlives small changes of the price.
    since : float64 array of the same shape
        Since when there is the item, milliseconds since the epoch; 0 if unknown.
    tags : uint16 array of shape (capacity or 0, 32)
        Numbers of the tags, 0 beyond the last.
    tag_count : uint8 array of shape (capacity,)
        How many there are.
    embedding : float32 array of shape (capacity or 0, embedding_size)
        Of length one, multiples of :data:`processors.items.catalogue_fields.EMBEDDING_STEP`; zeros if there is none.
    version : int64 array of shape (categories + 1,)
        Of each category; another one after every change of category, brand, price step, tags or embedding of one of its
        listed items, and when one is listed or no longer is. No two ever agree.
    categories, brands, suppliers : Labels
        Of the categories, the brands and the suppliers.
    tie : float64 array of the same shape as ``listed``
        In [0, 1), from the item's id: puts equals in one order in every process.
    listings : int
        How many items are listed.
    """

    def __init__(self, capacity: int, embedding_size: int, max_categories: int) -> None:
        self._size = embedding_size
        self.categories, self.brands = Labels(max_categories), Labels(max_categories)
        self.suppliers, self._tags = Labels(), Labels()
        self._members: dict[int, set[int]] = {}
        self._newest: dict[int, TopSlots] = {}
        self._changes = 0
        self.listings = 0
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
        """Make room for more slots."""
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
        """Numbers of tags there are, 0 for none among them."""
        return len(self._tags) + 1

    def members(self, category: int) -> npt.NDArray[np.int64]:
        """Slots of the listed items of a category, available or not, in no order that means anything."""
        found = self._members.get(category, ())
        return np.fromiter(found, np.int64, len(found))

    def newest_in(self, category: int, k: int) -> Slots:
        """Find the ``k`` items of a category that there are for the shortest time, the latest first.

        At most :data:`NEWEST_DEPTH`; unavailable items and those of unknown age are left out.
        """

        def everything() -> Slots:
            of_category = (self.category == category) & (self.listed if category == 0 else True)
            return np.flatnonzero(of_category & self.available & (self.since > 0.0))

        newest = self._newest.get(category) or TopSlots(NEWEST_DEPTH)
        return newest.best(self.since, self.tie, everything)[:k]

    def describe(self, slot: int, view: ItemView, before: ItemView | None) -> None:
        """Take over what was published of an item.

        Complexity: constant for what did not change since the last time.

        Parameters
        ----------
        before
            What had been published; its embedding does not matter.
        """
        categories = int(self.category[slot]), self.categories.number(view.category)
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
        if listing is not None and (before is None or _kind(view) != _kind(before) or not self._embeds(slot, listing)):
            self._list(slot, listing, categories)
        self.category[slot] = categories[1]

    def _limit(self, slot: int, listing: Listing) -> None:
        self.min_age[slot] = listing.min_age or 0
        self.region_sets.give_back(int(self.regions[slot]))
        self.regions[slot] = self.region_sets.take(listing.regions)
        if self.min_age[slot] or self.regions[slot]:
            self.limited.add(slot)
        else:
            self.limited.discard(slot)

    def _date(self, slot: int, since: float, available: bool, listed: bool, categories: tuple[int, int]) -> None:
        """Keep the latest items of each category, and of those without one the listed ones."""
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
        self.category[slot] = self.brand[slot] = self.purchases[slot] = 0
        self.log_price[slot] = self.price_step[slot] = np.nan

    def _forget_rest(self, slot: int) -> None:
        self.supplier[slot] = self.min_age[slot] = 0
        self.region_sets.give_back(int(self.regions[slot]))
        self.regions[slot] = EVERYWHERE
        self.limited.discard(slot)
        self.margin[slot] = np.nan

    def _unlist(self, slot: int, category: int) -> None:
        """Take over that an item has no row any more, or not this one."""
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
        """The embedding; none if it is not of the size there is now, which a setting decides."""
        found = listing.embedding
        return np.frombuffer(found, "<f2") if found and len(found) == 2 * self._size else None

    def _embeds(self, slot: int, listing: Listing | None) -> bool:
        """Whether the column already holds the embedding."""
        vector = None if listing is None else self._vector(listing)
        if not len(self.embedding):
            return vector is None
        return bool((self.embedding[slot] == (0.0 if vector is None else vector)).all())


def _kind(view: ItemView) -> tuple[object, ...]:
    """Whether it is listed, and the attributes but the embedding that listed items are chosen by as being alike."""
    return () if view.listing is None else (view.category, view.brand, _step(view.price), view.listing.tags)


def _step(price: float | None) -> float | None:
    return None if price is None else round(math.log1p(price) / PRICE_STEP) * PRICE_STEP


def _grown(column: npt.NDArray[np.generic], capacity: int, fill: float) -> np.ndarray:
    grown = np.full((capacity, *column.shape[1:]), fill, column.dtype)
    grown[: len(column)] = column
    return grown
