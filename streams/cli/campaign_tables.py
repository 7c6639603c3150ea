"""What ``nearstream campaigns`` prints for people: the list, the report and the lift."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from processors.ads.report import Dimension, ReportRow
    from streams.operations.campaigns import CampaignStatus
    from streams.operations.reports import LiftRow

_WIDTHS = {"day": 10, "creative": 20, "placement": 16}
"""Least characters of the columns that say what a line of a report is of; longer ids are not cut."""


def print_list(found: Sequence[CampaignStatus]) -> None:
    """Print campaigns with what they have spent, and what is the matter with them."""
    from processors.ads.alerts import TEXTS
    from processors.ads.campaign import MIDDLE_PRIORITY

    typer.echo(
        f"{'campaign':<28} {'model':<5} {'bid':>9} {'spent':>11} {'budget':>11} {'over':>9} "
        f"{'left today':>11} {'rate':>6}"
    )
    for one in found:
        state = "paused" if one.paused else f"{one.rate:.3f}"
        model = "house" if one.house else one.model
        typer.echo(
            f"{one.cid:<28} {model:<5} {one.bid:>9.2f} {one.spent:>11.2f} {one.budget:>11.2f} "
            f"{one.over:>9.2f} {one.left_today:>11.2f} {state:>6}"
        )
        if one.priority != MIDDLE_PRIORITY:
            typer.echo(f"  priority {one.priority}")
        if one.goal is not None:
            typer.echo(_goal_line(one))
        for alert in one.alerts:
            typer.echo(f"  {alert}: {TEXTS[alert]}")
        for doubt in one.doubts:
            typer.echo(f"  doubtful: {doubt}")


def _goal_line(one: CampaignStatus) -> str:
    """Say what the campaign's money is to achieve, and what it achieved lately."""
    assert one.goal is not None
    target = f"cpa {one.goal.cpa:.2f}" if one.goal.cpa is not None else f"roas {one.goal.roas:.2f}"
    return f"  goal: {target}, lately {_figure(one.achieved, '.2f')}, with a factor of {_figure(one.factor, '.2f')}"


def print_report(rows: Sequence[ReportRow], by: Sequence[Dimension]) -> None:
    """Print what campaigns brought, with columns for what the lines are apart by."""
    titles = "".join(f"{name:<{_WIDTHS[name]}} " for name in by)
    typer.echo(
        f"{'campaign':<24} {titles}{'eligible':>9} {'won':>8} {'seen':>8} {'clicks':>7} {'ctr':>7} {'bought':>6} "
        f"{'spend':>10} {'revenue':>10} {'ecpm':>8} {'ecpc':>8} {'ecpa':>8} {'roas':>6} {'beyond':>8} {'filtered':>8}"
    )
    for row in rows:
        names = "".join(f"{getattr(row, name):<{_WIDTHS[name]}} " for name in by)
        typer.echo(
            f"{row.cid:<24} {names}{_figure(row.eligible, ''):>9} {row.won:>8} {row.impressions:>8} "
            f"{row.clicks:>7} {_figure(row.ctr, '.2%'):>7} {row.conversions:>6} {row.spend:>10.2f} "
            f"{row.revenue:>10.2f} {_figure(row.ecpm, '.2f'):>8} {_figure(row.ecpc, '.2f'):>8} "
            f"{_figure(row.ecpa, '.2f'):>8} {_figure(row.roas, '.2f'):>6} {row.beyond:>8.2f} {row.filtered:>8}"
        )


def print_lift(rows: Sequence[LiftRow]) -> None:
    """Print what campaigns with a holdout bring beyond what is bought without them."""
    typer.echo(
        f"{'campaign':<24} {'users':>8} {'held out':>8} {'buy':>7} {'held buy':>8} {'lift (95 %)':>26} "
        f"{'money per user (95 %)':>30}"
    )
    for row in rows:
        shares = _interval(row.conversion_lift, row.conversion_low, row.conversion_high, "+.2%")
        money = _interval(row.revenue_lift, row.revenue_low, row.revenue_high, "+.2f")
        typer.echo(
            f"{row.cid:<24} {row.users:>8} {row.users_held:>8} {_figure(row.buying, '.2%'):>7} "
            f"{_figure(row.buying_held, '.2%'):>8} {shares:>26} {money:>30}"
        )


def _interval(estimate: float | None, low: float | None, high: float | None, form: str) -> str:
    return "-" if estimate is None else f"{estimate:{form}} ({_figure(low, form)} to {_figure(high, form)})"


def _figure(figure: float | None, form: str) -> str:
    return "-" if figure is None else format(figure, form)
