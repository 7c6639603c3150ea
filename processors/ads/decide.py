"""Which ad is shown, of all that could be: eligibility, caps, pacing, what a showing is worth, an auction, a creative.

Each campaign bids what a showing is worth to it: its bid times the probability that what it pays for happens. The
highest wins and pays what it had to beat, the second value or the floor. Chance (pacing, creatives) is drawn from the
id of the decision, so a replay decides the same.

References
----------
W. Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of Finance 16, 1961.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np

from processors.ads.ad_features import features_of
from processors.ads.book import CampaignBook, Columns
from processors.ads.campaign import MAX_AMOUNT, Campaign, Creative, Frequency
from processors.ads.click_model import ClickTable, Hashes, hashed, sigmoid
from processors.ads.codes import NoBid
from processors.ads.targeting import Opportunity, removed_by
from processors.bounds import Entries, Milliseconds, Share
from processors.events import EventKind
from processors.exploration import uniform
from processors.runs import run_begins
from processors.sources.base import Floats, Ints

_DRAWS = 32


Floor = Annotated[float, msgspec.Meta(ge=0.0, le=MAX_AMOUNT)]


class AdSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How ads are decided for.

    Parameters
    ----------
    currency
        Of all campaigns: bids in several could not be compared.
    floors
        Least price of one showing by placement; ``floor`` for others.
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
    exploration
        How much creatives are drawn by chance: 1 as uncertain as they are, 0 always the best.
    log_losers
        Share of the decisions whose log has every campaign, and not only the one that won.
    """

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "EUR"
    floor: Floor = 0.0
    floors: dict[str, Floor] = msgspec.field(default_factory=dict)
    on: tuple[EventKind, ...] = ("browse",)
    expires_ms: Milliseconds = 600_000
    impressions: Literal["explicit", "inferred"] = "explicit"
    click_credit_ms: Milliseconds = 1_800_000
    view_credit_ms: Milliseconds = 86_400_000
    purchase_credit_ms: Milliseconds = 604_800_000
    decisions: Entries = 24
    campaigns: Entries = 200
    exploration: Share = 1.0
    log_losers: Share = 0.05


class Candidate(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a campaign in a decision: its value for a showing, or why it had no part (``nbr``)."""

    cid: str
    nbr: int = 0
    crid: str | None = None
    p_click: float = 0.0
    value: float = 0.0


@dataclass(frozen=True)
class Decided:
    """A decision. Without a winner, ``nbr`` says why.

    Attributes
    ----------
    could
        Campaigns that could have taken part, held back by pacing or budget or not.
    candidates
        What became of each campaign; of those that were not shown only if the decision is among those logged in full.
    campaign, creative
        What won.
    price
        Charged if what the campaign pays for happens.
    propensity
        Probability with which this creative of the campaign was chosen.
    features
        Hashed, of the click model.
    """

    could: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    nbr: NoBid | None = None
    cid: str = ""
    campaign: Campaign | None = None
    creative: Creative | None = None
    price: float = 0.0
    p_click: float = 0.0
    p_conversion: float = 0.0
    propensity: float = 1.0
    features: tuple[int, ...] = ()


class Decider:
    """Decides for many opportunities at once.

    Parameters
    ----------
    settings
        Of the ads.
    book, clicks
        The read models of campaigns and of clicks; the decider only reads them.
    """

    def __init__(self, settings: AdSettings, book: CampaignBook, clicks: ClickTable) -> None:
        self.settings, self.book, self.clicks = settings, book, clicks

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
        return [self._settle(row, found, removed[row], bids, columns) for row, found in enumerate(opportunities)]

    def _cap(self, removed: Ints, opportunities: Sequence[Opportunity], columns: Columns) -> None:
        limited = np.array([view.campaign.frequency != _UNLIMITED for view in columns.views], np.bool_)
        for row, number in np.argwhere((removed == 0) & limited).tolist():
            campaign = columns.views[number].campaign
            found = opportunities[row]
            code = found.profile.ads.capped(columns.cids[number], campaign.advertiser, campaign.frequency, found.at_ms)
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
        of_row, of_campaign = rows[owner], numbers[owner]
        features = features_of(opportunities, of_row, of_campaign, at, columns)
        logits, spread = self.clicks.logits(features), self.clicks.spread(features) * self.settings.exploration
        mean = logits + creatives.weights[at]
        keys = seeds[of_row] ^ creatives.keys[at]
        drawn = mean + _normal(keys) * spread
        best = np.flatnonzero(drawn == np.maximum.reduceat(drawn, firsts)[owner])
        picked = best[run_begins(owner[best])]
        return _Bids(
            rows=rows,
            numbers=numbers,
            creatives=at[picked],
            p_click=np.minimum(sigmoid(logits[picked]) * columns.calibration[numbers], 1.0),
            features=features[picked],
            firsts=firsts,
            lengths=lengths,
            chosen=picked - firsts,
            draws=_Draws(mean, spread, keys),
        )

    def _settle(self, row: int, found: Opportunity, removed: Ints, bids: _Bids, columns: Columns) -> Decided:
        """The auction of one opportunity."""
        mine = slice(*np.searchsorted(bids.rows, [row, row + 1]).tolist())
        numbers, p_click = bids.numbers[mine], bids.p_click[mine]
        conversions = columns.conversions[numbers]
        per_action = columns.pays_click[numbers] | columns.pays_purchase[numbers]
        odds = np.where(per_action, np.where(columns.pays_purchase[numbers], p_click * conversions, p_click), 1.0)
        values = columns.bids[numbers] * odds
        # Equal values: the lower campaign id, whose number is lower.
        order = np.argsort(-values, kind="stable")
        above = order[(values[order] >= found.floor) & (values[order] > 0.0)]
        codes = removed.copy()
        codes[numbers] = NoBid.BELOW_FLOOR
        codes[numbers[above]] = NoBid.OUTBID
        could = tuple(columns.cids[number] for number in np.flatnonzero(np.isin(removed, _COULD)).tolist())
        if not len(above):
            nbr = _furthest(codes)
            return Decided(could, self._told(found, codes, numbers, values, bids, mine, columns), nbr)
        winner = int(above[0])
        number = int(numbers[winner])
        codes[number] = 0
        beaten = max(found.floor, float(values[above[1]]) if len(above) > 1 else 0.0)
        pair = mine.start + winner
        return Decided(
            could,
            self._told(found, codes, numbers, values, bids, mine, columns),
            cid=columns.cids[number],
            campaign=columns.views[number].campaign,
            creative=columns.creatives.all[bids.creatives[pair]],
            price=round(min(beaten / float(odds[winner]), float(columns.bids[number])), 6),
            p_click=round(float(p_click[winner]), 8),
            p_conversion=round(float(conversions[winner]), 8),
            propensity=bids.propensity(pair),
            features=tuple(bids.features[pair].tolist()),
        )

    def _told(
        self, found: Opportunity, codes: Ints, numbers: Ints, values: Floats, bids: _Bids, mine: slice, columns: Columns
    ) -> tuple[Candidate, ...]:
        """What became of each campaign, as far as it is to be logged."""
        full = hashed(found.decision_id + "/log") < self.settings.log_losers * 2.0**64
        worth = dict(zip(numbers.tolist(), range(mine.start, mine.stop), strict=True))
        told = []
        for number in range(len(codes)) if full else np.flatnonzero(codes == 0).tolist():
            pair = worth.get(number)
            if pair is None:
                told.append(Candidate(columns.cids[number], int(codes[number])))
            else:
                told.append(
                    Candidate(
                        columns.cids[number],
                        int(codes[number]),
                        columns.creatives.all[bids.creatives[pair]].crid,
                        round(float(bids.p_click[pair]), 8),
                        round(float(values[pair - mine.start]), 8),
                    )
                )
        return tuple(told)


@dataclass(frozen=True)
class _Draws:
    """Of every creative that could have been drawn: its mean logit, how uncertain that is, and a key of its chance."""

    mean: Floats
    spread: Floats
    keys: Hashes


@dataclass(frozen=True)
class _Bids:
    """Of pairs of an opportunity and a campaign, by opportunity: the creative, and what was expected of it."""

    rows: Ints
    numbers: Ints
    creatives: Ints
    p_click: Floats
    features: Ints
    firsts: Ints
    lengths: Ints
    chosen: Ints
    draws: _Draws

    def propensity(self, pair: int) -> float:
        """Share of :data:`_DRAWS` draws, the one that counted among them, that choose the creative of a pair."""
        these = slice(int(self.firsts[pair]), int(self.firsts[pair] + self.lengths[pair]))
        if self.lengths[pair] == 1:
            return 1.0
        keys = self.draws.keys[these][None, :] + np.arange(_DRAWS, dtype=np.uint64)[:, None]
        drawn = self.draws.mean[these] + _normal(keys.ravel()).reshape(keys.shape) * self.draws.spread[these]
        return round(float((drawn.argmax(axis=1) == self.chosen[pair]).mean()), 6)


_NO_INTS, _NO_FLOATS, _NO_HASHES = np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint64)
_NO_BIDS = _Bids(
    _NO_INTS,
    _NO_INTS,
    _NO_INTS,
    _NO_FLOATS,
    _NO_INTS.reshape(0, 1),
    _NO_INTS,
    _NO_INTS,
    _NO_INTS,
    _Draws(_NO_FLOATS, _NO_FLOATS, _NO_HASHES),
)
_UNLIMITED = Frequency()


def _furthest(codes: Ints) -> NoBid:
    """Why there is no ad: the reason of the campaigns that came furthest."""
    return NoBid(max(set(codes.tolist()), key=_FURTHEST.index))


_COULD = (0, NoBid.NO_BUDGET.value, NoBid.PACED.value)
_FURTHEST = [code.value for code in NoBid if code != NoBid.DAILY_USER_CAP]
_FURTHEST.insert(_FURTHEST.index(NoBid.FREQUENCY_CAP), NoBid.DAILY_USER_CAP.value)


def _normal(seeds: Hashes) -> Floats:
    """Standard normal numbers, one per seed (Box and Muller)."""
    radius = np.sqrt(-2.0 * np.log(uniform(seeds)))
    found: Floats = radius * np.cos(2.0 * np.pi * uniform(seeds ^ np.uint64(0xD1B54A32D192ED03)))
    return found
