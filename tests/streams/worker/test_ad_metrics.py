"""What Prometheus gets to know of campaigns."""

from collections import Counter

import msgspec
import pytest

from processors.ads.ad_server import AdServer
from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_view import CampaignView
from processors.ads.day_figures import DayFigures
from processors.ads.settings import AdSettings
from processors.models.interest_groups import InterestGroups
from processors.planes.campaigns import CampaignsStep
from state.position import Position
from streams.engine.partition import Prepared
from streams.worker.metrics import Metrics
from streams.worker.step_metrics import StepSeconds

TENT = Creative("a", "A tent", "https://shop.example/")


@pytest.fixture
def ads() -> AdServer:
    ads = AdServer(AdSettings(max_campaigns=3), InterestGroups(), 1)
    ads.campaigns.apply("big", CampaignView(Campaign("shop", (TENT,), 2.0, 100.0), left=60.0, spent=40.0))
    ads.campaigns.apply("done", CampaignView(Campaign("shop", (TENT,), 2.0, 10.0, model="cpc"), spent=10.0))
    ads.campaigns.apply("rest", CampaignView(Campaign("shop", (TENT,), 2.0, 100.0, paused=True), left=100.0))
    ads.campaigns.apply("tiny", CampaignView(Campaign("shop", (TENT,), 1.0, 100.0), left=100.0))
    ads.campaigns.apply("some", CampaignView(Campaign("shop", (TENT,), 1.5, 100.0), left=15.0, spent=85.0))
    return ads


def test_campaigns_are_counted_by_state_and_money_by_model(ads: AdServer) -> None:
    metrics = Metrics()
    metrics.ads.refresh(ads, named=1, now_ms=0)
    value = metrics.registry.get_sample_value
    states = {state: value("nearstream_campaigns", {"state": state}) for state in ("running", "paused", "spent")}
    assert states == {"running": 2.0, "paused": 1.0, "spent": 1.0}
    assert value("nearstream_campaigns", {"state": "left_out"}) == 1.0
    assert value("nearstream_campaign_spent", {"model": "cpm"}) == 125.0
    assert value("nearstream_campaign_alerts", {"alert": "spent_80"}) == 1.0
    assert value("nearstream_campaign_alerts", {"alert": "paused"}) == 1.0
    assert value("nearstream_campaign_alerts", {"alert": "out_of_stock"}) == 0.0
    assert value("nearstream_campaign_budget", {"model": "cpc"}) == 10.0


def test_ids_are_in_metrics_of_those_that_spent_most_and_no_longer_than_that(ads: AdServer) -> None:
    metrics = Metrics()
    metrics.ads.refresh(ads, named=1, now_ms=0)
    assert metrics.registry.get_sample_value("nearstream_campaign_spent_ratio", {"cid": "some"}) == 0.85
    metrics.ads.refresh(ads, named=0, now_ms=0)
    assert metrics.registry.get_sample_value("nearstream_campaign_spent_ratio", {"cid": "some"}) is None


def test_single_campaigns_show_what_they_did_today_until_the_day_is_over(ads: AdServer) -> None:
    metrics, labels = Metrics(), {"cid": "some", "figure": "clicks"}
    view = msgspec.structs.replace(ads.campaigns.known["some"], today=DayFigures(clicks=7), day_ends_ms=1000)
    ads.campaigns.apply("some", view)
    for now_ms, clicks in ((999, 7.0), (1000, None)):
        metrics.ads.refresh(ads, named=1, now_ms=now_ms)
        assert metrics.registry.get_sample_value("nearstream_campaign_today", labels) == clicks


def test_what_reports_leave_out_is_counted() -> None:
    metrics = Metrics()
    step = CampaignsStep(folded=Counter(part=2))
    metrics.count_step("campaigns", Prepared(step, [], [], [], Position()), StepSeconds(0.0, 0.0, 0.0), None)
    assert metrics.registry.get_sample_value("nearstream_report_folds_total", {"what": "part"}) == 2.0


def test_a_model_without_campaigns_leaves_no_series(ads: AdServer) -> None:
    metrics = Metrics()
    metrics.ads.refresh(ads, named=0, now_ms=0)
    ads.campaigns.apply("done", None)
    metrics.ads.refresh(ads, named=0, now_ms=0)
    assert metrics.registry.get_sample_value("nearstream_campaign_spent", {"model": "cpc"}) is None


def test_campaigns_of_the_house_run_without_money(ads: AdServer) -> None:
    metrics, house = Metrics(), Campaign("shop", (TENT,), house=True)
    for cid in ("big", "some", "tiny"):
        ads.campaigns.apply(cid, None)
    value = metrics.registry.get_sample_value
    metrics.ads.refresh(ads, named=9, now_ms=0)
    before = value("nearstream_campaigns", {"state": "running"})
    ads.campaigns.apply("own", CampaignView(house))
    waiting = msgspec.structs.replace(TENT, status="pending")
    ads.campaigns.apply("waits", CampaignView(Campaign("shop", (waiting,), 2.0, 100.0), left=100.0))
    metrics.ads.refresh(ads, named=9, now_ms=0)
    assert before is not None
    assert value("nearstream_campaigns", {"state": "running"}) == before + 2.0
    assert value("nearstream_campaign_spent_ratio", {"cid": "own"}) is None
    assert value("nearstream_campaign_alerts", {"alert": "not_approved"}) == 1.0
    assert value("nearstream_campaign_alerts", {"alert": "spent_80"}) == 0.0
