"""Whether a campaign has money left."""

from __future__ import annotations

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid


def remove_exhausted(frame: Frame) -> Frame:
    """Remove campaigns that have spent their budget, in all or of the day, counting what decisions are going to cost.

    Must come after all filters that say whom a campaign is for: a campaign without money still counts the
    opportunities that it could have taken part in, as pacing plans the next day by them.
    """
    frame.remove(frame.index.exhausted(frame.at_ms), NoBid.NO_BUDGET)
    return frame


BUDGET = Stage("budget", remove_exhausted, gives=(NoBid.NO_BUDGET,), could_win=True)
