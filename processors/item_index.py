"""The read model of items: numpy columns over a dense index, so that ranking needs no lookup outside this process.

Every worker holds one, fed by the compacted broadcast topic. An item's place in the columns is its *slot*. Slots are
private to the process; whatever leaves it names items by id, and ties are broken by a hash of the id, so that two
processes with different slots rank alike.
"""

import msgspec
import numpy as np
import numpy.typing as npt

from processors.item_state import ItemView
from processors.keys import fingerprint

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
    trend : float64 array of shape (capacity,)
        Log2 of the decayed visits; :data:`NO_TREND` where unknown.
    tie : float64 array of shape (capacity,)
        In [0, 1), from the item's id.
    ids : list of str
        Item id per slot.

    Examples
    --------
    >>> index = ItemIndex(neighbours=2)
    >>> shares = np.array([1.0], "<f4").tobytes()
    >>> index.apply("tent", ItemView(3.0, 8, 0, 0, ["lamp"], shares, shares))
    >>> index.slot("tent"), index.ids[index.neighbours[0, 0]], index.popular(5).tolist()
    (0, 'lamp', [0])
    """

    def __init__(self, neighbours: int = 32, max_items: int = 200_000) -> None:
        self.width, self.max_items = neighbours, max_items
        self.evictions = 0
        self._clear()

    def _clear(self) -> None:
        self.ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._marks: dict[bytes, int] = {}
        self._free: list[int] = []
        self._popular: npt.NDArray[np.intp] | None = None
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
        self.trend = grown(old.get("trend"), NO_TREND, np.float64)
        self.tie = grown(old.get("tie"), 0.0, np.float64)

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
        self.trend[slot] = view.trend
        self.views[slot] = view
        self._popular = None

    def popular(self, k: int) -> npt.NDArray[np.intp]:
        """Slots of the ``k`` items with the highest trend, highest first."""
        if self._popular is None or len(self._popular) < min(k, len(self)):
            known = self.trend[: len(self.ids)] + self.tie[: len(self.ids)] * 1e-9
            kept = min(max(k, 200), len(known))
            top = np.argpartition(-known, kept - 1)[:kept] if kept else np.empty(0, np.intp)
            top = top[np.argsort(-known[top], kind="stable")]
            self._popular = top[self.trend[top] > NO_TREND]
        return self._popular[:k]

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
        self.trend[slot] = NO_TREND
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
        self.trend[slots] = NO_TREND
        self._free.extend(slots.tolist())
        self.evictions += len(slots)
        self._popular = None


def decode_view(value: bytes | None) -> ItemView | None:
    """Item view of a broadcast record's value; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(ItemView)
