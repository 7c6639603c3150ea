"""What ranking reads of all items, kept in memory beside the states: neighbours and popularity."""

from __future__ import annotations

from bench.idiomatic_logic import State, View, most_popular, view

_SORTED_EVERY = 500


class Items:
    """States of items, their neighbours sorted again only after they have changed, popularity every 500 rankings.

    It depends on nothing but the order of calls, so the same calls give the same answers.

    Examples
    --------
    >>> from bench.idiomatic_logic import new_item, pair
    >>> items, tent = Items(), new_item()
    >>> items.view("tent"), items.popular()
    ([], [])
    >>> pair(tent, [("lamp", 1)], 1_700_000_000_000)
    >>> items.put("tent", tent)
    >>> items.view("tent")
    [('lamp', 1.0, 1.0)]
    """

    def __init__(self) -> None:
        self._states: dict[str, State] = {}
        self._views: dict[str, View] = {}
        self._popular: list[tuple[str, float]] = []
        self._rankings = 0

    def put(self, item_id: str, item: State) -> None:
        """Take over the state of an item."""
        self._states[item_id] = item
        self._views.pop(item_id, None)

    def view(self, item_id: str) -> View:
        """Return the strongest neighbours of an item; none if it is not known."""
        found = self._views.get(item_id)
        if found is None:
            item = self._states.get(item_id)
            if item is None:
                return []
            found = self._views[item_id] = view(item)
        return found

    def popular(self) -> list[tuple[str, float]]:
        """Return the most popular items. Call it once per ranking."""
        if self._rankings % _SORTED_EVERY == 0:
            self._popular = most_popular(self._states)
        self._rankings += 1
        return self._popular
