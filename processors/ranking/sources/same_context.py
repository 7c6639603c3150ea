"""What people choose who come in the same circumstances, for users of whom little else is known."""

from __future__ import annotations

import numpy as np

from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import Block, SourceSettings, Visitors
from processors.users.context import names_of


class SameContext:
    """Propose what is most chosen in a user's contexts, while the user's history is short.

    What links user and item is no item but the context.
    """

    name = "context"
    columns: tuple[str, ...] = ("context",)

    def __init__(self, settings: SourceSettings) -> None:
        self._items, self._history = settings.context_items, settings.context_history

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:
        """See :class:`processors.ranking.sources.base.Source`."""
        popular, members = read.contexts, dict[str, list[int]]()
        if popular.views and self._items:
            for row, profile in enumerate(visitors.profiles):
                if profile.context and len(profile.item_ids) <= self._history:
                    for name in names_of(profile.context):
                        members.setdefault(name, []).append(row)
        none = np.empty(0, np.int64)
        rows, slots, weights, contexts = [none], [none], [np.empty(0)], [none]
        # In order of names, so that a user's values are added up in one order whoever else there is.
        for number, name in enumerate(popular.names):
            if name in members:
                view = popular.views[name]
                items = np.array(read.items.slots_of(list(view.items[: self._items])), np.int64)
                known = items >= 0
                users, listed = members[name], int(known.sum())
                rows.append(np.repeat(np.array(users, np.int64), listed))
                slots.append(np.tile(items[known], len(users)))
                weights.append(np.tile(np.array(view.weights[: self._items])[known], len(users)))
                contexts.append(np.full(listed * len(users), number))
        return Block(
            np.concatenate(rows),
            np.concatenate(slots),
            (np.concatenate(weights),),
            contexts=np.concatenate(contexts),
        )
