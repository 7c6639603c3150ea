"""Items that are chosen most in the user's contexts, such as country or device, for users with a short history."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed, Reach
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import Locale, ProposedPairs, ReasonKind, Visitors
from processors.users.context import context_names

_FIELD_TEXTS: dict[str, dict[Locale, str]] = {
    "country": {"en": "Popular with visitors from {context}", "zh": "来自 {context} 的访客喜欢"},
    "region": {"en": "Popular with visitors from {context}", "zh": "来自 {context} 的访客喜欢"},
    "device": {"en": "Popular with visitors on {context}", "zh": "使用 {context} 的访客喜欢"},
    "channel": {"en": "Popular with visitors who come by {context}", "zh": "通过 {context} 来的访客喜欢"},
    "page": {"en": "Popular with visitors of {context}", "zh": "浏览 {context} 的访客喜欢"},
}
"""Texts of the reason for each field of a context (:data:`processors.users.context.FIELDS`)."""


class SameContextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many items of a context are proposed, and to whom.

    Parameters
    ----------
    context_items
        Most chosen items of each of the user's contexts, such as country and device; 0 turns the source off.
    context_history
        Most recent items that a user may have to be proposed any.
    """

    context_items: Listed = 20
    context_history: Reach = 3


class SameContext:
    """Proposes the items most chosen in the user's contexts, while the user's history is short.

    Pairs name the context that led to them instead of an item.
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

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        popular, members = read.contexts, dict[str, list[int]]()
        if popular.views and self._items:
            for row, profile in enumerate(visitors.profiles):
                if profile.context and len(profile.item_ids) <= self._history:
                    for name in context_names(profile.context):
                        members.setdefault(name, []).append(row)
        none = np.empty(0, np.int64)
        if not members:
            return ProposedPairs(none, none, np.empty((0, 1)), contexts=none)
        rows, slots, weights, contexts = [none], [none], [np.empty(0)], [none]
        # In the order of names, so that a user's values are added up in one order whichever other users there are.
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
        of_user = np.concatenate(rows)
        order = np.argsort(of_user, kind="stable")
        return ProposedPairs(
            of_user[order],
            np.concatenate(slots)[order],
            np.concatenate(weights)[order, None],
            contexts=np.concatenate(contexts)[order],
        )
