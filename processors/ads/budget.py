"""Whether a campaign has money left."""

from __future__ import annotations

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.compiled import kernel

LEAST = 5e-7
"""What counts as nothing: half of the smallest part of the currency that ledgers publish."""


def remove_exhausted(frame: Frame) -> Frame:
    """Remove campaigns that have spent their budget, in all or of the day, counting what decisions are going to cost.

    Must come after all filters that say whom a campaign is for: a campaign without money still counts the
    opportunities that it could have taken part in, as pacing plans the next day by them.
    """
    _remove_exhausted(frame.removed, frame.left, frame.costs, LEAST, int(NoBid.NO_BUDGET))
    return frame


@kernel
def _remove_exhausted(removed, left, costs, least, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`remove_exhausted` does."""
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            if removed[row, campaign] == 0 and left[row, campaign] - costs[campaign] < least:
                removed[row, campaign] = code


BUDGET = Stage("budget", remove_exhausted, gives=(NoBid.NO_BUDGET,), could_win=True)
