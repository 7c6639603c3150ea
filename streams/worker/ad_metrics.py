"""What a worker tells Prometheus of campaigns and of the models behind the ads."""

from __future__ import annotations

from collections import Counter
from statistics import mean

from processors.ads.ad_server import AdServer
from processors.ads.campaign_view import CampaignView, pacing_error
from streams.worker.metrics import Metrics


def refresh_ads(metrics: Metrics, ads: AdServer, named: int) -> None:
    """Bring the gauges of the ads up to date.

    Parameters
    ----------
    named
        Campaigns that have a series of their own with their id in it: those that have spent most.
    """
    views = ads.campaigns.views
    states: Counter[str] = Counter(running=0, paused=0, spent=0, left_out=ads.campaigns.left_out)
    states.update(_state_of(view) for view in views.values())
    for state, count in states.items():
        metrics.campaigns.labels(state).set(count)
    by_model: dict[str, list[CampaignView]] = {}
    for view in views.values():
        by_model.setdefault(view.campaign.model, []).append(view)
    sums = metrics.campaign_spent, metrics.campaign_budget, metrics.campaign_over
    for gauge in (*sums, metrics.click_calibration, metrics.purchase_calibration, metrics.campaign_part):
        gauge.clear()  # what was withdrawn must leave no series behind
    for model, those in by_model.items():
        metrics.campaign_spent.labels(model).set(sum(view.spent for view in those))
        metrics.campaign_over.labels(model).set(sum(view.over for view in those))
        metrics.campaign_budget.labels(model).set(sum(view.campaign.budget for view in those))
        metrics.click_calibration.labels(model).set(mean(view.calibration for view in those))
        metrics.purchase_calibration.labels(model).set(mean(view.conversion for view in those))
    metrics.pacing_error.set(pacing_error(views.values()))
    for cid, view in sorted(views.items(), key=lambda entry: (-entry[1].spent, entry[0]))[:named]:
        metrics.campaign_part.labels(cid).set(view.spent / view.campaign.budget)
    for event, table in (("click", ads.clicks), ("purchase", ads.purchases)):
        if table.view is not None:
            metrics.ad_log_loss.labels(event, "model").set(table.view.log_loss)
            metrics.ad_log_loss.labels(event, "usual share").set(table.view.base_loss)
            metrics.ad_entropy.labels(event).set(table.view.log_loss / max(table.view.base_loss, 1e-9))


def _state_of(view: CampaignView) -> str:
    return "paused" if view.campaign.paused else "spent" if view.left <= 0.0 else "running"
