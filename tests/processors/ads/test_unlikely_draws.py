"""An ad whose draw was most unlikely is logged with a chance all the same: what was shown could be shown."""

from __future__ import annotations

import numpy as np

from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.decision import AuctionResult
from processors.ads.opportunity import Opportunity
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.common.hashing import hashed
from processors.common.random import normal
from processors.models.click_model import PURCHASE_LOGIT, ClickModel
from processors.users.profile import Profile

NOW = 1_700_000_000_000
FAR = 3.6
IDS = [f"d{number}" for number in range(60_000)]
SEEDS = np.array([hashed(one) for one in IDS], np.uint64)


def _campaign(cid: str, creatives: str, bid: float, model: str = "cpm", priority: int = 5) -> CampaignView:
    made = tuple(Creative(crid, crid, "https://shop.example/a") for crid in creatives)
    one = Campaign(cid, made, bid, 1e6, model="cpc" if model == "cpc" else "cpm", pacing="asap", priority=priority)
    return CampaignView(one, left=1e6, left_today=1e6, evidence=50.0)


def _extreme(cid: str, crid: str, sign: int) -> list[str]:
    """Return the opportunities at which the draw of a creative is far above what is expected, or below."""
    draws = sign * normal(SEEDS ^ np.uint64(hashed(f"creative:{cid}/{crid}")))
    return [IDS[number] for number in np.flatnonzero(draws > FAR)]


def _decide(views: list[CampaignView], number: str, floor: float) -> AuctionResult:
    index = CampaignIndex()
    for view in views:
        index.apply(view.campaign.advertiser, view)
    purchases = ClickModel(first_logit=PURCHASE_LOGIT)
    pipeline = AdPipeline(AdSettings(log_losers=0.0), index, ClickModel(), purchases)
    (decided,) = pipeline.decide([Opportunity(number, "u", Profile(), NOW, "top", {}, floor=floor)])
    return decided


def test_an_ad_that_reached_the_floor_by_an_unlikely_draw() -> None:
    views, asked = [_campaign("c", "ab", 1.0, "cpc")], [*_extreme("c", "a", 1), *_extreme("c", "b", 1)]
    assert asked
    for number in asked:
        drawn = _decide(views, number, 0.0).candidates[0].value / 1000.0
        decided = _decide(views, number, 0.999 * drawn)
        assert decided.cid == "c"
        assert decided.propensity > 0.0


def test_an_ad_that_was_shown_because_a_higher_tier_drew_unlikely_little() -> None:
    promised, rest = _campaign("promised", "a", 1.0, "cpc", priority=9), _campaign("rest", "a", 500.0)
    asked = _extreme("promised", "a", -1)
    assert asked
    for number in asked:
        drawn = _decide([promised], number, 0.0).candidates[0].value / 1000.0
        decided = _decide([promised, rest], number, 1.001 * drawn)
        assert decided.cid == "rest"
        assert decided.propensity > 0.0
