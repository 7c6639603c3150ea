"""What everybody looks at: now, and ever."""

from __future__ import annotations

import numpy as np

from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import Block, SourceSettings, Visitors, for_everybody


class Trending:
    """Items with the most decayed visits, of the last hours and of the last days."""

    name = "trending"
    columns: tuple[str, ...] = ()

    def __init__(self, settings: SourceSettings) -> None:
        self._items = settings.popular_items

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        slots = np.unique(np.concatenate([index.popularity.trending(self._items, scale) for scale in (0, 1)]))
        return for_everybody(slots, len(visitors))


class EverPopular:
    """Items with the most visits ever."""

    name = "popular"
    columns: tuple[str, ...] = ()

    def __init__(self, settings: SourceSettings) -> None:
        self._items = settings.popular_items

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        return for_everybody(index.popularity.most_visited(self._items), len(visitors))
