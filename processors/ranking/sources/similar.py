"""Items that the catalogue describes as similar to the user's last items."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed, Reach, Share
from processors.items.similar_items import SimilarItems
from processors.items.similarity import price_nearness
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
            return ProposedPairs(asks, slots, (np.zeros(0), np.zeros(0)), slots)
        alike = self._neighbours.of(slots, index.attributes)
        weight = self._decay ** visitors.positions[asks].astype(np.float64)
        owner, column = np.nonzero((alike.slots != slots[:, None]) & index.attributes.available[alike.slots])
        links, found, log_price = slots[owner], alike.slots[owner, column], index.attributes.log_price
        content = alike.attribute_similarity[owner, column] + price_nearness(log_price[links], log_price[found])
        return ProposedPairs(
            rows=visitors.rows[asks][owner],
            slots=found,
            values=(content * weight[owner], alike.cosine[owner, column] * weight[owner]),
            links=links,
        )
