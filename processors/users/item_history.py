"""A user's recent items as parallel lists, and which of them the running session has touched already.

Parallel lists decode several times faster than a list of objects, and the ranker computes with columns anyway.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class ItemHistory(NamedTuple):
    """The distinct items a user touched last, from the least to the most recently touched, as parallel lists.

    Its methods change the lists in place, which are the profile's own.

    Parameters
    ----------
    ids
        Item ids, each once.
    times
        When each item was touched last, milliseconds since the epoch.
    counts
        How often each was touched.
    weights
        Decayed weight of these touches, relative to the profile's landmark.
    actions
        The last action on each.

    Examples
    --------
    >>> history = ItemHistory([], [], [], [], [])
    >>> for time_ms, item in enumerate(("tent", "lamp", "tent"), 10):
    ...     history.touch(item, time_ms, 1.0, "view", in_order=True)
    >>> history.ids, history.counts, history.touched_since(10, "mat", 20)
    (['lamp', 'tent'], [1, 2], ('tent', 'lamp'))
    """

    ids: list[str]
    times: list[int]
    counts: list[int]
    weights: list[float]
    actions: list[str]

    def touch(self, item_id: str, time_ms: int, weight: float, action: str, in_order: bool) -> None:
        """Add a touch of an item, in place. The lists grow by one for a new item: the caller bounds them.

        Parameters
        ----------
        item_id, time_ms, weight, action
            The touch: its time in milliseconds since the epoch, its weight relative to the profile's landmark.
        in_order
            Whether the item becomes the most recent one. Otherwise, if the event came late, a known item stays where it
            is, and a new one becomes the least recent.
        """
        columns: tuple[list[Any], ...] = tuple(self)
        count = 1
        try:
            at = self.ids.index(item_id)
        except ValueError:
            to = len(self.ids) if in_order else 0
        else:
            time_ms = max(time_ms, self.times[at])
            count += self.counts[at]
            weight += self.weights[at]
            for column in columns:
                del column[at]
            to = len(self.ids) if in_order else at
        for column, value in zip(columns, (item_id, time_ms, count, weight, action), strict=True):
            column.insert(to, value)

    def drop_oldest(self) -> str:
        """Remove the least recently touched item, in place, and return its id."""
        dropped = self.ids[0]
        columns: tuple[list[Any], ...] = tuple(self)
        for column in columns:
            del column[0]
        return dropped

    def touched_since(self, start_ms: int, item_id: str, limit: int) -> tuple[str, ...]:
        """Return the items touched at or after a time, without one item, the latest first, ``limit`` at most.

        Parameters
        ----------
        start_ms
            The earliest time, milliseconds since the epoch.
        item_id
            The item to leave out.
        limit
            Items returned at most.
        """
        found: list[str] = []
        for at in range(len(self.ids) - 1, -1, -1):
            if self.times[at] < start_ms or len(found) == limit:
                break
            if self.ids[at] != item_id:
                found.append(self.ids[at])
        return tuple(found)
