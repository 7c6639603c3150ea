"""Items that are chosen most in the user's contexts, such as country or device, for users with a short history."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed, Reach
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors
from processors.users.context import context_names

_FIELD_TEXTS: dict[str, dict[str, str]] = {
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
        popular, listed = read.contexts, dict[str, tuple[int, list[int], list[float]]]()
        rows, slots, weights, contexts = list[int](), list[int](), list[float](), list[int]()
        for row, profile in enumerate(visitors.profiles if popular.views and self._items else ()):
            if not profile.context or len(profile.item_ids) > self._history:
                continue
            # In the order of names, so that a user's values are added up in one order in every process.
            for name in sorted(name for name in context_names(profile.context) if name in popular.views):
                if name not in listed:
                    listed[name] = self._listed(name, read)
                number, items, shares = listed[name]
                slots += items
                weights += shares
                rows += [row] * len(items)
                contexts += [number] * len(items)
        values = np.array(weights, np.float64)[:, None]
        return ProposedPairs(
            np.array(rows, np.int64), np.array(slots, np.int64), values, None, np.array(contexts, np.int64)
        )

    def _listed(self, name: str, read: ReadModels) -> tuple[int, list[int], list[float]]:
        """Return the number of a context, and slots and weights of its items, as far as the index knows them."""
        view = read.contexts.views[name]
        found = zip(read.items.slots_of(list(view.items[: self._items])), view.weights, strict=False)
        known = [(slot, weight) for slot, weight in found if slot >= 0]
        number = bisect_left(read.contexts.names, name)
        return number, [slot for slot, _ in known], [weight for _, weight in known]
