"""The read model of items: numpy columns over a dense index, so that ranking needs no lookup outside this process.

Every worker holds one, fed by the compacted broadcast topic. An item's place in the columns is its *slot*. Slots are
private to the process; whatever leaves it names items by id, and ties are broken by a hash of the id, so that two
processes with different slots rank alike.
"""

from collections.abc import Iterable

import msgspec
import numpy as np
import numpy.typing as npt

from processors.item_state import ItemView
from processors.keys import fingerprint
from processors.top import Slots, TopSlots

POPULAR_DEPTH = 100
"""Popular items that can be asked for."""
CATEGORY_DEPTH = 24
"""Popular items of a category that can be asked for."""
NO_TREND = -1e9
"""Trend of a slot that nothing has been published for yet."""


class ItemIndex:
    """Columns over items.

    Parameters
    ----------
    neighbours
        Width of the neighbour columns; longer lists are cut.
    max_items
        Bound on the items held. Beyond it the twentieth with the least trend goes at once.

    Attributes
    ----------
    neighbours : int32 array of shape (capacity, width)
        Slots of the neighbours; where there is none, the item's own slot with zero weights.
    together, after : float32 arrays of the same shape
        Their weights; each row sums to one or is zero.
    trends : float64 array of shape (3, capacity)
        Log2 of the decayed visits, per half-life; :data:`NO_TREND` where unknown.
    trend : float64 array of shape (capacity,)
        The middle one of them, by which items are kept.
    visits : float64 array of shape (capacity,)
        All visits ever.
    category : int32 array of shape (capacity,)
        Number of the item's category, 0 if it has none.
    brand : int32 array of shape (capacity,)
        Number of its brand, likewise.
    price : float64 array of shape (capacity,)
        Price last seen; NaN if none was.
    first_seen, last_seen : int64 array of shape (capacity,)
        Milliseconds since the epoch; 0 if unknown.
    category_trend : float64 array of shape (max_categories + 1,)
        Highest trend there was in each category.
    tie : float64 array of shape (capacity,)
        In [0, 1), from the item's id.
    ids : list of str
        Item id per slot.

    Examples
    --------
    >>> index = ItemIndex(neighbours=2)
    >>> shares = np.array([1.0], "<f4").tobytes()
    >>> index.apply("tent", ItemView((3.0, 3.0, 3.0), 8, 0, 0, ["lamp"], shares, shares))
    >>> index.slot("tent"), index.ids[index.neighbours[0, 0]], index.popular(5).tolist()
    (0, 'lamp', [0])
    """

    def __init__(self, neighbours: int = 32, max_items: int = 200_000, max_categories: int = 4096) -> None:
        self.width, self.max_items, self.max_categories = neighbours, max_items, max_categories
        self.evictions = 0
        self._clear()

    def _clear(self) -> None:
        self.ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._marks: dict[bytes, int] = {}
        self._free: list[int] = []
        self._trending = [TopSlots(POPULAR_DEPTH) for _ in range(3)]
        self._visited = TopSlots(POPULAR_DEPTH)
        self._categories: dict[str, int] = {}
        self._brands: dict[str, int] = {}
        self._in_category: list[TopSlots] = [TopSlots(CATEGORY_DEPTH)]
        self.category_trend = np.full(self.max_categories + 1, NO_TREND)
        self.views: list[ItemView | None] = []
        self._allocate(1024)

    def _allocate(self, capacity: int) -> None:
        def grown(old: npt.NDArray[np.generic] | None, fill: float, dtype: npt.DTypeLike, *width: int) -> np.ndarray:
            column = np.full((capacity, *width), fill, dtype)
            if old is not None:
                column[: len(old)] = old
            return column

        old = self.__dict__ if self.ids else {}
        self.neighbours = grown(old.get("neighbours"), 0, np.int32, self.width)
        self.together = grown(old.get("together"), 0.0, np.float32, self.width)
        self.after = grown(old.get("after"), 0.0, np.float32, self.width)
        trends = np.full((3, capacity), NO_TREND)
        if old:
            trends[:, : self.trends.shape[1]] = self.trends
        self.trends: npt.NDArray[np.float64] = trends
        self.trend: npt.NDArray[np.float64] = trends[1]
        self.tie = grown(old.get("tie"), 0.0, np.float64)
        self.visits = grown(old.get("visits"), 0.0, np.float64)
        self.category = grown(old.get("category"), 0, np.int32)
        self.brand = grown(old.get("brand"), 0, np.int32)
        self.price = grown(old.get("price"), np.nan, np.float64)
        self.first_seen = grown(old.get("first_seen"), 0, np.int64)
        self.last_seen = grown(old.get("last_seen"), 0, np.int64)

    def __len__(self) -> int:
        return len(self._slots)

    def slot(self, item_id: str) -> int:
        """Slot of an item, -1 if it is unknown."""
        return self._slots.get(item_id, -1)

    def slot_of_fingerprint(self, mark: bytes) -> int:
        """Slot of the item with this fingerprint (:func:`processors.keys.fingerprint`), -1 if it is unknown."""
        return self._marks.get(mark, -1)

    def slots_of(self, item_ids: list[str]) -> list[int]:
        """Slots of items, -1 where unknown."""
        get = self._slots.get
        return [get(item_id, -1) for item_id in item_ids]

    def category_numbers(self, names: Iterable[str]) -> list[int]:
        """Numbers of categories; those that no item has are left out."""
        return [self._categories[name] for name in names if name in self._categories]

    def brand_numbers(self, names: Iterable[str]) -> list[int]:
        """Numbers of brands; those that no item has are left out."""
        return [self._brands[name] for name in names if name in self._brands]

    def category_name(self, slot: int) -> str | None:
        """Category of the item in a slot, if it has one."""
        view = self.views[slot]
        return None if view is None else view.category

    def view(self, item_id: str) -> ItemView | None:
        """What was last published of an item."""
        slot = self._slots.get(item_id, -1)
        return self.views[slot] if slot >= 0 else None

    def apply(self, item_id: str, view: ItemView | None) -> None:
        """Take over what was published of an item; :obj:`None` withdraws it from every list.

        Complexity: the width of the neighbour columns; amortised for growth and eviction.
        """
        slot = self._slots.get(item_id, -1)
        if view is None:
            if slot >= 0:
                self._evict(np.array([slot]))
            return
        if slot < 0:
            slot = self._new_slot(item_id)
        names = view.neighbours[: self.width]
        for name in names:
            if name not in self._slots:
                self._new_slot(name)
        slot = self._slots.get(item_id, -1)
        if slot < 0:
            return  # making room for its neighbours evicted the item itself: it was the least wanted
        n = len(names)
        found = self.slots_of(names)
        self.neighbours[slot, :n] = [other if other >= 0 else slot for other in found]
        self.neighbours[slot, n:] = slot
        self.together[slot, :n] = np.frombuffer(view.together, "<f4", n)
        self.after[slot, :n] = np.frombuffer(view.after, "<f4", n)
        self.together[slot, n:] = self.after[slot, n:] = 0.0
        if -1 in found:
            gone = np.flatnonzero(np.array(found) < 0)
            self.together[slot, gone] = self.after[slot, gone] = 0.0
        self._describe(slot, view)

    def _describe(self, slot: int, view: ItemView) -> None:
        """Take over everything about an item but its neighbours."""
        self.views[slot] = view
        self.trends[:, slot], self.visits[slot] = view.trends, view.visits
        self.first_seen[slot], self.last_seen[slot] = view.first_seen, view.last_seen
        self.price[slot] = np.nan if view.price is None else view.price
        self.brand[slot] = 0 if view.brand is None else self._brand(view.brand)
        for top, trend in zip(self._trending, view.trends, strict=True):
            top.offer(slot, trend)
        self._visited.offer(slot, view.visits)
        category = 0 if view.category is None else self._category(view.category)
        before = self.category[slot]
        if before != category:
            self._in_category[before].discard(slot)
            self.category[slot] = category
        if category:
            self._in_category[category].offer(slot, view.trends[1])
            self.category_trend[category] = max(self.category_trend[category], view.trends[1])

    def _category(self, name: str) -> int:
        """Number of a category; beyond the bound, that of none."""
        number = self._categories.get(name)
        if number is None:
            if len(self._in_category) > self.max_categories:
                return 0
            number = self._categories[name] = len(self._in_category)
            self._in_category.append(TopSlots(CATEGORY_DEPTH))
        return number

    def _brand(self, name: str) -> int:
        """Number of a brand; beyond the bound, that of none."""
        number = self._brands.get(name)
        if number is None:
            if len(self._brands) >= self.max_categories:
                return 0
            number = self._brands[name] = len(self._brands) + 1
        return number

    @property
    def brands(self) -> int:
        """Numbers of brands there are, 0 for none among them."""
        return len(self._brands) + 1

    @property
    def categories(self) -> int:
        """Numbers of categories there are, 0 for none among them."""
        return len(self._in_category)

    def popular(self, k: int, scale: int = 1) -> Slots:
        """Slots of the ``k`` items with the highest trend, highest first; at most :data:`POPULAR_DEPTH`.

        ``scale`` chooses among the half-lives, the shortest being 0.
        """
        return self._trending[scale].best(self.trends[scale], self.tie, self._known)[:k]

    def most_visited(self, k: int) -> Slots:
        """Slots of the ``k`` items with the most visits ever; at most :data:`POPULAR_DEPTH`."""
        return self._visited.best(self.visits, self.tie, self._known)[:k]

    def popular_in(self, category: int, k: int) -> Slots:
        """Slots of the ``k`` items of a category with the highest trend; at most :data:`CATEGORY_DEPTH`."""
        top = self._in_category[category]
        return top.best(self.trend, self.tie, lambda: np.flatnonzero(self.category == category))[:k]

    def _known(self) -> Slots:
        return np.flatnonzero(self.trend[: len(self.ids)] > NO_TREND)

    def _new_slot(self, item_id: str) -> int:
        if len(self._slots) >= self.max_items:
            used = np.fromiter(self._slots.values(), np.intp, len(self._slots))
            order = np.lexsort((self.tie[used], self.trend[used]))
            self._evict(used[order[: max(1, self.max_items // 20)]])
        if self._free:
            slot = self._free.pop()
            self.ids[slot], self.views[slot] = item_id, None
        else:
            slot = len(self.ids)
            if slot == len(self.trend):
                self._allocate(2 * slot)
            self.ids.append(item_id)
            self.views.append(None)
        self._slots[item_id] = slot
        self.neighbours[slot] = slot
        self._forget(slot)
        mark = fingerprint(item_id)
        self._marks[mark] = slot
        self.tie[slot] = int.from_bytes(mark, "little") / 2.0**64
        return slot

    def _evict(self, slots: npt.NDArray[np.intp]) -> None:
        gone = np.zeros(len(self.trend), bool)
        gone[slots] = True
        pointing = gone[self.neighbours]
        self.together[pointing] = self.after[pointing] = 0.0
        rows, columns = np.nonzero(pointing)
        self.neighbours[rows, columns] = rows
        for slot in slots.tolist():
            del self._slots[self.ids[slot]]
            self._marks.pop(fingerprint(self.ids[slot]), None)
            self.ids[slot], self.views[slot] = "", None
        self.together[slots] = self.after[slots] = 0.0
        for slot in slots.tolist():
            self._forget(slot)
        self._free.extend(slots.tolist())
        self.evictions += len(slots)

    def _forget(self, slot: int) -> None:
        """Empty the columns of a slot."""
        for top in self._trending:
            top.discard(slot)
        self._visited.discard(slot)
        self._in_category[self.category[slot]].discard(slot)
        self.trends[:, slot], self.visits[slot] = NO_TREND, 0.0
        self.category[slot] = self.brand[slot] = 0
        self.price[slot], self.first_seen[slot], self.last_seen[slot] = np.nan, 0, 0


def decode_view(value: bytes | None) -> ItemView | None:
    """Item view of a broadcast record's value; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(ItemView)
