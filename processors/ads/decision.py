"""What comes of the auctions: decisions, and what is logged of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import numpy as np

from processors.ads.auction import above_floor, auction
from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_index import Columns
from processors.ads.creative_sampling import CreativeDraws
from processors.ads.no_bid import NoBid
from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.models.click_model import packed


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a campaign in a decision.

    Parameters
    ----------
    nbr
        Why it had no part or lost; 0 of the one that won.
    crid, propensity
        The creative that was drawn, and with which probability.
    p_click, p_conversion, value
        What a showing was expected to lead to, and what it was worth.
    features_hash
        Stands for the features that the probabilities were computed from.
    """

    cid: str
    nbr: int = 0
    crid: str | None = None
    p_click: float = 0.0
    value: float = 0.0
    p_conversion: float = 0.0
    propensity: float = 1.0
    features_hash: str = ""


class CreativeShare(msgspec.Struct, frozen=True):
    """How a creative of the campaign that won stood in the draw: its share of the draws, and what was expected of it.

    Parameters
    ----------
    propensity
        Share of the draws; those of a campaign's creatives sum to 1.
    p_click
        Probability of a click, had it been shown.
    """

    crid: str
    propensity: float
    p_click: float


class AuctionResult(msgspec.Struct, frozen=True):
    """A decision. Without a winner, ``nbr`` says why.

    Parameters
    ----------
    able
        Number of campaigns that could have taken part, held back by pacing or budget or not.
    candidates
        What became of each campaign; of those that were not shown only if the decision is among those logged in full.
    campaign, creative
        What won.
    price, cost
        Charged if what the campaign pays for happens, and what that comes to for one showing on average.
    p_click, p_conversion
        Probabilities that a showing is clicked, and that a click is followed by a purchase.
    expected_click, expected_purchase
        The same as the models gave them, before the campaign's calibration.
    propensity
        Probability with which this creative of the campaign was chosen.
    features
        Hashed, of the click model.
    creatives
        All of the campaign's, if there was a choice: what other policies would have done is judged by them.
    opportunities
        How many of the opportunities decided for at once each campaign could have taken part in. Only the first of
        those decisions has it.
    """

    able: int = 0
    candidates: tuple[Candidate, ...] = ()
    nbr: NoBid | None = None
    cid: str = ""
    campaign: Campaign | None = None
    creative: Creative | None = None
    price: float = 0.0
    p_click: float = 0.0
    p_conversion: float = 0.0
    expected_click: float = 0.0
    expected_purchase: float = 0.0
    propensity: float = 1.0
    features: tuple[int, ...] = ()
    creatives: tuple[CreativeShare, ...] = ()
    opportunities: dict[str, int] = msgspec.field(default_factory=dict)
    cost: float = 0.0


@dataclass(frozen=True)
class Bids:
    """Of pairs of an opportunity and a campaign, by opportunity: the creative, and what is expected of it.

    ``clicks`` is the probability of a click of every creative that could have been drawn, as the model gives it;
    ``ties`` say which of two equal bids wins.
    """

    rows: Ints
    numbers: Ints
    creatives: Ints
    clicks: Floats
    expected_click: Floats
    expected_purchase: Floats
    features: Ints
    ties: Hashes
    draws: CreativeDraws


def decisions_of(bids: Bids, removed: Ints, floors: Floats, in_full: Flags, columns: Columns) -> list[AuctionResult]:
    """Hold the auctions, and make a decision of each.

    Parameters
    ----------
    bids
        Of all opportunities.
    removed
        What kept each campaign from each opportunity, shape (opportunities, campaigns).
    floors, in_full
        Of each opportunity: the least price, and whether what became of every campaign is logged.
    """
    worth = _worth_of(bids, columns)
    least = np.maximum(floors[bids.rows], columns.floors[bids.numbers])
    winners, beaten = auction(bids.rows, worth.values, least, bids.ties, len(floors))
    above = above_floor(worth.values, least)
    codes = removed.copy()
    codes[bids.rows, bids.numbers] = np.where(above, NoBid.OUTBID, NoBid.BELOW_FLOOR)
    won = np.flatnonzero(winners >= 0)
    codes[won, bids.numbers[winners[won]]] = 0
    able = (removed == 0) | (removed == NoBid.NO_BUDGET) | (removed == NoBid.PACED)
    ables, totals = able.sum(axis=1).tolist(), able.sum(axis=0)
    told = {columns.cids[number]: int(totals[number]) for number in np.flatnonzero(totals).tolist()}
    full = {row: _all_candidates(row, codes[row], bids, worth, columns) for row in np.flatnonzero(in_full).tolist()}
    found = {
        row: _of_winner(one, ables[row], full.get(row), told if row == 0 else {}, columns)
        for row, one in zip(won.tolist(), _winners(winners[won], beaten[won], bids, worth, columns), strict=True)
    }
    for row in np.flatnonzero(winners < 0).tolist():
        candidates = full.get(row, ())
        found[row] = AuctionResult(
            ables[row], candidates, _furthest(codes[row]), opportunities=told if row == 0 else {}
        )
    return [found[row] for row in range(len(floors))]


class _Winner(NamedTuple):
    """What a winning bid comes to, as plain figures."""

    number: int
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


def _winners(pairs: Ints, beaten: Floats, bids: Bids, worth: _Worth, columns: Columns) -> Iterator[_Winner]:
    """The winning bids; figures are rounded for all of them at once."""
    numbers, draws = bids.numbers[pairs], bids.draws
    prices = np.minimum(beaten / worth.odds[pairs], columns.bids[numbers])
    begins, shares = draws.shares(pairs)
    clicks = bids.clicks[draws.members(pairs)] * np.repeat(columns.calibration[numbers], draws.lengths[pairs])
    figures = (worth.p_click, worth.p_purchase, bids.expected_click, bids.expected_purchase, worth.values)
    rounded = (np.round(column[pairs], 8).tolist() for column in figures)
    firsts = columns.creatives.begins[numbers].tolist()
    flat_shares, flat_clicks = shares.tolist(), np.round(np.minimum(clicks, 1.0), 8).tolist()
    rows = zip(
        numbers.tolist(),
        bids.creatives[pairs].tolist(),
        np.round(prices, 6).tolist(),
        (prices * worth.odds[pairs]).tolist(),
        *rounded,
        draws.chosen[pairs].tolist(),
        bids.features[pairs].tolist(),
        strict=True,
    )
    ends = begins.tolist()
    for row, first, begin, end in zip(rows, firsts, ends[:-1], ends[1:], strict=True):
        crids = columns.creatives.crids[first : first + end - begin]
        yield _Winner._make((*row, crids, flat_shares[begin:end], flat_clicks[begin:end]))


def _of_winner(
    one: _Winner,
    able: int,
    candidates: tuple[Candidate, ...] | None,
    opportunities: dict[str, int],
    columns: Columns,
) -> AuctionResult:
    cid, creative = columns.cids[one.number], columns.creatives.all[one.creative]
    several = len(one.crids) > 1
    return AuctionResult(
        able,
        candidates or (_candidate_of(cid, one, creative.crid),),
        cid=cid,
        campaign=columns.views[one.number].campaign,
        creative=creative,
        price=one.price,
        cost=one.cost,
        p_click=one.p_click,
        p_conversion=one.p_purchase,
        expected_click=one.expected_click,
        expected_purchase=one.expected_purchase,
        propensity=one.shares[one.chosen],
        features=tuple(one.features),
        creatives=tuple(map(CreativeShare, one.crids, one.shares, one.clicks)) if several else (),
        opportunities=opportunities,
    )


def _candidate_of(cid: str, one: _Winner, crid: str) -> Candidate:
    return Candidate(
        cid,
        crid=crid,
        p_click=one.p_click,
        value=one.value,
        p_conversion=one.p_purchase,
        propensity=one.shares[one.chosen],
        features_hash=features_hash(one.features),
    )


def features_hash(features: Sequence[int]) -> str:
    """What stands for the features of the click model in the log.

    Examples
    --------
    >>> features_hash((7, 16383)) == features_hash((7, 16383)) != features_hash((7, 16382))
    True
    """
    return blake2b(packed(features), digest_size=8).hexdigest()


def _all_candidates(row: int, codes: Ints, bids: Bids, worth: _Worth, columns: Columns) -> tuple[Candidate, ...]:
    """What became of each campaign."""
    pairs = np.arange(*np.searchsorted(bids.rows, [row, row + 1]))
    begins, shares = bids.draws.shares(pairs)
    propensities = shares[begins[:-1] + bids.draws.chosen[pairs]]
    creatives = bids.creatives[pairs].tolist()
    figures = (worth.p_click, worth.values, worth.p_purchase)
    rounded = zip(*(np.round(column[pairs], 8).tolist() for column in figures), propensities.tolist(), strict=True)
    hashes = map(features_hash, bids.features[pairs].tolist())
    bidding = {
        number: (columns.creatives.crids[creative], *of_pair, found)
        for number, creative, of_pair, found in zip(
            bids.numbers[pairs].tolist(), creatives, rounded, hashes, strict=True
        )
    }
    return tuple(Candidate(columns.cids[n], code, *bidding.get(n, ())) for n, code in enumerate(codes.tolist()))


@dataclass(frozen=True)
class _Worth:
    """Of the bids: calibrated probabilities, the odds that what is paid for happens, the value of a showing."""

    p_click: Floats
    p_purchase: Floats
    odds: Floats
    values: Floats


def _worth_of(bids: Bids, columns: Columns) -> _Worth:
    numbers = bids.numbers
    p_click = np.minimum(bids.expected_click * columns.calibration[numbers], 1.0)
    p_purchase = np.minimum(bids.expected_purchase * columns.conversions[numbers], 1.0)
    by_click, by_purchase = columns.pays_click[numbers], columns.pays_purchase[numbers]
    odds = np.where(by_purchase, p_click * p_purchase, np.where(by_click, p_click, 1.0))
    return _Worth(p_click, p_purchase, odds, columns.bids[numbers] * odds)


def _furthest(codes: Ints) -> NoBid:
    """Why there is no ad: the reason of the campaigns that came furthest."""
    return NoBid(max(set(codes.tolist()), key=_FURTHEST.index))


_FURTHEST = [code.value for code in NoBid if code != NoBid.DAILY_USER_CAP]
_FURTHEST.insert(_FURTHEST.index(NoBid.FREQUENCY_CAP), NoBid.DAILY_USER_CAP.value)
