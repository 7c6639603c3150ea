"""What the user touched before."""

from __future__ import annotations

import numpy as np

from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import Block, SourceSettings, Visitors


class OwnHistory:
    """The user's own recent items: often and lately touched ones are worth more."""

    name = "recent"
    columns: tuple[str, ...] = ("recent",)

    def __init__(self, settings: SourceSettings) -> None:
        pass

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:  # noqa: ARG002  # a source's signature
        """See :class:`processors.ranking.sources.base.Source`."""
        value = np.sqrt(visitors.counts) / (1.0 + visitors.positions)
        return Block(visitors.rows, visitors.slots, (value,), visitors.slots)
