"""The item index: the read model of all items as numpy columns, so that ranking needs no lookup outside the process.

Every worker holds one, fed by the compacted topic ``broadcast.items``. An item's row in the columns is its *slot*.
Slots are private to the process: messages name items by id, and equal scores are ordered by a hash of the id, so that
two processes with different slots rank alike.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from processors.common.arrays import Ints
from processors.common.hashing import fingerprint
from processors.common.text_column import TextColumn
from processors.items.attributes import AttributeColumns
from processors.items.neighbour_columns import NeighbourColumns
from processors.items.popularity import Popularity
from processors.items.view import ItemView


class ItemIndex:
    """Columns over all items, by slot.

    Parameters
    ----------
    neighbours
        Neighbours kept per item (width of the neighbour columns); further ones are cut off.
    max_items
        Items held at most. Beyond it, the twentieth part with the lowest trend is evicted at once. Ids of as many
        withdrawn items are kept beside them, those withdrawn last.
    max_categories
        Categories told apart; items of later ones count as having none.
    embedding_size
        Length of an embedding in the catalogue, 0 for none.

    Attributes
    ----------
    neighbours : int32 array of shape (capacity, width)
        Slots of each item's neighbours; where there is none, the item's own slot with zero weights.
    together, after : float32 arrays of the same shape
        Weights of the neighbours: visited in the same session, visited soon after. Each row sums to one or is zero.
    price : float64 array of shape (capacity,)
        Price last published; NaN if none was.
    first_seen, last_seen : int64 array of shape (capacity,)
        Times of the earliest and the latest touch, milliseconds since the epoch; 0 if unknown.
    ids : list of str
        Item id per slot; empty for a free slot.
    views : list of ItemView or None
        What was published last, per slot, without embeddings.
    attributes : AttributeColumns
        What events and the catalogue say of the items.
    popularity : Popularity
        Visits and trends of the items.
    texts : TextColumn
        Item id per slot, as it stands in JSON; a free slot may keep one.
    titles : TextColumn
        What people know each item by, likewise: its title, or its id if the catalogue has none.
    evictions : int
        Items evicted so far.

    Examples
    --------
    >>> index = ItemIndex(neighbours=2)
    >>> shares = np.array([1.0], "<f4").tobytes()
    >>> index.apply("tent", ItemView((3.0, 3.0, 3.0), 8, 0, 0, ["lamp"], shares, shares))
    >>> index.slot("tent"), index.ids[index.neighbours[0, 0]], index.popularity.trending(5).tolist()
    (0, 'lamp', [0])
    """

    def __init__(
        self, neighbours: int = 32, max_items: int = 200_000, max_categories: int = 4096, embedding_size: int = 0
    ) -> None:
        self.width, self.max_items, self.max_categories = neighbours, max_items, max_categories
        self.embedding_size = embedding_size
        self.evictions = 0
        self._clear()

    def _clear(self) -> None:
        self.ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._marks: dict[int, int] = {}
        self._free: list[int] = []
        self._withdrawn: dict[str, None] = {}
        self.views: list[ItemView | None] = []
        self._near = NeighbourColumns(self.width)
        self.texts, self.titles = TextColumn(), TextColumn()
        self.attributes = AttributeColumns(0, self.embedding_size, self.max_categories)
        self.popularity = Popularity(self.attributes, self.max_categories)
        self._allocate(1024)

    def _allocate(self, capacity: int) -> None:
        def grown(old: npt.NDArray[np.generic] | None, fill: float, dtype: npt.DTypeLike) -> np.ndarray:
            column = np.full(capacity, fill, dtype)
            if old is not None:
                column[: len(old)] = old
            return column

        old = self.__dict__ if self.ids else {}
        self.price = grown(old.get("price"), np.nan, np.float64)
        self.first_seen = grown(old.get("first_seen"), 0, np.int64)
        self.last_seen = grown(old.get("last_seen"), 0, np.int64)
        self._near.grow(capacity)
        self.attributes.grow(capacity)
        self.popularity.grow(capacity)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def capacity(self) -> int:
        """Length of the columns."""
        return len(self.price)

    @property
    def neighbours(self) -> npt.NDArray[np.int32]:  # noqa: D102  # an attribute of the class
        return self._swept().neighbours

    @property
    def together(self) -> npt.NDArray[np.float32]:  # noqa: D102  # an attribute of the class
        return self._swept().together

    @property
    def after(self) -> npt.NDArray[np.float32]:  # noqa: D102  # an attribute of the class
        return self._swept().after

    def _swept(self) -> NeighbourColumns:
        self._free += self._near.sweep()
        return self._near

    def slot(self, item_id: str) -> int:
        """Return the slot of an item, -1 if it is unknown."""
        return self._slots.get(item_id, -1)

    def slots_of_fingerprints(self, marks: bytes) -> Ints:
        """Return the slots of items by their fingerprints (:mod:`processors.common.hashing`), -1 where unknown.

        Parameters
        ----------
        marks
            One fingerprint after another.
        """
        get = self._marks.get
        return np.array([get(mark, -1) for mark in np.frombuffer(marks, "<u8").tolist()], np.int64)

    def slots_of(self, item_ids: list[str]) -> list[int]:
        """Return the slots of items in their order, -1 where unknown."""
        get = self._slots.get
        return [get(item_id, -1) for item_id in item_ids]

    @staticmethod
    def mark_of(item_id: str) -> float:
        """Return the number that stands for an item's id where only equality matters, as ``attributes.tie`` has it."""
        return _number_of(item_id) / 2.0**64

    def category_name(self, slot: int) -> str | None:
        """Return the category of the item in a slot; :obj:`None` if it has none."""
        view = self.views[slot]
        return None if view is None else view.category

    def title(self, slot: int) -> str:
        """Return what people know the item in a slot by: its title, or its id if the catalogue has none."""
        return _title_of(self.ids[slot], self.views[slot])

    def view(self, item_id: str) -> ItemView | None:
        """Return what was last published of an item, without its embedding; :obj:`None` if nothing was."""
        slot = self._slots.get(item_id, -1)
        return self.views[slot] if slot >= 0 else None

    def is_withdrawn(self, item_id: str) -> bool:
        """Tell whether the catalogue has withdrawn an item, of those withdrawn last."""
        return item_id in self._withdrawn

    def apply(self, item_id: str, view: ItemView | None) -> None:
        """Write what was published of an item into the columns.

        Complexity: linear in the width of the neighbour columns; amortised for growth and eviction. After removals, the
        next reader of the neighbour columns waits for one pass over all of them.

        Parameters
        ----------
        item_id
            The item.
        view
            What was published. :obj:`None` (a tombstone) and a withdrawn view remove the item. A withdrawn item is not
            entered again for being another item's neighbour, only by a view that is not withdrawn.
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
        near = self.slots_of(names)
        if -1 in near:
            for name in names:
                if name not in self._slots and name not in self._withdrawn:
                    self._new_slot(name)
            slot, near = self._slots.get(item_id, -1), self.slots_of(names)
            if slot < 0:
                return  # making room for its neighbours evicted the item itself: its trend was the lowest
        self._near.put(slot, near, view.together, view.after)
        self._describe(slot, view)

    def _remember_withdrawn(self, item_id: str) -> None:
        self._withdrawn[item_id] = None
        if len(self._withdrawn) > self.max_items:
            del self._withdrawn[next(iter(self._withdrawn))]

    def _describe(self, slot: int, view: ItemView) -> None:
        """Write everything about an item but its neighbours."""
        before, self.views[slot] = self.views[slot], _without_embedding(view)
        if view.listing is not None or (before is not None and before.listing is not None):
            title = _title_of(self.ids[slot], view)
            if title != _title_of(self.ids[slot], before):
                self.titles.put(slot, title)
        self.first_seen[slot], self.last_seen[slot] = view.first_seen, view.last_seen
        self.price[slot] = np.nan if view.price is None else view.price
        category = int(self.attributes.category[slot])
        self.attributes.describe(slot, view, before)
        self.popularity.put(slot, view, category)

    def _new_slot(self, item_id: str) -> int:
        if len(self._slots) >= self.max_items:
            used = np.fromiter(self._slots.values(), np.intp, len(self._slots))
            order = np.lexsort((self.attributes.tie[used], self.popularity.trend[used]))
            gone = used[order[: max(1, self.max_items // 20)]].tolist()
            self._remove(gone)
            self._swept()
            self.evictions += len(gone)
        if self._free:
            slot = self._free.pop()
            self.ids[slot], self.views[slot] = item_id, None
        else:
            slot = len(self.ids)
            if slot == self.capacity:
                self._allocate(2 * slot)
            self.ids.append(item_id)
            self.views.append(None)
        self._slots[item_id] = slot
        self._near.clear(slot)
        self._forget(slot)
        mark = _number_of(item_id)
        self._marks[mark] = slot
        self.texts.put(slot, item_id)
        self.titles.put(slot, item_id)
        self.attributes.tie[slot] = self.mark_of(item_id)
        return slot

    def _remove(self, slots: list[int]) -> None:
        """Remove items. Their slots are free again once no neighbour column names them, after the next sweep."""
        for slot in slots:
            del self._slots[self.ids[slot]]
            self._marks.pop(_number_of(self.ids[slot]), None)
            self._forget(slot)
            self.ids[slot], self.views[slot] = "", None
        self._near.leave(slots)

    def _forget(self, slot: int) -> None:
        """Empty the columns of a slot."""
        self.popularity.forget(slot)
        self.attributes.forget(slot)
        self.price[slot], self.first_seen[slot], self.last_seen[slot] = np.nan, 0, 0


def _title_of(item_id: str, view: ItemView | None) -> str:
    listing = None if view is None else view.listing
    return item_id if listing is None else listing.title or item_id


def _number_of(item_id: str) -> int:
    """Return the fingerprint of an item as a number, as it lies in memory."""
    return int.from_bytes(fingerprint(item_id), "little")


def _without_embedding(view: ItemView) -> ItemView:
    """Return a view without its embedding, which is most of it in size and kept in a column."""
    listing = view.listing
    if listing is None or not listing.embedding:
        return view
    return msgspec.structs.replace(view, listing=msgspec.structs.replace(listing, embedding=b""))
