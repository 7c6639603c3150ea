"""Which ad is shown, of all that could be: eligibility, caps, pacing, what a showing is worth, an auction, a creative.

Each campaign bids what a showing is worth to it: its bid times the probability that what it pays for happens. The
highest wins and pays what it had to beat, the second value or the floor. Chance (pacing, creatives) is drawn from the
id of the decision, so a replay decides the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import msgspec
import numpy as np

from processors.ads.ad_features import features_of
from processors.ads.auction import above_floor, auction
from processors.ads.book import MAX_CAMPAIGNS, CampaignBook, Columns
from processors.ads.campaign import MAX_AMOUNT, Campaign, Creative
from processors.ads.click_model import ClickTable, Hashes, hashed, sigmoid
from processors.ads.codes import NoBid
from processors.ads.draws import Draws
from processors.ads.targeting import Opportunity, removed_by
from processors.bounds import Entries, Milliseconds, Share
from processors.events import EventKind
from processors.exploration import uniform
from processors.sources.base import Floats, Ints

Floor = Annotated[float, msgspec.Meta(ge=0.0, le=MAX_AMOUNT)]


class AdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How ads are decided for.

    Parameters
    ----------
    currency
        Of all campaigns: bids in several could not be compared.
    floors
        Least price of one showing by placement; ``floor`` for others.
    consent
        Whether an event or request that says nothing of ``purposes`` comes from somebody who agreed to be known when an
        ad is chosen, ``assumed`` because the app asked before it sent anything, or does not: ``required``.
    on
        Kinds of events that are opportunities, if they name a placement.
    expires_ms
        How long a decision holds.
    impressions
        ``explicit`` counts what the app says was seen, ``inferred`` every decision as seen; never both.
    click_credit_ms, view_credit_ms, purchase_credit_ms
        How long after it was seen a click counts, after it was seen a purchase without a click, after a click a
        purchase.
    decisions, campaigns
        Kept of each user.
    max_campaigns
        Campaigns that take part; beyond that those whose ids sort last are left out.
    exploration
        How much creatives are drawn by chance: 1 as uncertain as they are, 0 always the best.
    log_losers
        Share of the decisions whose log has every campaign, and not only the one that won.
    """

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "EUR"
    floor: Floor = 0.0
    floors: dict[str, Floor] = msgspec.field(default_factory=dict)
    consent: Literal["assumed", "required"] = "assumed"
    on: tuple[EventKind, ...] = ("browse",)
    expires_ms: Milliseconds = 600_000
    impressions: Literal["explicit", "inferred"] = "explicit"
    click_credit_ms: Milliseconds = 1_800_000
    view_credit_ms: Milliseconds = 86_400_000
    purchase_credit_ms: Milliseconds = 604_800_000
    decisions: Entries = 24
    campaigns: Entries = 200
    max_campaigns: Entries = MAX_CAMPAIGNS
    exploration: Share = 1.0
    log_losers: Share = 0.05


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a campaign in a decision: its value for a showing, or why it had no part (``nbr``)."""

    cid: str
    nbr: int = 0
    crid: str | None = None
    p_click: float = 0.0
    value: float = 0.0


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


@dataclass(frozen=True)
class Decided:
    """A decision. Without a winner, ``nbr`` says why.

    Attributes
    ----------
    able
        Number of campaigns that could have taken part, held back by pacing or budget or not.
    candidates
        What became of each campaign; of those that were not shown only if the decision is among those logged in full.
    campaign, creative
        What won.
    price
        Charged if what the campaign pays for happens.
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
    opportunities: dict[str, int] = field(default_factory=dict)


class Decider:
    """Decides for many opportunities at once.

    Parameters
    ----------
    settings
        Of the ads.
    book, clicks, purchases
        The read models of campaigns, of clicks, and of purchases after clicks; the decider only reads them.
    """

    def __init__(self, settings: AdSettings, book: CampaignBook, clicks: ClickTable, purchases: ClickTable) -> None:
        self.settings, self.book, self.clicks, self.purchases = settings, book, clicks, purchases

    def decide(self, opportunities: Sequence[Opportunity]) -> list[Decided]:
        """One decision for each opportunity, in their order.

        Deterministic in opportunities and read models; it makes no difference what else is decided for.

        Complexity: arrays of shape (opportunities, campaigns), and of the creatives of those that bid.
        """
        if not len(self.book):
            return [Decided(nbr=NoBid.NO_CAMPAIGN) for _ in opportunities]
        columns = self.book.columns
        removed = removed_by(opportunities, self.book)
        seeds = np.array([hashed(found.decision_id) for found in opportunities], np.uint64)
        self._cap(removed, opportunities, columns)
        self._pace(removed, seeds, columns)
        bids = self._bids(opportunities, removed, seeds, columns)
        return self._settle(opportunities, removed, bids, columns)

    def _cap(self, removed: Ints, opportunities: Sequence[Opportunity], columns: Columns) -> None:
        """Remove campaigns that users were shown often enough: only those shown before can be."""
        for row, found in enumerate(opportunities):
            shown = [columns.places[cid] for cid in found.profile.ads.shown if cid in columns.places]
            by_advertiser = columns.capped_by_advertiser if shown else columns.capped_by_advertiser & False
            numbers = sorted({*shown, *np.flatnonzero(by_advertiser).tolist()})
            for number in numbers:
                if removed[row, number] or not columns.capped[number]:
                    continue
                caps, advertiser = columns.views[number].campaign.frequency, columns.views[number].campaign.advertiser
                code = found.profile.ads.capped(columns.cids[number], advertiser, caps, found.at_ms)
                if code is not None:
                    removed[row, number] = code

    def _pace(self, removed: Ints, seeds: Hashes, columns: Columns) -> None:
        chance = uniform((seeds[:, None] ^ columns.campaign_keys[None, :]).ravel()).reshape(removed.shape)
        removed[(chance >= columns.rates) & (removed == 0)] = NoBid.PACED

    def _bids(self, opportunities: Sequence[Opportunity], removed: Ints, seeds: Hashes, columns: Columns) -> _Bids:
        """The creative of each pair of opportunity and campaign, by Thompson sampling, and what it is worth."""
        rows, numbers = np.nonzero(removed == 0)
        creatives = columns.creatives
        lengths = creatives.begins[numbers + 1] - creatives.begins[numbers]
        owner = np.repeat(np.arange(len(rows)), lengths)
        if not len(owner):
            return _NO_BIDS
        firsts = np.cumsum(lengths) - lengths
        at = creatives.begins[numbers][owner] + np.arange(len(owner)) - firsts[owner]
        of_row = rows[owner]
        features = features_of(opportunities, of_row, numbers[owner], at, columns)
        logits, spread = self.clicks.logits(features), self.clicks.spread(features) * self.settings.exploration
        draws = Draws.of(lengths, logits + creatives.weights[at], spread, seeds[of_row] ^ creatives.keys[at])
        picked = firsts + draws.chosen
        return _Bids(
            rows=rows,
            numbers=numbers,
            creatives=at[picked],
            clicks=sigmoid(logits),
            expected_click=sigmoid(logits[picked]),
            expected_purchase=self.purchases.probability(features[picked]),
            features=features[picked],
            draws=draws,
        )

    def _settle(
        self, opportunities: Sequence[Opportunity], removed: Ints, bids: _Bids, columns: Columns
    ) -> list[Decided]:
        """The auctions, and what is told of them."""
        worth = _worth_of(bids, columns)
        floors = np.array([found.floor for found in opportunities], np.float64)
        winners, beaten = auction(bids.rows, worth.values, floors)
        above = above_floor(bids.rows, worth.values, floors)
        codes = removed.copy()
        codes[bids.rows, bids.numbers] = np.where(above, NoBid.OUTBID, NoBid.BELOW_FLOOR)
        won = winners[winners >= 0]
        codes[bids.rows[won], bids.numbers[won]] = 0
        able = (removed == 0) | (removed == NoBid.NO_BUDGET) | (removed == NoBid.PACED)
        ables = able.sum(axis=1).tolist()
        begins, shares = bids.draws.shares(won)
        decided, place = [], 0
        for row, found in enumerate(opportunities):
            candidates = self._told(row, found, codes[row], bids, worth, columns, int(winners[row]))
            if winners[row] < 0:
                decided.append(Decided(ables[row], candidates, _furthest(codes[row])))
                continue
            of_creatives = shares[begins[place] : begins[place + 1]]
            place += 1
            won_by = self._won(int(winners[row]), float(beaten[row]), of_creatives, bids, worth, columns)
            decided.append(replace(won_by, able=ables[row], candidates=candidates))
        totals = able.sum(axis=0)
        told = {columns.cids[number]: int(totals[number]) for number in np.flatnonzero(totals).tolist()}
        return [replace(decided[0], opportunities=told), *decided[1:]] if decided else []

    @staticmethod
    def _won(pair: int, beaten: float, shares: Floats, bids: _Bids, worth: _Worth, columns: Columns) -> Decided:
        """The decision that a bid has won."""
        number = int(bids.numbers[pair])
        return Decided(
            cid=columns.cids[number],
            campaign=columns.views[number].campaign,
            creative=columns.creatives.all[bids.creatives[pair]],
            price=round(min(beaten / float(worth.odds[pair]), float(columns.bids[number])), 6),
            p_click=round(float(worth.p_click[pair]), 8),
            p_conversion=round(float(worth.p_purchase[pair]), 8),
            expected_click=round(float(bids.expected_click[pair]), 8),
            expected_purchase=round(float(bids.expected_purchase[pair]), 8),
            propensity=float(shares[bids.draws.chosen[pair]]),
            features=tuple(bids.features[pair].tolist()),
            creatives=_shares_of(pair, shares, bids, columns),
        )

    def _told(
        self, row: int, found: Opportunity, codes: Ints, bids: _Bids, worth: _Worth, columns: Columns, winner: int
    ) -> tuple[Candidate, ...]:
        """What became of each campaign, as far as it is to be logged."""
        if hashed(found.decision_id + "/log") >= self.settings.log_losers * 2.0**64:
            return (_candidate(winner, 0, bids, worth, columns),) if winner >= 0 else ()
        begin, end = np.searchsorted(bids.rows, [row, row + 1]).tolist()
        pairs = dict(zip(bids.numbers[begin:end].tolist(), range(begin, end), strict=True))
        return tuple(
            _candidate(pairs[number], code, bids, worth, columns)
            if number in pairs
            else Candidate(columns.cids[number], code)
            for number, code in enumerate(codes.tolist())
        )


@dataclass(frozen=True)
class _Bids:
    """Of pairs of an opportunity and a campaign, by opportunity: the creative, and what is expected of it.

    ``clicks`` is the probability of a click of every creative that could have been drawn, as the model gives it.
    """

    rows: Ints
    numbers: Ints
    creatives: Ints
    clicks: Floats
    expected_click: Floats
    expected_purchase: Floats
    features: Ints
    draws: Draws


@dataclass(frozen=True)
class _Worth:
    """Of the same pairs: calibrated probabilities, the odds that what is paid for happens, the value of a showing."""

    p_click: Floats
    p_purchase: Floats
    odds: Floats
    values: Floats


def _worth_of(bids: _Bids, columns: Columns) -> _Worth:
    numbers = bids.numbers
    p_click = np.minimum(bids.expected_click * columns.calibration[numbers], 1.0)
    p_purchase = np.minimum(bids.expected_purchase * columns.conversions[numbers], 1.0)
    by_click, by_purchase = columns.pays_click[numbers], columns.pays_purchase[numbers]
    odds = np.where(by_purchase, p_click * p_purchase, np.where(by_click, p_click, 1.0))
    return _Worth(p_click, p_purchase, odds, columns.bids[numbers] * odds)


def _candidate(pair: int, code: int, bids: _Bids, worth: _Worth, columns: Columns) -> Candidate:
    return Candidate(
        columns.cids[bids.numbers[pair]],
        code,
        columns.creatives.all[bids.creatives[pair]].crid,
        round(float(worth.p_click[pair]), 8),
        round(float(worth.values[pair]), 8),
    )


def _shares_of(pair: int, shares: Floats, bids: _Bids, columns: Columns) -> tuple[CreativeShare, ...]:
    """The creatives of a pair, if there are several."""
    if len(shares) == 1:
        return ()
    number, first = int(bids.numbers[pair]), int(bids.draws.firsts[pair])
    begin = int(columns.creatives.begins[number])
    p_click = np.minimum(bids.clicks[first : first + len(shares)] * columns.calibration[number], 1.0)
    creatives = columns.creatives.all[begin : begin + len(shares)]
    return tuple(
        CreativeShare(creative.crid, share, round(clicked, 8))
        for creative, share, clicked in zip(creatives, shares.tolist(), p_click.tolist(), strict=True)
    )


_NO_INTS, _NO_FLOATS = np.empty(0, np.int64), np.empty(0)
_NO_DRAWS = Draws(_NO_INTS, _NO_INTS, _NO_FLOATS, _NO_FLOATS, np.empty(0, np.uint64), _NO_INTS)
_NO_BIDS = _Bids(_NO_INTS, _NO_INTS, _NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_INTS.reshape(0, 1), _NO_DRAWS)


def _furthest(codes: Ints) -> NoBid:
    """Why there is no ad: the reason of the campaigns that came furthest."""
    return NoBid(max(set(codes.tolist()), key=_FURTHEST.index))


_FURTHEST = [code.value for code in NoBid if code != NoBid.DAILY_USER_CAP]
_FURTHEST.insert(_FURTHEST.index(NoBid.FREQUENCY_CAP), NoBid.DAILY_USER_CAP.value)
