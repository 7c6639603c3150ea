"""New items in the categories of the user's last items: new items have no co-visitation to be proposed by."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Age, Newest, Share
from processors.common.compiled import kernel
from processors.items.similarity import BRAND, CATEGORY, PRICE, TAGS
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
        attributes = read.items.attributes
        asks = _last_of_each_category(visitors.begins, visitors.slots, visitors.positions, attributes.category)
        categories = attributes.category[visitors.slots[asks]]
        if not len(attributes.embedding):
            asks, categories = asks[categories > 0], categories[categories > 0]
        asked = categories.tolist()
        rows = {category: row for row, category in enumerate(dict.fromkeys(asked))}
        newest = np.full((len(rows), self._items), -1, np.int64)
        for category, row in rows.items():
            found = attributes.newest_in(category, self._items)
            newest[row, : len(found)] = found
        which = np.array([rows[category] for category in asked], np.int64)
        of_user, weights = visitors.rows[asks], self._decay ** visitors.positions[asks].astype(np.float64)
        return ProposedPairs(
            *_new_items(
                of_user, visitors.slots[asks], visitors.now_ms[of_user], weights, which, newest, self._age_ms,
                attributes.since, attributes.listed, attributes.category, attributes.brand, attributes.log_price,
                attributes.tags, attributes.tag_count, attributes.embedding, np.array([CATEGORY, BRAND, PRICE, TAGS]),
            )
        )  # fmt: skip


@kernel
def _last_of_each_category(begins, slots, positions, category):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return the indices of the recent items that are, among their user's last three, the last of their category."""
    found, n = np.empty(len(slots), np.int64), 0
    for user in range(len(begins) - 1):
        for at in range(begins[user], begins[user + 1]):
            if positions[at] >= _LAST_ITEMS:
                continue
            is_last = True
            for later in range(at + 1, begins[user + 1]):
                if category[slots[later]] == category[slots[at]]:
                    is_last = False
            if is_last:
                found[n] = at
                n += 1
    return found[:n]


@kernel
def _new_items(  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    rows, links, now, weights, which, newest, age_ms, since, listed, category, brand, log_price, tags, tag_count,
    embedding, shares,
):  # fmt: skip
    """Return rows, slots, values and links of the pairs of each asking item and the new items of its category.

    An asking item gets the new items of the row ``which`` of ``newest`` (-1 beyond the end), with a weight. ``shares``
    are what category, brand, price and tags contribute to content similarity (:mod:`processors.items.similarity`).
    """
    most = len(rows) * newest.shape[1]
    pair_rows, pair_slots = np.empty(most, np.int64), np.empty(most, np.int64)
    values, pair_links, n = np.empty((most, 2)), np.empty(most, np.int64), 0
    for at in range(len(rows)):
        one = links[at]
        for column in range(newest.shape[1]):
            other = newest[which[at], column]
            if other < 0:
                break
            age = now[at] - since[other]
            if other == one or age < 0.0 or age >= age_ms:
                continue
            content, cosine = 0.0, 0.0
            if listed[one] and listed[other]:
                if category[one] == category[other] and category[one] > 0:
                    content += shares[0]
                if brand[one] == brand[other] and brand[one] > 0:
                    content += shares[1]
                difference = abs(log_price[one] - log_price[other])
                if difference == difference:
                    content += shares[2] / (1.0 + difference)
                if len(tags):
                    shared = 0
                    for first in range(tag_count[one]):
                        for second in range(tag_count[other]):
                            shared += tags[one, first] == tags[other, second]
                    total = np.int64(tag_count[one]) + np.int64(tag_count[other]) - shared
                    content += shares[3] * shared / max(total, 1)
                if len(embedding):
                    for axis in range(embedding.shape[1]):
                        cosine += np.float64(embedding[one, axis]) * np.float64(embedding[other, axis])
                    cosine = min(max(cosine, 0.0), 1.0)
            if category[one] > 0 or cosine > 0.0:
                pair_rows[n], pair_slots[n], pair_links[n] = rows[at], other, one
                values[n, 0] = (1.0 - age / age_ms) * weights[at]
                values[n, 1] = (0.5 * content + 0.5 * cosine) * weights[at]
                n += 1
    return pair_rows[:n], pair_slots[:n], values[:n], pair_links[:n]
