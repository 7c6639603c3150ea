"""What was visited together with the user's recent items, and what came next after the last ones."""

from __future__ import annotations

import numpy as np

from processors.item_index import ItemIndex
from processors.sources.base import Block, SourceSettings, Visitors


class Covisitation:
    """Neighbours of the recent items, the more recent the heavier.

    Two values: co-visitation with all recent items, and the ordered "what came next" over the last few.
    """

    name = "together"
    columns: tuple[str, ...] = ("together", "next")

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    def propose(self, visitors: Visitors, index: ItemIndex) -> Block:
        """See :class:`processors.sources.base.Source`."""
        settings = self._settings
        near = visitors.positions < settings.recent_items
        rows, slots, positions = visitors.rows[near], visitors.slots[near], visitors.positions[near]
        weight = settings.position_decay ** positions.astype(np.float64)
        together = index.together[slots] * weight[:, None]
        following = index.after[slots] * (weight * (positions < settings.next_items))[:, None]
        width = index.width
        return Block(
            rows=np.repeat(rows, width),
            slots=index.neighbours[slots].astype(np.int64).ravel(),
            values=(together.ravel(), following.ravel()),
            links=np.repeat(slots, width),
        )
