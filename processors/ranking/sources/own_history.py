"""What the user touched before."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import VIEWED_BEFORE, Block, ReasonKind, Visitors


class OwnHistorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to set: all recent items are candidates."""


class OwnHistory:
    """The user's own recent items: often and lately touched ones are worth more."""

    name = "recent"
    columns: tuple[str, ...] = ("recent",)
    settings: type[msgspec.Struct] = OwnHistorySettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            VIEWED_BEFORE,
            ("own", "recent", "touched"),
            {"en": "You looked at this before", "zh": "您之前看过"},
            order=60,
        ),
    )

    def __init__(self, settings: OwnHistorySettings) -> None:
        pass

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:  # noqa: ARG002  # a source's signature
        """See :class:`processors.ranking.sources.base.Source`."""
        value = np.sqrt(visitors.counts) / (1.0 + visitors.positions)
        return Block(visitors.rows, visitors.slots, (value,), visitors.slots)
