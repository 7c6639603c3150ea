"""Whether a campaign has money left."""

from __future__ import annotations

import numpy as np

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid

_LEAST = 5e-7
"""What counts as nothing: half of the smallest part of the currency that ledgers publish."""


def remove_exhausted(frame: Frame) -> Frame:
    """Remove campaigns that have spent their budget, in all or of the day, counting what decisions are going to cost.

    Must come after all filters that say whom a campaign is for: a campaign without money still counts the
    opportunities that it could have taken part in, as pacing plans the next day by them.
    """
    frame.remove(frame.index.left(frame.at_ms) - frame.costs < _LEAST, NoBid.NO_BUDGET)
    return frame


def affordable(frame: Frame) -> int:
    """Return how many of the first opportunities have winners that still had money, given those before; at least one.

    Complexity: a loop over the opportunities that have a winner.

    Parameters
    ----------
    frame
        After all stages.
    """
    rows = np.flatnonzero(frame.winners >= 0)
    won = frame.winners[rows]
    campaigns, costs = frame.bids.campaigns[won], frame.prices(rows) * frame.worth.odds[won]
    left, expected = frame.index.left(frame.at_ms)[rows, campaigns], frame.costs.copy()
    if np.all(left - expected[campaigns] - costs.sum() >= _LEAST):
        return len(frame.opportunities)
    for row, campaign, cost, money in zip(
        rows.tolist(), campaigns.tolist(), costs.tolist(), left.tolist(), strict=True
    ):
        if money - expected[campaign] < _LEAST:
            return int(row)
        expected[campaign] += cost
    return len(frame.opportunities)


BUDGET = Stage("budget", remove_exhausted, gives=(NoBid.NO_BUDGET,), could_win=True)
