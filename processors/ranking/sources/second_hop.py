"""Items that were visited together with the neighbours of the user's last item."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Reach
from processors.common.compiled import kernel
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
        return ProposedPairs(
            *_walks(
                visitors.rows, visitors.slots, visitors.positions, index.neighbours, index.together,
                min(self._first, index.width), min(self._second, index.width),
            )
        )  # fmt: skip


@kernel
def _walks(rows, slots, positions, neighbours, together, first_hop, second_hop):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return rows, slots, values and links of the pairs that walks of two steps from each user's last item give."""
    users = 0
    for at in range(len(slots)):
        users += positions[at] == 0
    most = users * first_hop * second_hop
    pair_rows, pair_slots = np.empty(most, np.int64), np.empty(most, np.int64)
    values, links, n = np.empty((most, 1)), np.empty(most, np.int64), 0
    for at in range(len(slots)):
        if positions[at] != 0:
            continue
        start = slots[at]
        for first in range(first_hop):
            share = np.float64(together[start, first])
            if share == 0.0:
                continue
            between = neighbours[start, first]
            for second in range(second_hop):
                value = share * np.float64(together[between, second])
                if value > 0.0:
                    pair_rows[n], pair_slots[n], links[n] = rows[at], neighbours[between, second], start
                    values[n, 0] = value
                    n += 1
    return pair_rows[:n], pair_slots[:n], values[:n], links[:n]
