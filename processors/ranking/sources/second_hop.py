"""Items that were visited together with the neighbours of the user's last item."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Reach
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors


class SecondHopSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many neighbours walks of two steps may take.

    Parameters
    ----------
    first_hop, second_hop
        Neighbours, the strongest, of the last item, and of each of those.
    """

    first_hop: Reach = 12
    second_hop: Reach = 16


class SecondHop:
    """Proposes items two steps of co-visitation from the last one, even if they were never visited together with it.

    The value of a walk is the product of the shares of its two steps, and an item's value is the sum over the walks to
    it: two rounds of personalised PageRank over the strongest edges of the co-visitation graph.

    References
    ----------
    C. Eksombatchai et al., "Pixie: a system for recommending 3+ billion items to 200+ million users in real-time",
    WWW 2018: the same by random walks.
    """

    name = "related"
    columns: tuple[str, ...] = ("related",)
    settings: type[msgspec.Struct] = SecondHopSettings
    baseline: Mapping[str, float] = {"related": 1.0}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "related", ("related",), {"en": "Related to {item}", "zh": "与 {item} 相关"},
            order=30, column="related", links="item",
        ),
    )  # fmt: skip

    def __init__(self, settings: SecondHopSettings) -> None:
        self._first, self._second = settings.first_hop, settings.second_hop

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        last = visitors.positions == 0
        rows, slots = visitors.rows[last], visitors.slots[last]
        between = index.neighbours[slots, : self._first]
        value = (
            index.together[slots, : self._first, None].astype(np.float64) * index.together[between, : self._second]
        ).ravel()
        walks = value.size // max(1, len(rows))
        reached = index.neighbours[between, : self._second].astype(np.int64).ravel()
        kept = np.flatnonzero(value)
        owner = kept // max(1, walks)
        return ProposedPairs(rows[owner], reached[kept], (value[kept],), slots[owner])
