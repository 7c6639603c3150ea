"""What was visited together with the user's recent items, and what came next after the last ones."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.arrays import Flags
from processors.common.bounds import Reach, Share
from processors.items.index import ItemIndex
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import Block, ReasonKind, Visitors


class CovisitationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far co-visitation reaches.

    Parameters
    ----------
    recent_items
        Recent items whose neighbours are candidates.
    last_items, earlier_neighbours
        How many of them ask for all published neighbours, and how many neighbours the ones before get.
    next_items
        The last items of them that ask "what came next".
    position_decay, long_position_decay
        Weight of an item relative to the one visited after it: when the last few items are to count, and when the whole
        history is.
    """

    recent_items: Reach = 30
    last_items: Reach = 3
    earlier_neighbours: Reach = 40
    next_items: Reach = 3
    position_decay: Share = 0.8
    long_position_decay: Share = 0.95


class Covisitation:
    """Neighbours of the recent items, the more recent the heavier.

    Five values: co-visitation with recent items, where the last few count most; the same over a longer history, where
    they count little more than others; the ordered "what came next" over the last few; and both for the very last item
    alone. The last few items ask for all their neighbours, earlier ones for the strongest: most of the cost
    of ranking is in their number.
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

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        settings = self._settings
        recent = visitors.positions < settings.recent_items
        last = recent & (visitors.positions < settings.last_items)
        near = self._of(last, index.width, visitors, index)
        far = self._of(recent & ~last, min(settings.earlier_neighbours, index.width), visitors, index)
        return Block(
            rows=np.concatenate([near.rows, far.rows]),
            slots=np.concatenate([near.slots, far.slots]),
            values=tuple(np.concatenate(pair) for pair in zip(near.values, far.values, strict=True)),
            links=np.concatenate([links for links in (near.links, far.links) if links is not None]),
        )

    def _of(self, asked: Flags, width: int, visitors: Visitors, index: ItemIndex) -> Block:
        """So many neighbours of each of the items asked about, strongest first."""
        settings = self._settings
        rows, slots, positions = visitors.rows[asked], visitors.slots[asked], visitors.positions[asked]
        weight = settings.position_decay ** positions.astype(np.float64)
        long_weight = settings.long_position_decay ** positions.astype(np.float64)
        shares = index.together[slots, :width]
        together, together_long = shares * weight[:, None], shares * long_weight[:, None]
        after, is_last = index.after[slots, :width], (positions == 0)[:, None]
        following = after * (weight * (positions < settings.next_items))[:, None]
        return Block(
            rows=np.repeat(rows, width),
            slots=index.neighbours[slots, :width].astype(np.int64).ravel(),
            values=tuple(
                column.ravel() for column in (together, together_long, following, shares * is_last, after * is_last)
            ),
            links=np.repeat(slots, width),
        )
