"""What people choose who come in the same circumstances, for users of whom little else is known."""

from __future__ import annotations

import numpy as np

from processors.contexts import names_of
from processors.item_index import ItemIndex
from processors.sources.base import Block, SourceSettings, Visitors


class SameContext:
    """Items most chosen in the contexts of a user (:mod:`processors.contexts`), until there is some history.

    What links user and item is no item but the context.
    """

    name = "context"
    columns: tuple[str, ...] = ("context",)

    def __init__(self, settings: SourceSettings) -> None:
        self._items, self._history = settings.context_items, settings.context_history

    def propose(self, visitors: Visitors, index: ItemIndex) -> Block:
        """See :class:`processors.sources.base.Source`."""
        book, rows, slots, weights, contexts = index.contexts, list[int](), list[int](), list[float](), list[int]()
        if book.views and self._items:
            numbers = {name: number for number, name in enumerate(book.names)}
            for row, profile in enumerate(visitors.profiles):
                if not profile.context or len(profile.item_ids) > self._history:
                    continue
                for name in names_of(profile.context):
                    view = book.views.get(name)
                    if view is None:
                        continue
                    found = index.slots_of(list(view.items[: self._items]))
                    for slot, weight in zip(found, view.weights, strict=False):
                        if slot >= 0:
                            rows.append(row)
                            slots.append(slot)
                            weights.append(weight)
                            contexts.append(numbers[name])
        return Block(
            np.array(rows, np.int64),
            np.array(slots, np.int64),
            (np.array(weights, np.float64),),
            contexts=np.array(contexts, np.int64),
        )
