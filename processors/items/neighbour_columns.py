"""The neighbour columns of the item index: co-visited items by slot with their weights, kept free of removed items."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class NeighbourColumns:
    """Co-visited items of each item, by slot.

    Parameters
    ----------
    width
        Neighbours kept per item.

    Attributes
    ----------
    neighbours : int32 array of shape (capacity, width)
        Slots of the neighbours; where there is none, the item's own slot with zero weights.
    together, after : float32 arrays of the same shape
        Weights of the neighbours: visited in the same session, visited soon after. Each row sums to one or is zero.

    Examples
    --------
    >>> columns = NeighbourColumns(width=2)
    >>> columns.grow(3)
    >>> columns.put(0, [2], np.array([1.0], "<f4").tobytes(), bytes(4))
    >>> columns.leave([2])
    >>> columns.sweep(), columns.neighbours[0].tolist(), columns.together[0].tolist()
    ([2], [0, 0], [0.0, 0.0])
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.neighbours = np.zeros((0, width), np.int32)
        self.together, self.after = np.zeros((0, width), np.float32), np.zeros((0, width), np.float32)
        self._leaving: list[int] = []

    def grow(self, capacity: int) -> None:
        """Lengthen the columns to ``capacity`` slots."""
        more = ((0, capacity - len(self.neighbours)), (0, 0))
        self.neighbours = np.pad(self.neighbours, more)
        self.together, self.after = np.pad(self.together, more), np.pad(self.after, more)

    def clear(self, slot: int) -> None:
        """Empty an item's row: no neighbours."""
        self.neighbours[slot] = slot
        self.together[slot] = self.after[slot] = 0.0

    def put(self, slot: int, others: Sequence[int], together: bytes, after: bytes) -> None:
        """Write an item's neighbours.

        Parameters
        ----------
        slot
            The item's slot.
        others
            Slots of the neighbours, at most :attr:`width`; -1 for one that has no slot.
        together, after
            Weights as in :class:`processors.items.view.ItemView`, at least as many as ``others``.
        """
        n = len(others)
        found, weights, weights_after = self.neighbours[slot], self.together[slot], self.after[slot]
        found[:n], found[n:] = others, slot
        weights[:n], weights[n:] = np.frombuffer(together, "<f4", n), 0.0
        weights_after[:n], weights_after[n:] = np.frombuffer(after, "<f4", n), 0.0
        if -1 in others:
            unknown = found < 0
            found[unknown], weights[unknown], weights_after[unknown] = slot, 0.0, 0.0

    def leave(self, slots: Sequence[int]) -> None:
        """Mark items as removed. Call :meth:`sweep` before the columns are read or the slots are used again."""
        self._leaving += slots

    def sweep(self) -> list[int]:
        """Replace removed items in all rows by the row's own slot with zero weights, and return their slots.

        Complexity: one pass over all neighbours, however many items were removed.
        """
        leaving, self._leaving = self._leaving, []
        if leaving:
            gone = np.zeros(len(self.neighbours), np.bool_)
            gone[leaving] = True
            for slot in leaving:
                self.clear(slot)
            # One flat pass is twice as fast as finding rows and columns.
            pointing = np.flatnonzero(np.take(gone, self.neighbours.ravel(), mode="clip"))
            self.together.ravel()[pointing] = self.after.ravel()[pointing] = 0.0
            self.neighbours.ravel()[pointing] = pointing // self.width
        return leaving
