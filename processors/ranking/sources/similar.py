"""Items that the catalogue describes as similar to the user's last items."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed, Reach, Share
from processors.common.compiled import kernel
from processors.items.similar_items import SimilarItems
from processors.items.similarity import PRICE
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors


class SimilarSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many items propose similar ones, and how many.

    Parameters
    ----------
    content_items
        Last items whose similar items are proposed.
    content_neighbours
        Most similar items of each of them.
    position_decay
        Weight of an item relative to the one visited after it.
    """

    content_items: Reach = 3
    content_neighbours: Listed = 20
    position_decay: Share = 0.8


class Similar:
    """Proposes items similar to the user's last ones; more recent items have more weight.

    Two values: similarity of category, brand, price and tags, and cosine of the embeddings. Both find items that nobody
    has visited yet. Without a catalogue the source proposes nothing.
    """

    name = "content"
    columns: tuple[str, ...] = ("content", "embedding")
    settings: type[msgspec.Struct] = SimilarSettings
    baseline: Mapping[str, float] = {"content": 0.5, "embedding": 0.5}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "similar", ("content",), {"en": "Similar to {item}", "zh": "与 {item} 相似"},
            order=40, column="content", links="item",
        ),
        ReasonKind(
            "alike", ("embedding",), {"en": "In the manner of {item}", "zh": "与 {item} 风格相近"},
            order=50, column="embedding", links="item",
        ),
    )  # fmt: skip

    def __init__(self, settings: SimilarSettings) -> None:
        self._items, self._decay = settings.content_items, settings.position_decay
        self._neighbours = SimilarItems(settings.content_neighbours)

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        asks = np.flatnonzero((visitors.positions < self._items) & index.attributes.listed[visitors.slots])
        slots = visitors.slots[asks]
        if not len(slots):
            return ProposedPairs(asks, slots, np.empty((0, 2)), slots)
        alike = self._neighbours.of(slots, index.attributes)
        weights = self._decay ** visitors.positions[asks].astype(np.float64)
        return ProposedPairs(
            *_available(
                visitors.rows[asks], slots, weights, alike.slots, alike.attribute_similarity, alike.cosine,
                index.attributes.available, index.attributes.log_price, PRICE,
            )
        )  # fmt: skip


@kernel
def _available(rows, links, weights, neighbours, similarity, cosine, available, log_price, price_share):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return rows, slots, values and links of the pairs of each asking item and its available similar items.

    The last three of the neighbours' columns are of shape (asking items, k); ``price_share`` is what equal prices
    contribute to content similarity.
    """
    most = len(rows) * neighbours.shape[1]
    pair_rows, pair_slots = np.empty(most, np.int64), np.empty(most, np.int64)
    values, pair_links, n = np.empty((most, 2)), np.empty(most, np.int64), 0
    for at in range(len(rows)):
        for column in range(neighbours.shape[1]):
            one, other = links[at], neighbours[at, column]
            if other == one or not available[other]:
                continue
            content, difference = similarity[at, column], abs(log_price[one] - log_price[other])
            if difference == difference:
                content += price_share / (1.0 + difference)
            pair_rows[n], pair_slots[n], pair_links[n] = rows[at], other, one
            values[n, 0], values[n, 1] = content * weights[at], cosine[at, column] * weights[at]
            n += 1
    return pair_rows[:n], pair_slots[:n], values[:n], pair_links[:n]
