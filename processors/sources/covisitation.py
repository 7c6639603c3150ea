"""What was visited together with the user's recent items, and what came next after the last ones."""

from __future__ import annotations

import numpy as np

from processors.item_index import ItemIndex
from processors.sources.base import Block, SourceSettings, Visitors


class Covisitation:
    """Neighbours of the recent items, the more recent the heavier.

    Three values: co-visitation with all recent items, with the last one alone, and the ordered "what came next" over
    the last few.
    """

    name = "together"
    columns: tuple[str, ...] = ("together", "together_last", "next", "next_last", "alike")

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    def propose(self, visitors: Visitors, index: ItemIndex) -> Block:
        """See :class:`processors.sources.base.Source`."""
        settings = self._settings
        near = visitors.positions < settings.recent_items
        rows, slots, positions = visitors.rows[near], visitors.slots[near], visitors.positions[near]
        weight = settings.position_decay ** positions.astype(np.float64)
        pairs = index.together[slots].astype(np.float64)
        after = index.after[slots].astype(np.float64)
        last = (positions == 0)[:, None]
        neighbours = index.neighbours[slots]
        visits = np.maximum(index.visits, 1.0)
        alike = pairs * np.sqrt(visits[slots])[:, None] / np.sqrt(visits[neighbours])
        w = weight[:, None]
        near_next = (positions < settings.next_items)[:, None]
        width = index.width
        return Block(
            rows=np.repeat(rows, width),
            slots=index.neighbours[slots].astype(np.int64).ravel(),
            values=tuple(v.ravel() for v in (pairs * w, pairs * last, after * w * near_next, after * last, alike * w)),
            links=np.repeat(slots, width),
        )
