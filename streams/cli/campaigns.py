"""``nearstream campaigns``: load, list, pause and withdraw campaigns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.common import JsonOption, print_json, settings_of

if TYPE_CHECKING:
    from processors.ads.campaign_view import CampaignView
    from streams.settings.sections import Settings

_EXAMPLES = """[bold]Examples[/bold]
  nearstream campaigns load spring.toml            a table per campaign
  nearstream campaigns load spring.jsonl           a line per campaign
  nearstream campaigns list                        what is spent, and left
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
    help="Campaigns: load, list, pause, withdraw.",
    epilog=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command(epilog=_EXAMPLES)
def load(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="TOML or JSONL.", exists=True, dir_okay=False, readable=True)],
    as_json: JsonOption = False,
) -> None:
    """Publish the campaigns of a file; all are checked before any is sent."""
    from streams.cli.connections import producing
    from streams.operations.campaigns import publish, read_file

    settings = settings_of(context)
    campaigns = read_file(file, settings.money.currency)
    with producing(settings) as producer:
        publish(producer, settings, campaigns)
    if as_json:
        print_json({"loaded": list(campaigns)})
    else:
        typer.echo(f"loaded {len(campaigns)}: {', '.join(campaigns)}")


@app.command("list")
def list_(context: typer.Context, as_json: JsonOption = False) -> None:
    """Show the campaigns that workers know, with what they have spent."""
    from streams.operations.campaigns import status_of

    settings = settings_of(context)
    found = [status_of(cid, view) for cid, view in _known(settings).items()]
    if as_json:
        for status in found:
            print_json(status)
        return
    if not found:
        typer.echo("no campaign is known; nearstream campaigns load FILE publishes some, and a worker takes them in")
        return
    typer.echo(
        f"{'campaign':<28} {'model':<5} {'bid':>9} {'spent':>11} {'budget':>11} {'over':>9} "
        f"{'left today':>11} {'rate':>6}"
    )
    for one in found:
        state = "paused" if one.paused else f"{one.rate:.3f}"
        typer.echo(
            f"{one.cid[:28]:<28} {one.model:<5} {one.bid:>9.2f} {one.spent:>11.2f} {one.budget:>11.2f} "
            f"{one.over:>9.2f} {one.left_today:>11.2f} {state:>6}"
        )


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
    view = _one(settings, cid)
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
    _one(settings, cid)
    with producing(settings) as producer:
        partition = partition_of(cid, settings.topics.partitions)
        producer.send(CAMPAIGNS_TOPIC, key=cid.encode(), value=None, partition=partition).get()
    typer.echo(f"{cid} is withdrawn")


def _known(settings: Settings) -> dict[str, CampaignView]:
    from streams.cli.connections import consuming
    from streams.operations.campaigns import known_campaigns

    with consuming(settings) as consumer:
        return known_campaigns(consumer, settings)


def _one(settings: Settings, cid: str) -> CampaignView:
    from processors.common.errors import NearstreamError

    found = _known(settings)
    if cid not in found:
        names = ", ".join(list(found)[:8]) or "none"
        raise NearstreamError(f"no campaign {cid!r} is known; there are: {names}")
    return found[cid]
