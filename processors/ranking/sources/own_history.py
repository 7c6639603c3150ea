"""Items that the user touched before."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import VIEWED_BEFORE, ProposedPairs, ReasonKind, Visitors


class OwnHistorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No settings: all recent items are proposed."""


class OwnHistory:
    """Proposes the user's own recent items; the value grows with the number of touches and falls with the position."""

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

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:  # noqa: ARG002  # a source's signature
        """See :class:`processors.ranking.sources.base.Source`."""
        value = np.sqrt(visitors.counts) / (1.0 + visitors.positions)
        return ProposedPairs(visitors.rows, visitors.slots, value[:, None], visitors.slots)
