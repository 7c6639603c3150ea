"""New items in the categories of the user's last items: new items have no co-visitation to be proposed by."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.bounds import Age, Newest, Share
from processors.items.index import ItemIndex
from processors.items.similarity import content, cosine_in_pairs, shared_in_pairs
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors

_LAST_ITEMS = 3


class FreshSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which items are new, and how many are proposed.

    Parameters
    ----------
    fresh_items
        Most new items of each category of the user's last three items.
    fresh_age_ms
        Time since an item was first seen for which it is new, in milliseconds.
    position_decay
        Weight of an item relative to the one visited after it.
    """

    fresh_items: Newest = 8
    fresh_age_ms: Age = 604_800_000
    position_decay: Share = 0.8


class Fresh:
    """Proposes the newest items of the categories of the user's last three items.

    Two values: how new an item is, 1 for just now and 0 at the age from which it is not new; and, if the catalogue has
    both items, its similarity to the user's last item of the category: the mean of the similarity of their attributes
    and the cosine of their embeddings. A user whose item has no category is proposed new items without one whose
    embeddings are similar.

    Complexity: constant per user, as the index keeps the newest items of each category.
    """

    name = "fresh"
    columns: tuple[str, ...] = ("fresh", "fresh_alike")
    settings: type[msgspec.Struct] = FreshSettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind("new", ("fresh", "item_fresh"), {"en": "New", "zh": "新品上架"}, order=100),
    )

    def __init__(self, settings: FreshSettings) -> None:
        self._items, self._age_ms = settings.fresh_items, settings.fresh_age_ms
        self._decay = settings.position_decay

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        asks = _last_of_each_category(visitors, index)
        numbers, which = np.unique(index.attributes.category[visitors.slots[asks]], return_inverse=True)
        newest = np.full((len(numbers), self._items), -1, np.int64)
        for row, number in enumerate(numbers.tolist()):
            found = index.attributes.newest_in(number, self._items)
            newest[row, : len(found)] = found
        age = visitors.now_ms[visitors.rows[asks]][:, None] - index.attributes.since[newest[which]]
        owner, column = np.nonzero((newest[which] >= 0) & (age >= 0.0) & (age < self._age_ms))
        links, slots = visitors.slots[asks][owner], newest[which][owner, column]
        similarity, related = self._similarity(links, slots, index)
        weight = self._decay ** visitors.positions[asks][owner].astype(np.float64)
        kept = np.flatnonzero((slots != links) & related)
        newness = 1.0 - age[owner, column] / self._age_ms
        return ProposedPairs(
            rows=visitors.rows[asks][owner][kept],
            slots=slots[kept],
            values=((newness * weight)[kept], (similarity * weight)[kept]),
            links=links[kept],
        )

    def _similarity(self, links: Ints, slots: Ints, index: ItemIndex) -> tuple[Floats, Flags]:
        """Return the similarity of pairs of items, and which pairs share a category or have similar embeddings."""
        similarity = np.zeros(len(links))
        listed = np.flatnonzero(index.attributes.listed[links] & index.attributes.listed[slots])
        one, other = links[listed], slots[listed]
        cosine = cosine_in_pairs(index.attributes, one, other)
        similarity[listed] = (
            0.5 * content(index.attributes, one, other, shared_in_pairs(index.attributes, one, other)) + 0.5 * cosine
        )
        related = index.attributes.category[links] > 0
        related[listed] |= cosine > 0.0
        return similarity, related


def _last_of_each_category(visitors: Visitors, index: ItemIndex) -> Ints:
    """Return the indices of the visitors' recent items that are, among the last three, the last of their category."""
    near = visitors.positions < _LAST_ITEMS
    if not len(index.attributes.embedding):
        near &= index.attributes.category[visitors.slots] > 0
    last = np.flatnonzero(near)
    order = last[np.lexsort((visitors.positions[last], visitors.rows[last]))]
    groups = (
        visitors.rows[order] * index.attributes.categories.numbers + index.attributes.category[visitors.slots[order]]
    )
    return np.sort(order[np.unique(groups, return_index=True)[1]])
