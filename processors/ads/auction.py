"""The auction: for each opportunity the highest value wins, and pays what it had to beat, the second or the floor.

References
----------
W. Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of Finance 16, 1961.
"""

from __future__ import annotations

import numpy as np

from processors.ads.frame import Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.arrays import Flags, Floats, Hashes, Ints, run_begins


def above_floor(values: Floats, floors: Floats) -> Flags:
    """Tell which bids are worth at least their floor, and more than nothing."""
    found: Flags = (values >= floors) & (values > 0.0)
    return found


def auction(opportunities: Ints, values: Floats, floors: Floats, ties: Hashes, count: int) -> tuple[Ints, Floats]:
    """Find the winner of each opportunity, and what it had to beat.

    Parameters
    ----------
    opportunities
        The opportunity that each bid is for, ascending; shape (bids,), as the next three.
    values
        What one impression is worth to the bidder.
    floors
        The least that an impression must be worth to the bidder, and the least that it pays.
    ties
        Which of equal values wins: the one with the lowest tie.
    count
        Number of opportunities, with or without bids.

    Returns
    -------
    winners : int64 array of shape (count,)
        Number of the winning bid; -1 if none reaches the floor.
    beaten : float64 array of shape (count,)
        The second value or the winner's floor, whichever is higher; 0 where nobody wins.

    Examples
    --------
    >>> values, ties = np.array([1.0, 3.0, 0.4]), np.arange(3, dtype=np.uint64)
    >>> winners, beaten = auction(np.array([0, 0, 2]), values, np.array([0.5, 0.5, 0.5]), ties, count=3)
    >>> winners.tolist(), beaten.tolist()
    ([1, -1, -1], [1.0, 0.0, 0.0])
    """
    winners, beaten = np.full(count, -1), np.zeros(count)
    order = np.lexsort((ties, -values, opportunities))
    order = order[above_floor(values, floors)[order]]
    firsts = run_begins(opportunities[order])
    best = order[firsts]
    winners[opportunities[best]], beaten[opportunities[best]] = best, floors[best]
    seconds = firsts[firsts + 1 < len(order)] + 1
    seconds = order[seconds[opportunities[order[seconds]] == opportunities[order[seconds - 1]]]]
    beaten[opportunities[seconds]] = np.maximum(beaten[opportunities[seconds]], values[seconds])
    return winners, beaten


def hold_auctions(frame: Frame) -> Frame:
    """Let the bids of each opportunity compete; those that lose are removed, and at most one is left.

    Bids whose campaign was removed after it bid take no part.
    """
    bids, columns = frame.bids, frame.columns
    removed = frame.removed[bids.opportunities, bids.campaigns]
    values = np.where(removed == 0, frame.worth.values, 0.0)
    asked = np.array([found.floor for found in frame.opportunities], np.float64)
    floors = np.maximum(asked[bids.opportunities], columns.floors[bids.campaigns])
    frame.winners, frame.beaten = auction(bids.opportunities, values, floors, bids.ties, len(asked))
    codes = np.where(above_floor(values, floors), NoBid.OUTBID, NoBid.BELOW_FLOOR)
    codes[frame.winners[frame.winners >= 0]] = 0
    frame.removed[bids.opportunities, bids.campaigns] = np.where(removed == 0, codes, removed)
    return frame


AUCTION = Stage("auction", hold_auctions, gives=(NoBid.BELOW_FLOOR, NoBid.OUTBID), could_win=True)
