"""Whether a campaign has money left: of its own budget, and of its advertiser's."""

from __future__ import annotations

import numpy as np

from processors.ads.advertisers import LEAST
from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.arrays import Floats, Ints
from processors.common.compiled import kernel


def remove_exhausted(frame: Frame) -> Frame:
    """Remove campaigns that have spent their budget, in all or of the day, or their advertiser's.

    What decisions are going to cost counts.

    Must come after all filters that say whom a campaign is for: a campaign without money still counts the
    opportunities that it could have taken part in, as pacing plans the next day by them.
    """
    _remove_exhausted(frame.removed, frame.left, frame.costs, LEAST, int(NoBid.NO_BUDGET))
    numbers, left, *_ = frame.advertisers
    if left.shape[1]:
        costs = costs_of_advertisers(frame.costs, numbers, left.shape[1])
        _remove_by_advertiser(frame.removed, numbers, left, costs, LEAST, int(NoBid.NO_ADVERTISER_BUDGET))
    return frame


def costs_of_advertisers(costs: Floats, numbers: Ints, count: int) -> Floats:
    """Add up what decisions are going to cost by advertiser with a budget, shape (count,).

    Parameters
    ----------
    costs, numbers
        Of each campaign what decisions are going to cost, and the number of its advertiser, -1 for none.
    """
    found = np.zeros(count)
    np.add.at(found, numbers[numbers >= 0], costs[numbers >= 0])
    return found


@kernel
def _remove_exhausted(removed, left, costs, least, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`remove_exhausted` does."""
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            if removed[row, campaign] == 0 and left[row, campaign] - costs[campaign] < least:
                removed[row, campaign] = code


@kernel
def _remove_by_advertiser(removed, numbers, left, costs, least, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Remove campaigns whose advertiser has nothing left."""
    for row in range(len(removed)):
        for campaign in range(removed.shape[1]):
            number = numbers[campaign]
            if removed[row, campaign] == 0 and number >= 0 and left[row, number] - costs[number] < least:
                removed[row, campaign] = code


BUDGET = Stage("budget", remove_exhausted, gives=(NoBid.NO_BUDGET, NoBid.NO_ADVERTISER_BUDGET), could_win=True)
