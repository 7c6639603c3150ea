"""Campaigns find out what they are worth, and the chance that an ad was shown is how often it is."""

import json
import random

import numpy as np
import pytest

from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.opportunity import Opportunity
from processors.ads.pipeline import AdPipeline
from processors.ads.settings import AdSettings
from processors.models.click_model import ClickModel
from processors.users.profile import Profile
from tests.processors.ads.shop import Shop, campaign

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

CLICKED, OF_RIVAL = 0.05, 0.03
"""Share of the showings that are clicked: of the campaign that pays for clicks, and of its rival."""


def late_share(worth: float, seed: int, visits: int = 1500) -> float:
    """Share of the last fifth of the ads of a campaign of this worth, relative to a rival that pays for showings."""
    chance, shop, won = random.Random(seed), Shop(partitions=1, impressions="inferred"), list[bool]()
    shop.put(f"cpc {seed}", campaign(model="cpc", bid=1.0, budget=1e8))
    shop.put("rival", campaign(bid=1000.0 * CLICKED / worth, budget=1e8))
    for begin in range(0, visits, 25):
        shop.now += 50_000
        asked = [
            {"request_id": f"r{n}", "user_id": f"u{n}", "timestamp": shop.now, "placement": "top"}
            for n in range(begin, begin + 25)
        ]
        records = [(str(one["user_id"]).encode(), json.dumps(one).encode(), ()) for one in asked]
        shop.driver.pipe_batch("ads.requests.v1", records, shop.now)
        for told in shop.read("ad-decisions.v1"):
            won.append(told["cid"] != "rival")
            if chance.random() < (CLICKED if won[-1] else OF_RIVAL):
                shop.click(told, after_ms=1)
    return sum(won[-visits // 5 :]) / (visits // 5)


@pytest.mark.parametrize("seed", range(4))
def test_a_campaign_worth_four_times_its_rival_runs_on_whatever_its_luck_at_first(seed: int) -> None:
    assert late_share(4.0, seed) > 0.9


def test_one_that_is_worth_less_stops() -> None:
    assert late_share(0.7, 0) < 0.2


def test_the_chance_that_is_logged_is_how_often_an_ad_is_shown_among_rivals() -> None:
    index, clicks = CampaignIndex(), ClickModel()

    def put(cid: str, model: str, bid: float, *crids: str) -> None:
        creatives = tuple(Creative(crid, "An ad", "https://shop.example/") for crid in crids)
        index.apply(cid, CampaignView(Campaign("shop", creatives, bid, 1e9, model=model), left=1e9, left_today=1e9))  # type: ignore[arg-type]

    put("c", "cpc", 1.0, "a", "b")
    put("d", "cpc", 0.9, "a")
    put("m", "cpm", 160.0, "a")
    pipeline, n = AdPipeline(AdSettings(log_losers=0.0), index, clicks, ClickModel()), 6000
    asked = [
        Opportunity(f"d{number}", "u", Profile(), 1_700_000_000_000, "top", {"placement": "top"}) for number in range(n)
    ]
    shown: dict[str, list[float]] = {}
    for decided in pipeline.decide(asked):
        assert decided.creative is not None
        shown.setdefault(f"{decided.cid}/{decided.creative.crid}", []).append(decided.propensity)
    assert set(shown) == {"c/a", "c/b", "d/a", "m/a"}
    for chances in shown.values():
        often = len(chances) / n
        # Each showing stands for as many moments as its chance says; moments whose 16 draws never show it are missed.
        stands_for = float(np.sum(1.0 / np.array(chances))) / n
        assert stands_for == pytest.approx(1.0 - (1.0 - often) ** 16, abs=0.06)
