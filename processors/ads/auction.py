"""The auction: for each opportunity the highest value wins, and pays what it had to beat, the second or the floor.

Campaigns of a higher tier come first: the highest value of the highest tier wins that has one above the floor. What it
had to beat is the second value of its own tier. A lower tier could not have had the place at any price, so that its
bids set none: what a campaign of high priority pays would else depend on who is left to fill the rest. The floor of the
house is nothing, unless nothing at all may be shown.

All opportunities of a micro-batch are auctioned as if each were alone. :func:`take_off_budgets` then goes through them
in order, and where what was decided before has taken a campaign's money the auction is held again without it: the
decisions are those of opportunities that come one by one.

References
----------
W. Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of Finance 16, 1961.
"""

from __future__ import annotations

import numpy as np

from processors.ads.advertisers import LEAST
from processors.ads.budget import costs_of_advertisers
from processors.ads.campaign import HOUSE_TIER
from processors.ads.frame import Auctions, Frame, Stage
from processors.ads.no_bid import NoBid
from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.common.compiled import kernel


def auction(
    opportunities: Ints, values: Floats, floors: Floats, ties: Hashes, count: int, tiers: Ints | None = None
) -> tuple[Ints, Floats]:
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
    tiers
        Which bids come before which, the highest first; shape (bids,). By default all are alike.

    Returns
    -------
    winners : int64 array of shape (count,)
        Number of the winning bid; -1 if none reaches the floor.
    beaten : float64 array of shape (count,)
        The second value of the winner's tier or the winner's floor, whichever is higher; 0 where nobody wins.

    Examples
    --------
    >>> values, ties = np.array([1.0, 3.0, 0.4]), np.arange(3, dtype=np.uint64)
    >>> winners, beaten = auction(np.array([0, 0, 2]), values, np.array([0.5, 0.5, 0.5]), ties, count=3)
    >>> winners.tolist(), beaten.tolist()
    ([1, -1, -1], [1.0, 0.0, 0.0])
    >>> found = auction(np.array([0, 0, 2]), values, np.zeros(3), ties, count=3, tiers=np.array([6, 5, 5]))
    >>> found[0].tolist(), found[1].tolist()
    ([0, -1, 2], [0.0, 0.0, 0.0])
    """
    tiers = np.zeros(len(values), np.int64) if tiers is None else tiers
    winners, beaten = _auction(opportunities, values, floors, ties, tiers, count)
    return winners, beaten


def hold_auctions(frame: Frame) -> Frame:
    """Let the bids of each opportunity compete; those that lose are removed, and at most one is left.

    Bids whose campaign was removed after it bid take no part.
    """
    bids, removed, tiers = frame.bids, frame.removed, frame.columns.tiers[frame.bids.campaigns]
    values, floors = _bidding(
        removed, bids.opportunities, bids.campaigns, frame.worth.values, frame.floors, frame.columns.floors, tiers,
        HOUSE_TIER,
    )  # fmt: skip
    winners, beaten = auction(bids.opportunities, values, floors, bids.ties, len(removed), tiers)
    frame.auctions = Auctions(winners, beaten, values, floors)
    codes = (int(NoBid.OUTBID), int(NoBid.LOWER_TIER), int(NoBid.BELOW_FLOOR))
    _remove_losers(removed, bids.opportunities, bids.campaigns, values, floors, tiers, winners, *codes)
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
    tiers = frame.columns.tiers[bids.campaigns]
    competing = (bids.opportunities, bids.campaigns, bids.ties, frame.worth.odds, tiers)
    money = (frame.worth.most, frame.left, expected, LEAST, int(NoBid.NO_BUDGET))
    codes = (int(NoBid.OUTBID), int(NoBid.LOWER_TIER))
    numbers, left, *_ = frame.advertisers
    costs = costs_of_advertisers(expected, numbers, left.shape[1])
    advertisers = (numbers, left, costs, int(NoBid.NO_ADVERTISER_BUDGET))
    _take_off(frame.removed, reached, *competing, *money, *codes, *advertisers, *frame.auctions)


@kernel
def _bidding(removed, opportunities, campaigns, worth, asked, own, tiers, house):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return what each bid is worth, 0 if its campaign was removed, and its floor: the opportunity's or its own."""
    values, floors = np.zeros(len(worth)), np.empty(len(worth))
    for bid in range(len(worth)):
        row, campaign = opportunities[bid], campaigns[bid]
        floors[bid] = max(asked[row], own[campaign])
        if tiers[bid] == house and floors[bid] < np.inf:
            floors[bid] = 0.0
        if removed[row, campaign] == 0:
            values[bid] = worth[bid]
    return values, floors


@kernel
def _above_floor(value, floor):  # type: ignore[no-untyped-def]  # numba finds the types
    """Tell whether a bid is worth at least its floor, and more than nothing."""
    return value >= floor and value > 0.0


@kernel
def _held(begin, end, values, floors, ties, tiers):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return the winner of some bids, -1 for none, and what it has to beat."""
    winner, second = -1, 0.0
    for bid in range(begin, end):
        if not _above_floor(values[bid], floors[bid]):
            continue
        if winner < 0 or tiers[bid] > tiers[winner]:
            winner, second = bid, 0.0
        elif tiers[bid] < tiers[winner]:
            continue
        elif values[bid] > values[winner] or (values[bid] == values[winner] and ties[bid] < ties[winner]):
            second = max(second, values[winner])
            winner = bid
        else:
            second = max(second, values[bid])
    return (winner, max(second, floors[winner])) if winner >= 0 else (-1, 0.0)


@kernel
def _auction(opportunities, values, floors, ties, tiers, count):  # type: ignore[no-untyped-def]  # numba finds the types
    """Do what :func:`auction` does."""
    winners, beaten = np.full(count, -1, np.int64), np.zeros(count)
    begin = 0
    while begin < len(opportunities):
        end = begin + 1
        while end < len(opportunities) and opportunities[end] == opportunities[begin]:
            end += 1
        row = opportunities[begin]
        winners[row], beaten[row] = _held(begin, end, values, floors, ties, tiers)
        begin = end
    return winners, beaten


@kernel
def _remove_losers(removed, opportunities, campaigns, values, floors, tiers, winners, outbid, lower, below):  # type: ignore[no-untyped-def]  # numba finds the types
    """Note why each bid that is still there did not win."""
    for bid in range(len(values)):
        row, campaign = opportunities[bid], campaigns[bid]
        if removed[row, campaign] != 0 or winners[row] == bid:
            continue
        if not _above_floor(values[bid], floors[bid]):
            removed[row, campaign] = below
        else:
            removed[row, campaign] = outbid if tiers[bid] == tiers[winners[row]] else lower


@kernel
def _withdraw(removed, campaigns, values, code):  # type: ignore[no-untyped-def]  # numba finds the types
    """Make the bids of one opportunity worth nothing that were removed with a code."""
    for bid in range(len(campaigns)):
        if removed[campaigns[bid]] == code:
            values[bid] = 0.0


@kernel
def _compare_anew(removed, campaigns, tiers, tier, outbid, lower):  # type: ignore[no-untyped-def]  # numba finds the types
    """Note of bids of one opportunity that lost to a tier which is gone that they lost to one of their own tier."""
    for bid in range(len(campaigns)):
        if removed[campaigns[bid]] == lower and tiers[bid] == tier:
            removed[campaigns[bid]] = outbid


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
    tiers,
    most,
    left,
    expected,
    least,
    code,
    outbid,
    lower,
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
            _withdraw(removed[row], campaigns[begin:end], values[begin:end], code)
            _withdraw(removed[row], campaigns[begin:end], values[begin:end], advertisers_code)
            winners[row], beaten[row] = _held(begin, end, values, floors, ties, tiers)
            if winners[row] >= 0:
                removed[row, campaigns[winners[row]]] = 0
                _compare_anew(removed[row], campaigns[begin:end], tiers[begin:end], tiers[winners[row]], outbid, lower)
        if winners[row] >= 0:
            won = winners[row]
            cost = min(beaten[row] / odds[won], most[won]) * odds[won]
            expected[campaigns[won]] += cost
            if advertisers[campaigns[won]] >= 0:
                advertisers_expected[advertisers[campaigns[won]]] += cost
        begin = end


AUCTION = Stage("auction", hold_auctions, gives=(NoBid.BELOW_FLOOR, NoBid.LOWER_TIER, NoBid.OUTBID), could_win=True)
