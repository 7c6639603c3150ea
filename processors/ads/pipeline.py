"""Which ad is shown, of all that could be: eligibility, caps, pacing, what a showing is worth, an auction, a creative.

Each campaign bids what a showing is worth to it: its bid times the probability that what it pays for happens. The
highest wins and pays what it had to beat, the second value or the floor. Chance (pacing, creatives) is drawn from the
id of the decision, so a replay decides the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.ads.campaign_index import CampaignIndex, Columns
from processors.ads.creative_sampling import CreativeDraws
from processors.ads.decision import AuctionResult, Bids, decisions_of
from processors.ads.features import features_of
from processors.ads.frequency import capped
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.ads.settings import AdSettings
from processors.ads.targeting import removed_by, without_money
from processors.common.arrays import Hashes, Ints
from processors.common.hashing import hashed
from processors.common.random import uniform
from processors.models.click_model import ClickModel, sigmoid

_IN_FULL = np.uint64(hashed("logged in full"))


class AdPipeline:
    """Decides for many opportunities at once.

    Parameters
    ----------
    settings
        Of the ads.
    book, clicks, purchases
        The read models of campaigns, of clicks, and of purchases after clicks; the decider only reads them.
    """

    def __init__(self, settings: AdSettings, book: CampaignIndex, clicks: ClickModel, purchases: ClickModel) -> None:
        self.settings, self.book, self.clicks, self.purchases = settings, book, clicks, purchases

    def decide(self, opportunities: Sequence[Opportunity]) -> list[AuctionResult]:
        """One decision for each opportunity, in their order.

        Deterministic in opportunities and read models; it makes no difference what else is decided for.

        Complexity: arrays of shape (opportunities, campaigns), and of the creatives of those that bid.
        """
        if not len(self.book):
            return [AuctionResult(nbr=NoBid.NO_CAMPAIGN) for _ in opportunities]
        columns = self.book.columns
        removed = removed_by(opportunities, self.book)
        seeds = np.array([hashed(found.decision_id) for found in opportunities], np.uint64)
        self._cap(removed, opportunities, columns)
        without_money(removed, opportunities, self.book)
        self._pace(removed, seeds, columns)
        bids = self._bids(opportunities, removed, seeds, columns)
        floors = np.array([found.floor for found in opportunities], np.float64)
        in_full = uniform(seeds ^ _IN_FULL) < self.settings.log_losers
        return decisions_of(bids, removed, floors, in_full, columns)

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
                code = capped(found.profile.ads, columns.cids[number], advertiser, caps, found.at_ms)
                if code is not None:
                    removed[row, number] = code

    def _pace(self, removed: Ints, seeds: Hashes, columns: Columns) -> None:
        chance = uniform((seeds[:, None] ^ columns.campaign_keys[None, :]).ravel()).reshape(removed.shape)
        removed[(chance >= columns.rates) & (removed == 0)] = NoBid.PACED

    def _bids(self, opportunities: Sequence[Opportunity], removed: Ints, seeds: Hashes, columns: Columns) -> Bids:
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
        logits, unsure = self.clicks.logits(features), self.clicks.spread(features)
        # What is preferred counts as long as nothing is known, and less the more certain the model is.
        preferred = creatives.weights[at] * np.minimum(unsure / self.clicks.first_spread(features), 1.0)
        keys, spread = seeds[of_row] ^ creatives.keys[at], unsure * self.settings.exploration
        draws = CreativeDraws.of(lengths, logits + preferred, spread, keys)
        picked = firsts + draws.chosen
        return Bids(
            rows=rows,
            numbers=numbers,
            creatives=at[picked],
            clicks=sigmoid(logits),
            expected_click=sigmoid(logits[picked]),
            expected_purchase=self.purchases.probability(features[picked]),
            features=features[picked],
            ties=seeds[rows] ^ columns.campaign_keys[numbers],
            draws=draws,
        )


_NO_INTS, _NO_FLOATS = np.empty(0, np.int64), np.empty(0)
_NO_TIES = np.empty(0, np.uint64)
_NO_DRAWS = CreativeDraws(_NO_INTS, _NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_TIES, _NO_INTS)
_NO_BIDS = Bids(
    _NO_INTS, _NO_INTS, _NO_INTS, _NO_FLOATS, _NO_FLOATS, _NO_FLOATS, _NO_INTS.reshape(0, 1), _NO_TIES, _NO_DRAWS
)
