"""From a frame that has been through all stages to one :class:`processors.ads.decision.AuctionResult` per opportunity.

Figures are rounded as they are published, for all decisions at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from processors.ads.campaign_columns import Columns
from processors.ads.decision import AuctionResult, Candidate, CreativeShare, features_hash
from processors.ads.frame import Frame
from processors.ads.no_bid import NoBid
from processors.common.arrays import Flags, Ints
from processors.common.hashing import hashed
from processors.common.random import uniform

_IN_FULL = np.uint64(hashed("logged in full"))


def results_of(frame: Frame, could_win: Flags, no_bids: Mapping[int, NoBid]) -> list[AuctionResult]:
    """Make the decision for each of the first so many opportunities, in their order.

    Parameters
    ----------
    frame
        After all stages; not empty.
    could_win
        Which campaigns could have taken part, held back or not; shape (opportunities to decide for, campaigns).
    no_bids
        Why there is no ad, by row of each opportunity without a winner.
    """
    count = len(could_win)
    able, candidates = could_win.sum(axis=1).tolist(), _logged_in_full(frame)
    rows = np.flatnonzero(frame.winners[:count] >= 0)
    found = {row: AuctionResult(able[row], candidates.get(row, ()), nbr) for row, nbr in no_bids.items() if row < count}
    for row, won in zip(rows.tolist(), _winners(frame, rows), strict=True):
        found[row] = _won(won, able[row], candidates.get(row), frame.columns)
    return [found[row] for row in range(count)]


class _Winner(NamedTuple):
    """What a winning bid comes to, as plain figures."""

    campaign: int
    creative: int
    price: float
    cost: float
    p_click: float
    p_purchase: float
    expected_click: float
    expected_purchase: float
    value: float
    chosen: int
    features: list[int]
    crids: tuple[str, ...]
    shares: list[float]
    clicks: list[float]


def _winners(frame: Frame, rows: Ints) -> Iterator[_Winner]:
    """Read off the winning bids of some opportunities."""
    bids, worth, columns, draws = frame.bids, frame.worth, frame.columns, frame.bids.draws
    won = frame.winners[rows]
    campaigns, prices = bids.campaigns[won], frame.prices(rows)
    begins, shares = draws.shares(won)
    clicks = bids.clicks[draws.members(won)] * np.repeat(columns.calibration[campaigns], draws.lengths[won])
    figures = (worth.p_click, worth.p_purchase, bids.expected_click, bids.expected_purchase, worth.values)
    plain = zip(
        campaigns.tolist(),
        bids.creatives[won].tolist(),
        np.round(prices, 6).tolist(),
        (prices * worth.odds[won]).tolist(),
        *(np.round(column[won], 8).tolist() for column in figures),
        draws.chosen[won].tolist(),
        bids.features[won].tolist(),
        strict=True,
    )
    firsts, ends = columns.creatives.begins[campaigns].tolist(), begins.tolist()
    flat_shares, flat_clicks = shares.tolist(), np.round(np.minimum(clicks, 1.0), 8).tolist()
    for row, first, begin, end in zip(plain, firsts, ends[:-1], ends[1:], strict=True):
        crids = columns.creatives.crids[first : first + end - begin]
        yield _Winner._make((*row, crids, flat_shares[begin:end], flat_clicks[begin:end]))


def _won(won: _Winner, able: int, candidates: tuple[Candidate, ...] | None, columns: Columns) -> AuctionResult:
    cid, creative = columns.cids[won.campaign], columns.creatives.all[won.creative]
    several = len(won.crids) > 1
    return AuctionResult(
        able,
        candidates or (_candidate_of(cid, won, creative.crid),),
        cid=cid,
        campaign=columns.views[won.campaign].campaign,
        creative=creative,
        price=won.price,
        cost=won.cost,
        p_click=won.p_click,
        p_conversion=won.p_purchase,
        expected_click=won.expected_click,
        expected_purchase=won.expected_purchase,
        propensity=won.shares[won.chosen],
        features=tuple(won.features),
        creatives=tuple(map(CreativeShare, won.crids, won.shares, won.clicks)) if several else (),
    )


def _candidate_of(cid: str, won: _Winner, crid: str) -> Candidate:
    return Candidate(
        cid,
        crid=crid,
        p_click=won.p_click,
        value=won.value,
        p_conversion=won.p_purchase,
        propensity=won.shares[won.chosen],
        features_hash=features_hash(won.features),
    )


def _logged_in_full(frame: Frame) -> dict[int, tuple[Candidate, ...]]:
    """Tell what became of every campaign, for a share of the opportunities that is drawn by chance."""
    in_full = uniform(frame.seeds ^ _IN_FULL) < frame.settings.log_losers
    rows = np.flatnonzero(in_full).tolist()
    if not rows:
        return {}
    bidding, cids = _bidding(frame, np.flatnonzero(in_full[frame.bids.opportunities])), frame.columns.cids
    return {
        row: tuple(
            Candidate(cids[campaign], code, *bidding.get((row, campaign), ()))
            for campaign, code in enumerate(frame.removed[row].tolist())
        )
        for row in rows
    }


def _bidding(frame: Frame, those: Ints) -> dict[tuple[int, int], tuple[str, float, float, float, float, str]]:
    """Return what some bids come to, by row and campaign: all of :class:`Candidate` behind the code."""
    bids, worth, crids = frame.bids, frame.worth, frame.columns.creatives.crids
    begins, shares = bids.draws.shares(those)
    propensities = shares[begins[:-1] + bids.draws.chosen[those]]
    figures = (worth.p_click, worth.values, worth.p_purchase)
    return {
        (row, campaign): (crids[creative], *rest)
        for row, campaign, creative, *rest in zip(
            bids.opportunities[those].tolist(),
            bids.campaigns[those].tolist(),
            bids.creatives[those].tolist(),
            *(np.round(column[those], 8).tolist() for column in figures),
            propensities.tolist(),
            map(features_hash, bids.features[those].tolist()),
            strict=True,
        )
    }
