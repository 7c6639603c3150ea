"""What was visited together with the user's recent items, and what came next after the last ones."""

from __future__ import annotations

import numpy as np

from processors.item_index import ItemIndex
from processors.sources.base import Block, SourceSettings, Visitors


class Covisitation:
    """Neighbours of the recent items, the more recent the heavier.

    Three values: co-visitation with recent items, where the last few count most; the same over a longer history, where
    they count little more than others; and the ordered "what came next" over the last few.
    """

    name = "together"
    columns: tuple[str, ...] = ("together", "together_long", "next")

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    def propose(self, visitors: Visitors, index: ItemIndex) -> Block:
        """See :class:`processors.sources.base.Source`."""
        settings = self._settings
        near = visitors.positions < settings.recent_items
        rows, slots, positions = visitors.rows[near], visitors.slots[near], visitors.positions[near]
        weight = settings.position_decay ** positions.astype(np.float64)
        long_weight = settings.long_position_decay ** positions.astype(np.float64)
        shares = index.together[slots]
        together, together_long = shares * weight[:, None], shares * long_weight[:, None]
        following = index.after[slots] * (weight * (positions < settings.next_items))[:, None]
        width = index.width
        return Block(
            rows=np.repeat(rows, width),
            slots=index.neighbours[slots].astype(np.int64).ravel(),
            values=(together.ravel(), together_long.ravel(), following.ravel()),
            links=np.repeat(slots, width),
        )
