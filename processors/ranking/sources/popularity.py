"""Items that are popular with all users: lately, and of all time."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed
from processors.common.compiled import kernel
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors, for_everybody


class PopularSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many popular items are proposed.

    Parameters
    ----------
    popular_items
        Items proposed to everybody: so many trending ones per time scale, and as many of all time.
    """

    popular_items: Listed = 60


class Trending:
    """Proposes the items with the most decayed visits, at the scale of an hour and at that of a day.

    Only from the upper half of the items visited: the others are not popular right now, however small the shop.
    """

    name = "trending"
    columns: tuple[str, ...] = ()
    settings: type[msgspec.Struct] = PopularSettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "trending", ("trend_hour", "trend_day", "trend_week", "item_lately"),
            {"en": "Popular right now", "zh": "当前热门"}, order=110,
        ),
    )  # fmt: skip

    def __init__(self, settings: PopularSettings) -> None:
        self._items = settings.popular_items

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        most = min(self._items, index.popularity.upper_half())
        hour, day = (index.popularity.trending(most, scale) for scale in (0, 1))
        return for_everybody(_either(hour, day), len(visitors))


@kernel
def _either(one, other):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return the slots of two lists, each once, in the order of the lists: one by slots would differ by process."""
    found, n = np.empty(len(one) + len(other), np.int64), len(one)
    found[:n] = one
    for at in range(len(other)):
        is_new = True
        for before in range(len(one)):
            is_new = is_new and one[before] != other[at]
        if is_new:
            found[n] = other[at]
            n += 1
    return found[:n]


class EverPopular:
    """Proposes the items with the most visits of all time."""

    name = "popular"
    columns: tuple[str, ...] = ()
    settings: type[msgspec.Struct] = PopularSettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "viewed_by_others", ("visits",), {"en": "Others have looked at this", "zh": "其他人也看过"}, order=120
        ),
    )

    def __init__(self, settings: PopularSettings) -> None:
        self._items = settings.popular_items

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        return for_everybody(index.popularity.most_visited(self._items), len(visitors))
