"""Items that are popular in the categories of the user's last items."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed
from processors.common.compiled import kernel
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors

_LAST_ITEMS = 3


class CategoryPopularSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many items of a category are proposed.

    Parameters
    ----------
    category_items
        Most popular items of each category of the user's last three items.
    """

    category_items: Listed = 32


class CategoryPopular:
    """Proposes trending items of the categories of the user's last three items.

    Its value is 1 for the item with the highest trend in the category, less for those behind it, and 0 in the lower
    half of the items visited there: of these nobody says that they are popular.
    """

    name = "category"
    columns: tuple[str, ...] = ("category_top",)
    settings: type[msgspec.Struct] = CategoryPopularSettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "popular_in_category", ("trend_in_category", "category_", "brand_in_category"),
            {"en": "Popular in {category}", "zh": "{category} 中的热门"},
            order=70, column="category_top", links="category",
        ),
        ReasonKind(
            "in_category", ("category_", "brand_in_category"),
            {"en": "More from {category}", "zh": "{category} 中的更多商品"}, order=75, links="category",
        ),
    )  # fmt: skip

    def __init__(self, settings: CategoryPopularSettings) -> None:
        self._items = settings.category_items

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        asks = _asking(visitors.slots, visitors.positions, index.attributes.category)
        asked = index.attributes.category[visitors.slots[asks]].tolist()
        rows = {category: row for row, category in enumerate(dict.fromkeys(asked))}
        tops, upper = np.full((len(rows), self._items), -1, np.int64), np.zeros(len(rows), np.int64)
        for category, row in rows.items():
            found = index.popularity.in_category(category, self._items)
            tops[row, : len(found)], upper[row] = found, index.popularity.upper_half(category)
        which = np.array([rows[category] for category in asked], np.int64)
        pairs, slots, links, values = _listed(visitors.rows[asks], visitors.slots[asks], which, tops, upper)
        return ProposedPairs(pairs, slots, values[:, None], links)


@kernel
def _asking(slots, positions, category):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return the indices of the recent items that are among their user's last three and have a category."""
    asks, n = np.empty(len(slots), np.int64), 0
    for at in range(len(slots)):
        if positions[at] < _LAST_ITEMS and category[slots[at]] > 0:
            asks[n] = at
            n += 1
    return asks[:n]


@kernel
def _listed(rows, links, which, lists, upper):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return rows, slots, links and values of the pairs of each asking item and the items of the list it asks for.

    ``lists`` has slots, -1 beyond the end of a list; ``which`` says which list an asking item gets, ``upper`` how many
    of each list are in the upper half.
    """
    most = len(rows) * lists.shape[1]
    pair_rows, pair_slots, pair_links = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    values, n = np.empty(most), 0
    for at in range(len(rows)):
        for column in range(lists.shape[1]):
            slot = lists[which[at], column]
            if slot < 0:
                break
            pair_rows[n], pair_slots[n], pair_links[n] = rows[at], slot, links[at]
            values[n] = 1.0 / (1.0 + column) if column < upper[which[at]] else 0.0
            n += 1
    return pair_rows[:n], pair_slots[:n], pair_links[:n], values[:n]
