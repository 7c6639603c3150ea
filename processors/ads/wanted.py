"""What a placement or a request wants: nothing that is blocked, and creatives of a size that fits.

A creative that is not wanted is left out like one that the shop forbids; a campaign takes part with those that are
left, and is removed where none is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from processors.ads.creative_limits import Blocks
from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.common.arrays import Ints
from processors.common.compiled import kernel
from processors.common.text import folded

Asked = TypeVar("Asked", bound=Hashable)


def remove_blocked(frame: Frame) -> Frame:
    """Leave out the creatives that settings or requests block, and remove campaigns that have no other.

    Complexity: nothing but a look at each opportunity if nothing is blocked; else a look at the creatives of those with
    a list, and per list of the batch at those that promote an item.
    """
    everywhere, at = frame.settings.blocked, frame.settings.blocked_at
    asked = [blocks_of(found, everywhere + at.get(found.placement, _NOTHING)) for found in frame.opportunities]
    _leave_out(frame, asked, partial(_blocked, frame))
    return frame


def _blocked(frame: Frame, blocks: Blocks) -> Ints | None:
    """Return why creatives are blocked, by what campaigns say of them and by the items that they promote."""
    codes = frame.columns.limits.blocked(blocks)
    if not blocks.categories:
        return codes
    creatives = frame.columns.creatives.all
    promoted = frame.shop.of_categories(creatives, set(map(folded, blocks.categories)))
    if len(promoted):
        codes = np.zeros(len(creatives), np.int64) if codes is None else codes.copy()
        codes[promoted] = np.where(codes[promoted] == 0, int(NoBid.BLOCKED_CATEGORY), codes[promoted])
    return codes


def remove_of_other_size(frame: Frame) -> Frame:
    """Leave out the creatives of another size than requests ask for, likewise."""
    if len(frame.columns.limits.sized):
        _leave_out(frame, [found.sizes for found in frame.opportunities], frame.columns.limits.of_other_size)
    return frame


def blocks_of(found: Opportunity, blocks: Blocks) -> Blocks:
    """Return what is not to be shown at a moment: what settings block there, and what the request does.

    What a request blocks by ``badv`` are domains, or names of advertisers.
    """
    return blocks + Blocks(found.badv, found.bcat, found.badv) if found.badv or found.bcat else blocks


_NOTHING = Blocks()


def _leave_out(frame: Frame, asked: Sequence[Asked], codes_of: Callable[[Asked], Ints | None]) -> None:
    """Forbid creatives by what is asked of each opportunity, and remove campaigns that have none left."""
    kinds, tables, numbers = np.full(len(asked), -1, np.int64), list[Ints](), dict[Asked, int]()
    for row, one in enumerate(asked):
        if not one:
            continue
        if one not in numbers:
            codes = codes_of(one)
            numbers[one] = -1 if codes is None else len(tables)
            tables += [] if codes is None else [codes]
        kinds[row] = numbers[one]
    if not tables:
        return
    creatives = frame.columns.creatives
    if not len(frame.forbidden):
        frame.forbidden = np.zeros((len(asked), len(creatives.all)), np.int64)
    _forbid(frame.removed, frame.forbidden, kinds, np.array(tables), creatives.begins)


@kernel
def _forbid(removed, forbidden, kinds, codes, begins):  # type: ignore[no-untyped-def]  # numba finds the types
    """Note why creatives are forbidden, and remove campaigns that have none left for the reason of the first of them.

    ``kinds`` has the row of ``codes`` for each opportunity, -1 for none.
    """
    for row in range(len(removed)):
        if kinds[row] < 0:
            continue
        for campaign in range(removed.shape[1]):
            if removed[row, campaign] != 0:
                continue
            left, why = 0, 0
            for creative in range(begins[campaign], begins[campaign + 1]):
                code = codes[kinds[row], creative]
                if forbidden[row, creative] == 0 and code != 0:
                    forbidden[row, creative] = code
                    why = code if why == 0 else why
                left += forbidden[row, creative] == 0
            if left == 0:
                removed[row, campaign] = why


BLOCKS = Stage("blocks", remove_blocked, gives=(NoBid.BLOCKED_ADVERTISER, NoBid.BLOCKED_CATEGORY))
SIZES = Stage("sizes", remove_of_other_size, gives=(NoBid.OTHER_SIZE,))
