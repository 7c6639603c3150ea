"""Items that are popular in the categories of the user's last items."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed
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
    """Proposes trending items of the categories of the user's last three items."""

    name = "category"
    columns: tuple[str, ...] = ()
    settings: type[msgspec.Struct] = CategoryPopularSettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "popular_in_category", ("trend_in_category", "category_", "brand_in_category"),
            {"en": "Popular in {category}", "zh": "{category} 中的热门"}, order=70, links="category",
        ),
    )  # fmt: skip

    def __init__(self, settings: CategoryPopularSettings) -> None:
        self._items = settings.category_items

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        categories = index.attributes.category[visitors.slots]
        last = (visitors.positions < _LAST_ITEMS) & (categories > 0)
        rows, slots, categories = visitors.rows[last], visitors.slots[last], categories[last]
        numbers, which = np.unique(categories, return_inverse=True)
        tops = [index.popularity.in_category(number, self._items) for number in numbers.tolist()]
        lengths = np.array([len(top) for top in tops], np.int64)
        flat = np.concatenate(tops) if tops else np.empty(0, np.int64)
        begins = np.cumsum(lengths) - lengths
        counts = lengths[which] if len(which) else lengths
        owner = np.repeat(np.arange(len(rows)), counts)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        return ProposedPairs(
            rows[owner], flat[begins[which][owner] + within] if len(owner) else owner, (), slots[owner]
        )
