"""Who and which moments a campaign is for, and whom it excludes."""

from __future__ import annotations

from processors.ads.campaign_index import DIMENSIONS
from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.compiled import kernel


def remove_not_targeted(frame: Frame) -> Frame:
    """Remove campaigns whose target does not match the moment or what the user did.

    Exclusions by a targeting dimension, such as a device, count here and not in :func:`remove_excluded`: the index
    answers for both at once.

    Complexity: one look-up per opportunity, and a look at each check of campaigns that target what users did.
    """
    code = int(NoBid.NOT_MEANT)
    for row, found in enumerate(frame.opportunities):
        known = found.dimensions.get
        allowed = frame.index.allowing_all(tuple(map(known, DIMENSIONS)), known("segment_label"))
        _remove_where_not(frame.removed[row], allowed, code)
    frame.columns.targets.remove(frame.removed, frame.answers, False, code)
    return frame


def remove_excluded(frame: Frame) -> Frame:
    """Remove campaigns that exclude users for what they did, or for having bought what the campaign promotes."""
    frame.columns.exclusions.remove(frame.removed, frame.answers, True, int(NoBid.EXCLUDED))
    return frame


@kernel
def _remove_where_not(removed, allowed, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Remove campaigns that do not allow a moment, for one opportunity."""
    for campaign in range(len(removed)):
        if removed[campaign] == 0 and not allowed[campaign]:
            removed[campaign] = code


TARGETING = Stage("targeting", remove_not_targeted, gives=(NoBid.NOT_MEANT,))
EXCLUSION = Stage("exclusion", remove_excluded, gives=(NoBid.EXCLUDED,))
