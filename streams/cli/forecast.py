"""``nearstream campaigns forecast``: what a campaign could reach before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.common import JsonOption, print_json, settings_of

if TYPE_CHECKING:
    from processors.ads.campaign_view import CampaignView
    from processors.ads.forecast import Forecast
    from processors.ads.lift import Interval
    from streams.settings.sections import Settings


def forecast(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="A file as for load.", exists=True, dir_okay=False, readable=True),
    ] = None,
    cid: Annotated[str | None, typer.Option("--campaign", help="A campaign that is loaded, instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what campaigns could reach on a day, and win at their bids, by the decisions of the last days.

    Nothing is published. Every decision that the log has is made again with
    the campaign, against the ad that was shown and with the user as known now.
    Budget and pacing are left out, and what requests demand that is not in the
    log: floors, blocked advertisers and categories, sizes.
    """
    from streams.cli.connections import consuming
    from streams.operations.forecast import read_forecasts

    if (file is None) == (cid is None):
        raise typer.BadParameter("expected either FILE or --campaign", param_hint="FILE")
    settings = settings_of(context)
    views = _views(settings, file, cid)
    with consuming(settings) as consumer:
        found = read_forecasts(settings, consumer, views)
    for one in found:
        if as_json:
            print_json(one)
        else:
            _print(one, settings.money.currency)


def _views(settings: Settings, file: Path | None, cid: str | None) -> dict[str, CampaignView]:
    """Return the campaigns of a file, or the one that is loaded."""
    from processors.ads.campaign import read_campaign
    from processors.ads.campaign_view import CampaignView
    from streams.cli.campaigns import one_campaign
    from streams.operations.campaign_files import read_file

    if file is None:
        return {cid or "": one_campaign(settings, cid or "")}
    return {name: CampaignView(read_campaign(raw)) for name, raw in read_file(file, settings.money.currency).items()}


def _print(found: Forecast, currency: str) -> None:
    from processors.ads.forecast import NOT_KNOWN

    share = "" if found.share == 1.0 else f", of {found.share:.1%} of the users"
    typer.echo(f"{found.cid}: {found.decisions} decisions of {found.days} days{share}")
    if found.requests:
        typer.echo(
            f"  {found.requests} of them were asked for by requests. What these demanded themselves is not in the log\n"
            f"  and left out ({NOT_KNOWN}): there it may reach less"
        )
    for step in found.steps:
        typer.echo(f"  {-step.removed:>9} {step.removed / found.decisions:>7.1%} {step.stage}: {step.why}")
    if found.too_little:
        typer.echo(f"  too little is known: {found.too_little}")
        return
    typer.echo(f"  {'a day':<15} {'about':>12}   in 95 of 100 cases")
    for name, interval, unit in (
        ("users", found.users, ""),
        ("opportunities", found.opportunities, ""),
        ("won", found.won, ""),
        ("cost", found.cost, f" {currency}"),
    ):
        if interval is not None:
            typer.echo(f"  {name:<15} {_line(interval, unit)}")
    if found.budget_daily is not None:
        typer.echo(f"  {'daily budget':<15} {found.budget_daily:>12,.2f} {currency}")


def _line(interval: Interval, unit: str) -> str:
    form = ",.2f" if unit else ",.0f"
    return f"{interval.estimate:>12{form}}   {interval.low:{form}} to {interval.high:{form}}{unit}"
