"""Items that were visited together with the user's recent items, or next after the last ones."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.arrays import Flags
from processors.common.bounds import Reach, Share
from processors.items.index import ItemIndex
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
        self._settings = settings

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        settings = self._settings
        recent = visitors.positions < settings.recent_items
        last = recent & (visitors.positions < settings.last_items)
        near = self._neighbours(last, index.width, visitors, index)
        far = self._neighbours(recent & ~last, min(settings.earlier_neighbours, index.width), visitors, index)
        return ProposedPairs(
            rows=np.concatenate([near.rows, far.rows]),
            slots=np.concatenate([near.slots, far.slots]),
            values=tuple(np.concatenate(pair) for pair in zip(near.values, far.values, strict=True)),
            links=np.concatenate([links for links in (near.links, far.links) if links is not None]),
        )

    def _neighbours(self, asked: Flags, width: int, visitors: Visitors, index: ItemIndex) -> ProposedPairs:
        """Propose the ``width`` strongest neighbours of each recent item that is asked about."""
        settings = self._settings
        rows, slots, positions = visitors.rows[asked], visitors.slots[asked], visitors.positions[asked]
        weight = settings.position_decay ** positions.astype(np.float64)
        long_weight = settings.long_position_decay ** positions.astype(np.float64)
        shares = index.together[slots, :width]
        together, together_long = shares * weight[:, None], shares * long_weight[:, None]
        after, is_last = index.after[slots, :width], (positions == 0)[:, None]
        following = after * (weight * (positions < settings.next_items))[:, None]
        return ProposedPairs(
            rows=np.repeat(rows, width),
            slots=index.neighbours[slots, :width].astype(np.int64).ravel(),
            values=tuple(
                column.ravel() for column in (together, together_long, following, shares * is_last, after * is_last)
            ),
            links=np.repeat(slots, width),
        )
