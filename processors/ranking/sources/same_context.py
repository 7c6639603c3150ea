"""What people choose who come in the same circumstances, for users of whom little else is known."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed, Reach
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import Block, Locale, ReasonKind, Visitors
from processors.users.context import context_names

_FIELD_TEXTS: dict[str, dict[Locale, str]] = {
    "country": {"en": "Popular with visitors from {context}", "zh": "来自 {context} 的访客喜欢"},
    "region": {"en": "Popular with visitors from {context}", "zh": "来自 {context} 的访客喜欢"},
    "device": {"en": "Popular with visitors on {context}", "zh": "使用 {context} 的访客喜欢"},
    "channel": {"en": "Popular with visitors who come by {context}", "zh": "通过 {context} 来的访客喜欢"},
    "page": {"en": "Popular with visitors of {context}", "zh": "浏览 {context} 的访客喜欢"},
}
"""What is said of each kind of context that there is (:data:`processors.users.context.FIELDS`)."""


class SameContextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many items a context gives, and to whom.

    Parameters
    ----------
    context_items
        Top items of each of the user's circumstances, such as country and device.
    context_history
        Recent items beyond which a user is known well enough without them.
    """

    context_items: Listed = 20
    context_history: Reach = 3


class SameContext:
    """Propose what is most chosen in a user's contexts, while the user's history is short.

    What links user and item is no item but the context.
    """

    name = "context"
    columns: tuple[str, ...] = ("context",)
    settings: type[msgspec.Struct] = SameContextSettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "popular_in_context", ("context",),
            {"en": "Popular with visitors like you", "zh": "与您情况相近的访客喜欢"},
            order=90, column="context", links="context", field_texts=_FIELD_TEXTS,
        ),
    )  # fmt: skip

    def __init__(self, settings: SameContextSettings) -> None:
        self._items, self._history = settings.context_items, settings.context_history

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:
        """See :class:`processors.ranking.sources.base.Source`."""
        popular, members = read.contexts, dict[str, list[int]]()
        if popular.views and self._items:
            for row, profile in enumerate(visitors.profiles):
                if profile.context and len(profile.item_ids) <= self._history:
                    for name in context_names(profile.context):
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
