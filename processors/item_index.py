"""The read model of items: numpy columns over a dense index, so that ranking needs no lookup outside this process.

Every worker holds one, fed by the compacted broadcast topic. An item's place in the columns is its *slot*. Slots are
private to the process; whatever leaves it names items by id, and ties are broken by a hash of the id, so that two
processes with different slots rank alike.
"""

from collections.abc import Iterable

import msgspec
import numpy as np
import numpy.typing as npt

from processors.common.hashing import fingerprint
from processors.contexts import ContextBook
from processors.groups import GroupBook
from processors.item_facts import FactColumns
from processors.item_state import ItemView
from processors.neighbour_columns import NeighbourColumns
from processors.top import Slots, TopSlots

POPULAR_DEPTH = 100
"""Popular items that can be asked for."""
CATEGORY_DEPTH = 32
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
        Bound on the items held. Beyond it the twentieth with the least trend goes at once. As many withdrawn ids are
        remembered beside them, those that nothing was heard of for longest going first.
    embedding_size
        Numbers of an embedding in the catalogue, 0 for none.

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
    facts : FactColumns
        What the catalogue says.

    Examples
    --------
    >>> index = ItemIndex(neighbours=2)
    >>> shares = np.array([1.0], "<f4").tobytes()
    >>> index.apply("tent", ItemView((3.0, 3.0, 3.0), 8, 0, 0, ["lamp"], shares, shares))
    >>> index.slot("tent"), index.ids[index.neighbours[0, 0]], index.popular(5).tolist()
    (0, 'lamp', [0])
    """

    def __init__(
        self, neighbours: int = 32, max_items: int = 200_000, max_categories: int = 4096, embedding_size: int = 0
    ) -> None:
        self.width, self.max_items, self.max_categories = neighbours, max_items, max_categories
        self.embedding_size = embedding_size
        self.evictions = 0
        self.groups, self.contexts = GroupBook(), ContextBook()
        self._clear()

    def _clear(self) -> None:
        self.ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._marks: dict[bytes, int] = {}
        self._free: list[int] = []
        self._withdrawn: dict[str, None] = {}
        self._trending = [TopSlots(POPULAR_DEPTH) for _ in range(3)]
        self._visited = TopSlots(POPULAR_DEPTH)
        self._categories: dict[str, int] = {}
        self._in_category: list[TopSlots] = [TopSlots(CATEGORY_DEPTH)]
        self.category_trend = np.full(self.max_categories + 1, NO_TREND)
        self.views: list[ItemView | None] = []
        self._near = NeighbourColumns(self.width)
        self.facts = FactColumns(0, self.embedding_size, self.max_categories)
        self._allocate(1024)

    def _allocate(self, capacity: int) -> None:
        def grown(old: npt.NDArray[np.generic] | None, fill: float, dtype: npt.DTypeLike) -> np.ndarray:
            column = np.full(capacity, fill, dtype)
            if old is not None:
                column[: len(old)] = old
            return column

        old = self.__dict__ if self.ids else {}
        trends = np.full((3, capacity), NO_TREND)
        if old:
            trends[:, : self.trends.shape[1]] = self.trends
        self.trends: npt.NDArray[np.float64] = trends
        self.trend: npt.NDArray[np.float64] = trends[1]
        self.tie = grown(old.get("tie"), 0.0, np.float64)
        self.visits = grown(old.get("visits"), 0.0, np.float64)
        self.category = grown(old.get("category"), 0, np.int32)
        self.price = grown(old.get("price"), np.nan, np.float64)
        self.first_seen = grown(old.get("first_seen"), 0, np.int64)
        self.last_seen = grown(old.get("last_seen"), 0, np.int64)
        self._near.grow(capacity)
        self.facts.grow(capacity)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def neighbours(self) -> npt.NDArray[np.int32]:  # noqa: D102  # an attribute of the class
        return self._swept().neighbours

    @property
    def together(self) -> npt.NDArray[np.float32]:  # noqa: D102  # an attribute of the class
        return self._swept().together

    @property
    def after(self) -> npt.NDArray[np.float32]:  # noqa: D102  # an attribute of the class
        return self._swept().after

    @property
    def brand(self) -> np.ndarray:  # noqa: D102  # an attribute of the class
        return self.facts.brand

    def _swept(self) -> NeighbourColumns:
        self._free += self._near.sweep()
        return self._near

    def slot(self, item_id: str) -> int:
        """Slot of an item, -1 if it is unknown."""
        return self._slots.get(item_id, -1)

    def slot_of_fingerprint(self, mark: bytes) -> int:
        """Slot of the item with this fingerprint (:mod:`processors.common.hashing`), -1 if it is unknown."""
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
        return self.facts.brands.known(names)

    def category_name(self, slot: int) -> str | None:
        """Category of the item in a slot, if it has one."""
        view = self.views[slot]
        return None if view is None else view.category

    def view(self, item_id: str) -> ItemView | None:
        """What was last published of an item, without its embedding."""
        slot = self._slots.get(item_id, -1)
        return self.views[slot] if slot >= 0 else None

    def apply(self, item_id: str, view: ItemView | None) -> None:
        """Take over what was published of an item; :obj:`None`, or that it is withdrawn, takes it off every list.

        Withdrawn items stay away, whoever names them as a neighbour, until a view says otherwise.

        Complexity: the width of the neighbour columns; amortised for growth and eviction. Withdrawals cost the next
        reader of the neighbour columns one look at all of them.
        """
        slot = self._slots.get(item_id, -1)
        self._withdrawn.pop(item_id, None)
        if view is None or view.withdrawn:
            if view is not None:
                self._remember_withdrawn(item_id)
            if slot >= 0:
                self._remove([slot])
            return
        if slot < 0:
            slot = self._new_slot(item_id)
        names = view.neighbours[: self.width]
        for name in names:
            if name not in self._slots and name not in self._withdrawn:
                self._new_slot(name)
        slot = self._slots.get(item_id, -1)
        if slot < 0:
            return  # making room for its neighbours evicted the item itself: it was the least wanted
        self._near.put(slot, self.slots_of(names), view.together, view.after)
        self._describe(slot, view)

    def _remember_withdrawn(self, item_id: str) -> None:
        self._withdrawn[item_id] = None
        if len(self._withdrawn) > self.max_items:
            del self._withdrawn[next(iter(self._withdrawn))]

    def _describe(self, slot: int, view: ItemView) -> None:
        """Take over everything about an item but its neighbours."""
        before, self.views[slot] = self.views[slot], _without_embedding(view)
        self.trends[:, slot], self.visits[slot] = view.trends, view.visits
        self.first_seen[slot], self.last_seen[slot] = view.first_seen, view.last_seen
        self.price[slot] = np.nan if view.price is None else view.price
        if view.visits:
            for top, trend in zip(self._trending, view.trends, strict=True):
                top.offer(slot, trend)
            self._visited.offer(slot, view.visits)
        category = 0 if view.category is None else self._category(view.category)
        old = int(self.category[slot])
        self.facts.describe(slot, view, before, (old, category))
        if old != category:
            self._in_category[old].discard(slot)
            self.category[slot] = category
        if category and view.visits:
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

    @property
    def brands(self) -> int:
        """Numbers of brands there are, 0 for none among them."""
        return len(self.facts.brands) + 1

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
        return top.best(self.trend, self.tie, lambda: self._known(self.category == category))[:k]

    def newest_in(self, category: int, k: int) -> Slots:
        """Slots of the ``k`` items of a category that there are for the shortest time, the latest first.

        At most :data:`processors.item_facts.NEWEST_DEPTH`; unavailable items and those of unknown age are left out.
        """
        facts = self.facts

        def everything() -> Slots:
            of_category = (self.category == category) & (facts.listed if category == 0 else True)
            return np.flatnonzero(of_category & facts.available & (facts.since > 0.0))

        return facts.newest(category).best(facts.since, self.tie, everything)[:k]

    def _known(self, of: npt.NDArray[np.bool_] | bool = True) -> Slots:
        """Slots of the items that were ever visited."""
        return np.flatnonzero((self.visits > 0.0) & of)

    def _new_slot(self, item_id: str) -> int:
        if len(self._slots) >= self.max_items:
            used = np.fromiter(self._slots.values(), np.intp, len(self._slots))
            order = np.lexsort((self.tie[used], self.trend[used]))
            gone = used[order[: max(1, self.max_items // 20)]].tolist()
            self._remove(gone)
            self._swept()
            self.evictions += len(gone)
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
        self._near.clear(slot)
        self._forget(slot)
        mark = fingerprint(item_id)
        self._marks[mark] = slot
        self.tie[slot] = int.from_bytes(mark, "little") / 2.0**64
        return slot

    def _remove(self, slots: list[int]) -> None:
        """Take items off every list. Their slots are free once nothing points at them any more."""
        for slot in slots:
            del self._slots[self.ids[slot]]
            self._marks.pop(fingerprint(self.ids[slot]), None)
            self._forget(slot)
            self.ids[slot], self.views[slot] = "", None
        self._near.leave(slots)

    def _forget(self, slot: int) -> None:
        """Empty the columns of a slot."""
        for top in self._trending:
            top.discard(slot)
        self._visited.discard(slot)
        self._in_category[self.category[slot]].discard(slot)
        self.facts.forget(slot, int(self.category[slot]))
        self.trends[:, slot], self.visits[slot], self.category[slot] = NO_TREND, 0.0, 0
        self.price[slot], self.first_seen[slot], self.last_seen[slot] = np.nan, 0, 0


def _without_embedding(view: ItemView) -> ItemView:
    """The view as it is kept: its embedding is in a column, and the larger part of the view."""
    listing = view.listing
    if listing is None or not listing.embedding:
        return view
    return msgspec.structs.replace(view, listing=msgspec.structs.replace(listing, embedding=b""))


def decode_view(value: bytes | None) -> ItemView | None:
    """Item view of a broadcast record's value; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(ItemView)
