"""Items that were visited together with the user's recent items, or next after the last ones."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Reach, Share
from processors.common.compiled import kernel
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors


class CovisitationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many items propose neighbours, and how many.

    Parameters
    ----------
    recent_items
        Recent items whose neighbours are proposed.
    last_items
        How many of them, the last ones, propose all published neighbours.
    earlier_neighbours
        Neighbours, the strongest, that each of the others proposes.
    next_items
        How many of the last items count for what is visited next.
    position_decay, long_position_decay
        Weight of an item relative to the one visited after it: in the values ``together`` and ``next``, which favour
        the last few items, and in ``together_long``, which counts the whole history.
    """

    recent_items: Reach = 30
    last_items: Reach = 3
    earlier_neighbours: Reach = 40
    next_items: Reach = 3
    position_decay: Share = 0.8
    long_position_decay: Share = 0.95


class Covisitation:
    """Proposes the neighbours of recent items; more recent items have more weight.

    Five values: co-visitation with the recent items, where the last few count most; the same with all of them counting
    almost equally; how often the item was visited next after one of the last few; and both for the last item alone.
    Most of the cost of ranking is in the number of neighbours: that is why only the last few items propose all of
    theirs.
    """

    name = "together"
    columns: tuple[str, ...] = ("together", "together_long", "next", "together_last", "next_last")
    settings: type[msgspec.Struct] = CovisitationSettings
    baseline: Mapping[str, float] = {"together": 2.0, "together_root": 2.0, "next": 1.0, "next_root": 1.0}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "viewed_together", ("together",),
            {"en": "Often viewed together with {item}", "zh": "常与 {item} 一起浏览"},
            order=10, column="together", links="item",
        ),
        ReasonKind(
            "viewed_next", ("next",),
            {"en": "Often viewed right after {item}", "zh": "浏览 {item} 之后常看"},
            order=20, column="next", links="item",
        ),
    )  # fmt: skip

    def __init__(self, settings: CovisitationSettings) -> None:
        self._reach = np.array(
            [settings.last_items, settings.recent_items, settings.next_items, settings.earlier_neighbours]
        )
        positions = np.arange(settings.recent_items)
        self._decays = np.stack([settings.position_decay**positions, settings.long_position_decay**positions])

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        return ProposedPairs(
            *_neighbours(
                visitors.rows, visitors.slots, visitors.positions, index.neighbours, index.together, index.after,
                self._reach, self._decays,
            )
        )  # fmt: skip


@kernel
def _neighbours(rows, slots, positions, neighbours, together, after, reach, decays):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return rows, slots, values and links of the pairs that the neighbours of recent items give.

    ``reach`` has how many items are last ones, recent ones, and count for what is visited next, and how many neighbours
    an earlier item proposes; ``decays`` the weight by position in ``together`` and in
    ``together_long``.
    """
    most = len(slots) * neighbours.shape[1]
    pair_rows, pair_slots = np.empty(most, np.int64), np.empty(most, np.int64)
    values, links, n = np.empty((most, 5)), np.empty(most, np.int64), 0
    for at in range(len(slots)):
        slot, position = slots[at], positions[at]
        if position >= reach[1]:
            continue
        width = neighbours.shape[1] if position < reach[0] else min(reach[3], neighbours.shape[1])
        weight, long_weight = decays[0, position], decays[1, position]
        next_weight = weight if position < reach[2] else 0.0
        last = 1.0 if position == 0 else 0.0
        for column in range(width):
            share, following = np.float64(together[slot, column]), np.float64(after[slot, column])
            if share == 0.0 and following == 0.0:
                continue
            pair_rows[n], pair_slots[n], links[n] = rows[at], neighbours[slot, column], slot
            values[n, 0], values[n, 1] = share * weight, share * long_weight
            values[n, 2] = following * next_weight
            values[n, 3], values[n, 4] = share * last, following * last
            n += 1
    return pair_rows[:n], pair_slots[:n], values[:n], links[:n]
