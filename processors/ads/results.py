"""From a frame that has been through all stages to one :class:`processors.ads.decision.AuctionResult` per opportunity.

Figures are rounded as they are published, for all decisions at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from processors.ads.campaign import HOUSE_TIER
from processors.ads.chances import chances_of
from processors.ads.decision import AuctionResult, Candidate, CreativeShare, features_hash
from processors.ads.frame import Frame
from processors.ads.no_bid import BID_WON, NoBid, loss_of
from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.common.hashing import hashed
from processors.common.money import per_thousand
from processors.common.random import uniform

_IN_FULL = np.uint64(hashed("logged in full"))
_DIGITS = 9
"""Decimals of what is charged: of a thousand impressions, a millionth of the currency."""


def results_of(frame: Frame, able: Ints, no_bids: Mapping[int, NoBid]) -> list[AuctionResult]:
    """Make the decision for each opportunity, in their order.

    Parameters
    ----------
    frame
        After all stages; not empty.
    able
        Number of campaigns that could have taken part in each, held back or not; shape (opportunities,).
    no_bids
        Why there is no ad, by row of each opportunity without a winner.
    """
    counts, candidates = able.tolist(), _logged_in_full(frame)
    found = {
        row: AuctionResult(counts[row], candidates.get(row, ()), nbr, held_out=frame.held_out.get(row, ""))
        for row, nbr in no_bids.items()
    }
    found.update(_won(frame, counts, candidates))
    return [found[row] for row in range(len(counts))]


def _won(
    frame: Frame, able: list[int], candidates: Mapping[int, tuple[Candidate, ...]]
) -> Iterator[tuple[int, AuctionResult]]:
    """Make the decisions of those opportunities that somebody won, with the row of each."""
    columns, creatives = frame.columns, frame.columns.creatives
    rows = np.flatnonzero(frame.auctions.winners >= 0)
    won = frame.auctions.winners[rows]
    shares = _shares(frame, won)
    for row, campaign, creative, price, cost, p_click, p_conversion, value, click, purchase, features, drawn in zip(
        rows.tolist(), *_figures(frame, rows, won), frame.bids.features(won).tolist(), shares, strict=True
    ):
        cid, shown, propensity = columns.cids[campaign], creatives.all[creative], drawn[0]
        purchase_value, value_share, pursuit = _of_goal(frame, campaign, creative)
        yield (
            row,
            AuctionResult(
                able[row],
                candidates.get(row)
                or (
                    Candidate(
                        cid, BID_WON, shown.crid, p_click, value, p_conversion, propensity, features_hash(features)
                    ),
                ),
                cid=cid,
                campaign=columns.views[campaign].campaign,
                creative=shown,
                price=price,
                cost=cost,
                p_click=p_click,
                p_conversion=p_conversion,
                expected_click=click,
                expected_purchase=purchase,
                propensity=propensity,
                features=tuple(features),
                creatives=drawn[1],
                purchase_value=purchase_value,
                value_share=value_share,
                pursuit=pursuit,
            ),
        )


def _of_goal(frame: Frame, campaign: int, creative: int) -> tuple[float, float | None, int]:
    """Return what a purchase is expected to bring in, what share of it counts, and which pursuit of a goal it is.

    Without a goal these are 0, none and 0.
    """
    worth, view = frame.goal_worth, frame.columns.views[campaign]
    if worth is None or view.campaign.goal is None:
        return 0.0, None, 0
    pursuit = 0 if view.goal is None else view.goal.pursuit
    return round(float(worth.values[creative]), 6), round(float(worth.shares[creative]), 6), pursuit


def _figures(frame: Frame, rows: Ints, won: Ints) -> Iterator[list[float]]:
    """Return what winning bids come to, one list per figure, in the order in which :func:`_won` reads them."""
    bids, worth = frame.bids, frame.worth
    odds, campaigns = worth.odds[won], bids.campaigns[won]
    prices = np.minimum(frame.auctions.beaten[rows] / odds, worth.most[won])
    yield campaigns.tolist()
    yield bids.creatives[won].tolist()
    yield np.round(prices, _DIGITS).tolist()
    yield (prices * odds).tolist()
    for column in (worth.p_click, worth.p_purchase, _cpm(frame), bids.expected_click, bids.expected_purchase):
        yield np.round(column[won], 8).tolist()


def _cpm(frame: Frame) -> Floats:
    """Return what a thousand impressions are worth to each bid; nothing to a campaign of the house."""
    paid: Floats = np.where(frame.columns.tiers[frame.bids.campaigns] == HOUSE_TIER, 0.0, frame.worth.values)
    return per_thousand(paid)


def _shares(frame: Frame, won: Ints) -> Iterator[tuple[float, tuple[CreativeShare, ...]]]:
    """Return the propensity of each winning bid's creative and, of campaigns with several, how all of them stood."""
    bids, crids = frame.bids, frame.columns.creatives.crids
    chances, begins, members, shares = chances_of(frame, won)
    campaigns = np.repeat(bids.campaigns[won], np.diff(begins))
    clicks = np.round(np.minimum(bids.clicks[members] * frame.columns.calibration[campaigns], 1.0), 8)
    names = [crids[creative] for creative in bids.candidates[members].tolist()]
    ends = begins.tolist()
    flat_shares, flat_clicks = shares.tolist(), clicks.tolist()
    for chance, begin, end in zip(chances.tolist(), ends[:-1], ends[1:], strict=True):
        several = end - begin > 1
        each = (names[begin:end], flat_shares[begin:end], flat_clicks[begin:end])
        yield chance, tuple(map(CreativeShare, *each)) if several else ()


def is_logged_in_full(decision_id: str, share: float) -> bool:
    """Tell whether a decision is among the share of those that are logged with what became of every campaign."""
    return bool(_in_full(np.array([hashed(decision_id)], np.uint64), share)[0])


def _in_full(seeds: Hashes, share: float) -> Flags:
    return uniform(seeds ^ _IN_FULL) < share


def _logged_in_full(frame: Frame) -> dict[int, tuple[Candidate, ...]]:
    """Tell what became of every campaign, for a share of the opportunities that is drawn by chance."""
    in_full = _in_full(frame.seeds, frame.settings.log_losers)
    rows = np.flatnonzero(in_full).tolist()
    if not rows:
        return {}
    bids = frame.bids
    # What decisions before took the money of would not have bid.
    codes = frame.removed[bids.opportunities, bids.campaigns]
    solvent = (codes != NoBid.NO_BUDGET) & (codes != NoBid.NO_ADVERTISER_BUDGET)
    bidding = _bidding(frame, np.flatnonzero(in_full[bids.opportunities] & solvent))
    cids = frame.columns.cids
    return {
        row: tuple(
            Candidate(cids[campaign], loss_of(code), *bidding[row, campaign])
            if (row, campaign) in bidding
            else Candidate(cids[campaign], loss_of(code))
            for campaign, code in enumerate(frame.removed[row].tolist())
        )
        for row in rows
    }


def _bidding(frame: Frame, those: Ints) -> dict[tuple[int, int], tuple[str, float, float, float, float, str]]:
    """Return what some bids come to, by row and campaign: all of :class:`Candidate` behind the code."""
    bids, worth, crids = frame.bids, frame.worth, frame.columns.creatives.crids
    begins, _, shares = bids.draws.shares(those)
    propensities = shares[begins[:-1] + bids.draws.chosen[those] - bids.draws.begins[those]]
    figures = (worth.p_click, _cpm(frame), worth.p_purchase)
    return {
        (row, campaign): (crids[creative], *rest)
        for row, campaign, creative, *rest in zip(
            bids.opportunities[those].tolist(),
            bids.campaigns[those].tolist(),
            bids.creatives[those].tolist(),
            *(np.round(column[those], 8).tolist() for column in figures),
            propensities.tolist(),
            map(features_hash, bids.features(those).tolist()),
            strict=True,
        )
    }
