"""``nearstream campaigns``: load, list, report, forecast, lift, pause and withdraw campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.campaign_tables import print_lift, print_list, print_report
from streams.cli.common import JsonOption, print_json, settings_of
from streams.cli.forecast import forecast

if TYPE_CHECKING:
    from processors.ads.campaign_view import CampaignView
    from processors.ads.report import Dimension
    from streams.settings.sections import Settings

_EXAMPLES = """[bold]Examples[/bold]
  nearstream campaigns load spring.toml            a table per campaign
  nearstream campaigns load spring.jsonl           a line per campaign
  nearstream campaigns list                        what is spent, and left
  nearstream campaigns report --by creative,day    what they brought
  nearstream campaigns why-not spring-tents        why it is shown seldom
  nearstream campaigns forecast spring.toml        what they could reach
  nearstream campaigns lift                        what they add
  nearstream campaigns pause spring-tents
  nearstream campaigns pause spring-tents --off    let it run again
  nearstream campaigns withdraw spring-tents

A table of a TOML file:
  \\[spring-tents]
  advertiser = "Aster"
  bid = 4.0
  model = "cpm"
  budget = 500.0
  [\\[spring-tents.creatives]]
  crid = "a"
  title = "Tents for spring"
  landing_url = "https://shop.example/tents"
"""

app = typer.Typer(
    help="Campaigns: load, list, report, forecast, pause, withdraw.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command(epilog=_EXAMPLES)
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="TOML, JSON or JSONL.", exists=True, dir_okay=False, readable=True)],
    as_json: JsonOption = False,
) -> None:
    """Publish the campaigns of a file; all are checked before any is sent.

    What is allowed but cannot be meant is named, such as a country that is none.
    """
    from processors.common.topics import CAMPAIGNS_TOPIC
    from streams.cli.connections import consuming, producing
    from streams.kafka.admin import partition_counts
    from streams.operations.campaign_files import read_file
    from streams.operations.campaigns import doubts_in, publish

    settings = settings_of(context)
    campaigns = read_file(file, settings.money.currency)
    partition_counts(settings.kafka, [CAMPAIGNS_TOPIC])  # a producer waits long for a topic that is not there
    with consuming(settings) as consumer:
        doubts = doubts_in(settings, consumer, campaigns)
    with producing(settings) as producer:
        publish(producer, settings, campaigns)
    for cid, said in doubts.items():
        for doubt in said:
            typer.echo(f"warning: {cid}: {doubt}", err=True)
    if as_json:
        print_json({"loaded": list(campaigns), "doubts": doubts})
    else:
        typer.echo(f"loaded {len(campaigns)}: {', '.join(campaigns)}")


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the campaigns that workers know, with what they have spent, and what is the matter with them.

    over: delivered beyond the budget, and not charged. rate: share of the auctions that pacing lets them take part in.
    A priority other than 5 is named; "house" is the shop's own, which pays nothing.
    """
    from streams.cli.connections import consuming
    from streams.operations.campaigns import statuses

    settings = settings_of(context)
    with consuming(settings) as consumer:
        found = statuses(consumer, settings)
    if as_json:
        for status in found:
            print_json(status)
        return
    if not found:
        typer.echo("no campaign is known; nearstream campaigns load FILE publishes some, and a worker takes them in")
        return
    print_list(found)


@app.command()
def report(
    context: typer.Context,
    by: Annotated[
        str, typer.Option(help="What lines are apart by: day, creative, placement, or several: creative,day.")
    ] = "campaign",
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what campaigns brought: impressions, clicks, conversions, spend, revenue.

    The last 60 days are kept one by one, creatives and placements of days as
    far as they are not too many. "earlier" and "(other)" are the rest: lines
    add up to what the campaign did in all.
    """
    from streams.cli.connections import consuming
    from streams.operations import reports

    dimensions = _dimensions(by)
    settings = settings_of(context)
    with consuming(settings) as consumer:
        rows = reports.read_report(settings, consumer, dimensions)
    if as_csv:
        typer.echo(reports.as_csv(rows), nl=False)
    elif as_json:
        for row in rows:
            print_json(row)
    elif not rows:
        typer.echo("nothing has happened to any campaign yet")
    else:
        print_report(rows, dimensions)


def _dimensions(by: str) -> list[Dimension]:
    """Read what the lines of a report are to be apart by; every line is a campaign's."""
    from processors.ads.report import DIMENSIONS

    names = {name.strip() for name in by.split(",")}
    unknown = names - {"campaign", *DIMENSIONS}
    if unknown:
        expected = ", ".join(("campaign", *DIMENSIONS))
        raise typer.BadParameter(f"{', '.join(sorted(unknown))!r}, expected some of {expected}", param_hint="--by")
    return [name for name in DIMENSIONS if name in names]


@app.command("why-not")
def why_not(
    context: typer.Context,
    cid: Annotated[str, typer.Argument(help="Campaign id.")],
    as_json: JsonOption = False,
) -> None:
    """Show why a campaign is not shown more often: at which stage it leaves the decisions that are logged in full."""
    from processors.common.errors import NearstreamError
    from streams.cli.connections import consuming
    from streams.operations import reports

    settings = settings_of(context)
    with consuming(settings) as consumer:
        found = reports.read_funnel(settings, consumer, cid)
    if as_json:
        print_json(found)
        return
    if not found.decisions:
        one_campaign(settings, cid)  # or it says which campaigns there are
        share = settings.users.ads.log_losers
        raise NearstreamError(
            f"no decision logged in full has been made since {cid!r} is known: {share:.0%} of them are "
            "(users.ads.log_losers). nearstream campaigns list says whether it runs; ask again after more requests"
        )
    typer.echo(f"{found.decisions:>8}         decisions that are logged in full")
    for step in found.steps:
        share = step.removed / found.decisions
        typer.echo(f"{-step.removed:>8} {share:>7.1%} {step.stage}: {step.why}")
    typer.echo(f"{found.won:>8} {found.won / found.decisions:>7.1%} shown")


app.command(epilog=_EXAMPLES)(forecast)


@app.command()
def lift(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show what campaigns with a holdout bring beyond what is bought without them, with 95 % intervals."""
    from streams.cli.connections import consuming
    from streams.operations import reports

    settings = settings_of(context)
    with consuming(settings) as consumer:
        rows = reports.read_lift(settings, consumer)
    if as_json:
        for row in rows:
            print_json(row)
        return
    if not rows:
        typer.echo("no campaign with a holdout has won an auction yet; holdout = 0.1 in its table holds out a tenth")
        return
    print_lift(rows)


@app.command()
def pause(
    context: typer.Context,
    cid: Annotated[str, typer.Argument(help="Campaign id.")],
    off: Annotated[bool, typer.Option("--off", help="Let it run again.")] = False,
) -> None:
    """Pause a campaign, or let it run again."""
    from streams.cli.connections import producing
    from streams.operations.campaigns import publish, with_pause

    settings = settings_of(context)
    view = one_campaign(settings, cid)
    with producing(settings) as producer:
        publish(producer, settings, {cid: with_pause(view, paused=not off)})
    typer.echo(f"{cid} {'runs again' if off else 'is paused'}")


@app.command()
def withdraw(context: typer.Context, cid: Annotated[str, typer.Argument(help="Campaign id.")]) -> None:
    """Withdraw a campaign for good; what it spent is remembered."""
    from processors.common.hashing import partition_of
    from processors.common.topics import CAMPAIGNS_TOPIC
    from streams.cli.connections import producing

    settings = settings_of(context)
    one_campaign(settings, cid)
    with producing(settings) as producer:
        partition = partition_of(cid, settings.topics.partitions)
        producer.send(CAMPAIGNS_TOPIC, key=cid.encode(), value=None, partition=partition).get()
    typer.echo(f"{cid} is withdrawn")


def _known(settings: Settings) -> dict[str, CampaignView]:
    from streams.cli.connections import consuming
    from streams.operations.campaigns import known_campaigns

    with consuming(settings) as consumer:
        return known_campaigns(consumer, settings)


def one_campaign(settings: Settings, cid: str) -> CampaignView:
    """Return a campaign that workers know; say which there are if it is none of them."""
    from processors.common.errors import NearstreamError

    found = _known(settings)
    if cid not in found:
        names = ", ".join(list(found)[:8]) or "none"
        raise NearstreamError(f"no campaign {cid!r} is known; there are: {names}")
    return found[cid]
