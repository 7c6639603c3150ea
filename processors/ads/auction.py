"""The auction: for each opportunity the highest value wins, and pays what it had to beat, the second or the floor.

All opportunities of a micro-batch are auctioned as if each were alone. :func:`take_off_budgets` then goes through them
in order, and where what was decided before has taken a campaign's money the auction is held again without it: the
decisions are those of opportunities that come one by one.

References
----------
W. Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of Finance 16, 1961.
"""

from __future__ import annotations

import numpy as np

from processors.ads.budget import LEAST, costs_of_advertisers
from processors.ads.frame import Auctions, Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.common.compiled import kernel


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
    winners, beaten = _auction(opportunities, values, floors, ties, count)
    return winners, beaten


def hold_auctions(frame: Frame) -> Frame:
    """Let the bids of each opportunity compete; those that lose are removed, and at most one is left.

    Bids whose campaign was removed after it bid take no part.
    """
    bids, removed = frame.bids, frame.removed
    values, floors = _bidding(
        removed, bids.opportunities, bids.campaigns, frame.worth.values, frame.floors, frame.columns.floors
    )
    winners, beaten = auction(bids.opportunities, values, floors, bids.ties, len(removed))
    frame.auctions = Auctions(winners, beaten, values, floors)
    codes = (int(NoBid.OUTBID), int(NoBid.BELOW_FLOOR))
    _remove_losers(removed, bids.opportunities, bids.campaigns, values, floors, winners, *codes)
    return frame


def take_off_budgets(frame: Frame, reached: Flags) -> None:
    """Take what each decision is going to cost from its campaign before the next is made, in place.

    Complexity: a look at each pair of opportunity and campaign, and at the bids where money is gone.

    Parameters
    ----------
    frame
        After all stages.
    reached
        Whether a campaign that was removed with a code, or with 0 for none, was still there when budgets were looked
        at; by code.
    """
    bids, expected = frame.bids, frame.costs.copy()
    competing = (bids.opportunities, bids.campaigns, bids.ties, frame.worth.odds)
    money = (frame.worth.most, frame.left, expected, LEAST, int(NoBid.NO_BUDGET))
    numbers, left = frame.advertisers
    costs = costs_of_advertisers(expected, numbers, left.shape[1])
    advertisers = (numbers, left, costs, int(NoBid.NO_ADVERTISER_BUDGET))
    _take_off(frame.removed, reached, *competing, *money, *advertisers, *frame.auctions)


@kernel
def _bidding(removed, opportunities, campaigns, worth, asked, own):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return what each bid is worth, 0 if its campaign was removed, and its floor: the opportunity's or its own."""
    values, floors = np.zeros(len(worth)), np.empty(len(worth))
    for bid in range(len(worth)):
        row, campaign = opportunities[bid], campaigns[bid]
        floors[bid] = max(asked[row], own[campaign])
        if removed[row, campaign] == 0:
            values[bid] = worth[bid]
    return values, floors


@kernel
def _above_floor(value, floor):  # type: ignore[no-untyped-def]  # numba finds the types
    """Tell whether a bid is worth at least its floor, and more than nothing."""
    return value >= floor and value > 0.0


@kernel
def _held(begin, end, values, floors, ties):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return the winner of some bids, -1 for none, and what it has to beat."""
    winner, second = -1, 0.0
    for bid in range(begin, end):
        if not _above_floor(values[bid], floors[bid]):
            continue
        if winner < 0:
            winner = bid
        elif values[bid] > values[winner] or (values[bid] == values[winner] and ties[bid] < ties[winner]):
            second = max(second, values[winner])
            winner = bid
        else:
            second = max(second, values[bid])
    return (winner, max(second, floors[winner])) if winner >= 0 else (-1, 0.0)


@kernel
def _auction(opportunities, values, floors, ties, count):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`auction` does."""
    winners, beaten = np.full(count, -1, np.int64), np.zeros(count)
    begin = 0
    while begin < len(opportunities):
        end = begin + 1
        while end < len(opportunities) and opportunities[end] == opportunities[begin]:
            end += 1
        row = opportunities[begin]
        winners[row], beaten[row] = _held(begin, end, values, floors, ties)
        begin = end
    return winners, beaten


@kernel
def _remove_losers(removed, opportunities, campaigns, values, floors, winners, outbid, below):  # type: ignore[no-untyped-def]  # numba finds the types
    """Note why each bid that is still there did not win."""
    for bid in range(len(values)):
        row, campaign = opportunities[bid], campaigns[bid]
        if removed[row, campaign] == 0 and winners[row] != bid:
            removed[row, campaign] = outbid if _above_floor(values[bid], floors[bid]) else below


@kernel
def _run_out(  # type: ignore[no-untyped-def]  # numba finds the types
    row, removed, reached, left, expected, least, code, advertisers, advertisers_left, advertisers_expected,
    advertisers_code,
):  # fmt: skip
    """Remove the campaigns of a row that have no money left, or whose advertiser has none, and tell if there is one."""
    gone = False
    for campaign in range(removed.shape[1]):
        if not reached[removed[row, campaign]]:
            continue
        number = advertisers[campaign]
        if left[row, campaign] - expected[campaign] < least:
            removed[row, campaign] = code
            gone = True
        elif number >= 0 and advertisers_left[row, number] - advertisers_expected[number] < least:
            removed[row, campaign] = advertisers_code
            gone = True
    return gone


@kernel
def _take_off(  # type: ignore[no-untyped-def]  # numba finds the types
    removed,
    reached,
    opportunities,
    campaigns,
    ties,
    odds,
    most,
    left,
    expected,
    least,
    code,
    advertisers,
    advertisers_left,
    advertisers_expected,
    advertisers_code,
    winners,
    beaten,
    values,
    floors,
):
    """Do what :func:`take_off_budgets` does; what is expected and all from ``winners`` on are changed too."""
    begin = 0
    for row in range(len(winners)):
        end = begin
        while end < len(opportunities) and opportunities[end] == row:
            end += 1
        if _run_out(
            row, removed, reached, left, expected, least, code, advertisers, advertisers_left, advertisers_expected,
            advertisers_code,
        ):  # fmt: skip
            for bid in range(begin, end):
                if removed[row, campaigns[bid]] == code or removed[row, campaigns[bid]] == advertisers_code:
                    values[bid] = 0.0
            winners[row], beaten[row] = _held(begin, end, values, floors, ties)
            if winners[row] >= 0:
                removed[row, campaigns[winners[row]]] = 0
        if winners[row] >= 0:
            won = winners[row]
            cost = min(beaten[row] / odds[won], most[won]) * odds[won]
            expected[campaigns[won]] += cost
            if advertisers[campaigns[won]] >= 0:
                advertisers_expected[advertisers[campaigns[won]]] += cost
        begin = end


AUCTION = Stage("auction", hold_auctions, gives=(NoBid.BELOW_FLOOR, NoBid.OUTBID), could_win=True)
