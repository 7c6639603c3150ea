"""Metrics of campaigns, of ad decisions and of the models behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import mean

from processors.ads.ad_server import AdServer
from processors.ads.alerts import TEXTS, alerts_of, in_stock_of
from processors.ads.campaign_view import CampaignView, pacing_error
from processors.ads.day_figures import DayFigures
from streams.worker.metric_factory import MetricFactory

_DELAY_BUCKETS = (1, 5, 15, 60, 300, 900, 1800, 3600, 21_600, 86_400, 259_200, 604_800)


class AdMetrics:
    """Counters of ad decisions, and gauges that :meth:`refresh` sets from the read models."""

    def __init__(self, factory: MetricFactory) -> None:
        self.decisions = factory.counter("ad_decisions", "Ad decisions by outcome: filled, or why not.", "outcome")
        self.attribution_delay = factory.histogram(
            "attribution_delay_seconds",
            "From seeing an ad to its click, and from its click, or without one from seeing it, to its purchase.",
            _DELAY_BUCKETS,
            "event",
        )
        self.folded = factory.counter(
            "report_folds",
            "What reports do not name for being too much: a part (creative and placement), breakdowns, days.",
            "what",
        )
        self._make_campaign_gauges(factory)
        self._make_model_gauges(factory)

    def _make_campaign_gauges(self, factory: MetricFactory) -> None:
        self.campaigns = factory.gauge(
            "campaigns",
            "Campaigns known: running, paused, ended, without budget; left out beyond users.ads.max_campaigns.",
            "state",
        )
        self.alerts = factory.gauge("campaign_alerts", "Campaigns that somebody should look at, by what for.", "alert")
        self.spent = factory.gauge("campaign_spent", "Spent by campaigns, in the currency of the ads.", "model")
        self.unbilled = factory.gauge(
            "campaign_unbilled", "Delivered beyond budgets and not billed, in the currency of the ads.", "model"
        )
        self.budget = factory.gauge("campaign_budget", "Budget of campaigns, in the currency of the ads.", "model")
        self.spent_ratio = factory.gauge(
            "campaign_spent_ratio", "Spent of the budget, of the campaigns that worker.campaign_metrics allows.", "cid"
        )
        self.today = factory.gauge(
            "campaign_today",
            "What the campaigns that worker.campaign_metrics allows did today in their time zones, as in reports.",
            "cid",
            "figure",
        )
        self.pacing_error = factory.gauge(
            "pacing_error_ratio",
            "Mean distance of what evenly paced campaigns spent today from their plan, relative to the day's budget.",
        )

    def _make_model_gauges(self, factory: MetricFactory) -> None:
        self.click_calibration = factory.gauge(
            "click_calibration", "What clicks that are predicted are multiplied with, mean over the campaigns.", "model"
        )
        self.purchase_calibration = factory.gauge(
            "purchase_calibration",
            "What purchases after clicks that are predicted are multiplied with, mean over the campaigns.",
            "model",
        )
        self.log_loss = factory.gauge(
            "ad_log_loss",
            "Log loss of predicted clicks, and of purchases after them, lately: of the model, and of the usual share.",
            "event",
            "by",
        )
        self.entropy = factory.gauge(
            "ad_normalised_entropy", "Log loss of the model over that of the usual share, lately.", "event"
        )

    def count(self, decisions: Mapping[str, int], delays: Iterable[tuple[str, int]]) -> None:
        """Count what a step of the users plane decided and attributed.

        Parameters
        ----------
        decisions
            Number of ad decisions per outcome.
        delays
            Kind of each click or purchase that was attributed to an ad, and milliseconds since that ad or its click.
        """
        for outcome, n in decisions.items():
            self.decisions.labels(outcome).inc(n)
        for event, delay_ms in delays:
            self.attribution_delay.labels(event).observe(max(0, delay_ms) / 1000.0)

    def count_folded(self, folded: Mapping[str, int]) -> None:
        """Count what a step of the campaigns plane folded in its reports, by what it was."""
        for what, n in folded.items():
            self.folded.labels(what).inc(n)

    def refresh(self, ads: AdServer, named: int, now_ms: int) -> None:
        """Set the gauges to what the ad server knows now.

        Parameters
        ----------
        ads
            Its campaigns and models are read, none is changed.
        named
            How many campaigns get a series with their id as label: those that have spent most. The number of series
            grows with it.
        now_ms
            The present, milliseconds since the epoch.
        """
        views = ads.campaigns.known
        states: Counter[str] = Counter(running=0, paused=0, ended=0, spent=0, left_out=ads.campaigns.left_out)
        states.update(_state_of(view, now_ms) for view in views.values())
        states["running"] = max(states["running"] - states["left_out"], 0)
        for state, count in states.items():
            self.campaigns.labels(state).set(count)
        in_stock, alerts = in_stock_of(ads.items), Counter[str](dict.fromkeys(TEXTS, 0))
        short = ads.campaigns.short_advertisers(now_ms)
        alerts.update(alert for view in views.values() for alert in alerts_of(view, now_ms, in_stock, short))
        for alert, count in alerts.items():
            self.alerts.labels(alert).set(count)
        self._refresh_models(views.values())
        self.pacing_error.set(pacing_error(views.values()))
        self._refresh_named(sorted(views.items(), key=lambda entry: (-entry[1].spent, entry[0]))[:named], now_ms)
        for event, table in (("click", ads.clicks), ("purchase", ads.purchases)):
            if table.view is not None:
                self.log_loss.labels(event, "model").set(table.view.log_loss)
                self.log_loss.labels(event, "usual share").set(table.view.base_loss)
                self.entropy.labels(event).set(table.view.log_loss / max(table.view.base_loss, 1e-9))

    def _refresh_named(self, views: Iterable[tuple[str, CampaignView]], now_ms: int) -> None:
        """Set what single campaigns have series for; a day that is over leaves none."""
        self.spent_ratio.clear()
        self.today.clear()
        for cid, view in views:
            if not view.campaign.house:
                self.spent_ratio.labels(cid).set(view.spent / view.campaign.budget)
            if now_ms < view.day_ends_ms:
                for figure in DayFigures.__struct_fields__:
                    self.today.labels(cid, figure).set(getattr(view.today, figure))

    def _refresh_models(self, views: Iterable[CampaignView]) -> None:
        """Set what is summed or averaged over the campaigns of each billing model."""
        for gauge in (self.spent, self.budget, self.unbilled, self.click_calibration, self.purchase_calibration):
            gauge.clear()  # a model whose campaigns were withdrawn must leave no series behind
        by_model: dict[str, list[CampaignView]] = {}
        for view in views:
            by_model.setdefault(view.campaign.model, []).append(view)
        for model, group in by_model.items():
            self.spent.labels(model).set(sum(view.spent for view in group))
            self.unbilled.labels(model).set(sum(view.over for view in group))
            self.budget.labels(model).set(sum(view.campaign.budget for view in group))
            self.click_calibration.labels(model).set(mean(view.calibration for view in group))
            self.purchase_calibration.labels(model).set(mean(view.conversion for view in group))


def _state_of(view: CampaignView, now_ms: int) -> str:
    """Return the state that a campaign is counted under."""
    if view.campaign.paused or view.campaign.has_ended(now_ms):
        return "paused" if view.campaign.paused else "ended"
    return "spent" if view.left <= 0.0 and not view.campaign.house else "running"
