"""The auction: of each opportunity the highest value wins, and has to beat the second or the floor.

References
----------
W. Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of Finance 16, 1961.
"""

from __future__ import annotations

import numpy as np

from processors.common.arrays import Flags, Floats, Hashes, Ints, run_begins


def above_floor(values: Floats, floors: Floats) -> Flags:
    """Which bids are worth their floor, and anything at all."""
    found: Flags = (values >= floors) & (values > 0.0)
    return found


def auction(rows: Ints, values: Floats, floors: Floats, ties: Hashes, opportunities: int) -> tuple[Ints, Floats]:
    """Who wins each opportunity, and what had to be beaten.

    Parameters
    ----------
    rows
        The opportunity of each bid, ascending.
    values
        Of each bid, what a showing is worth.
    floors
        Of each bid, the least that it has to be worth, and pays.
    ties
        Of each bid: of equal values the one with the lowest wins.
    opportunities
        How many there are.

    Returns
    -------
    winners : int64 array of shape (opportunities,)
        Number of the winning bid; -1 if none reaches the floor.
    beaten : float64 array of the same shape
        The second value or the winner's floor, whichever is higher; 0 where nobody wins.

    Examples
    --------
    >>> values, ties = np.array([1.0, 3.0, 0.4]), np.arange(3, dtype=np.uint64)
    >>> winners, beaten = auction(np.array([0, 0, 2]), values, np.array([0.5, 0.5, 0.5]), ties, opportunities=3)
    >>> winners.tolist(), beaten.tolist()
    ([1, -1, -1], [1.0, 0.0, 0.0])
    """
    winners, beaten = np.full(opportunities, -1), np.zeros(opportunities)
    order = np.lexsort((ties, -values, rows))
    order = order[above_floor(values, floors)[order]]
    firsts = run_begins(rows[order])
    best = order[firsts]
    winners[rows[best]], beaten[rows[best]] = best, floors[best]
    seconds = firsts[firsts + 1 < len(order)] + 1
    seconds = seconds[rows[order[seconds]] == rows[order[seconds - 1]]]
    beaten[rows[order[seconds]]] = np.maximum(beaten[rows[order[seconds]]], values[order[seconds]])
    return winners, beaten
