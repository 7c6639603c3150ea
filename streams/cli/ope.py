"""``nearstream ope``: what other policies would have earned, from the log of the one that ran."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import JsonOption, console, print_json, settings_of

if TYPE_CHECKING:
    from rich.table import Table

    from streams.datasets.files import ShowProgress
    from streams.datasets.open_bandit import Log
    from streams.settings.sections import Settings

LEGEND = """estimate    mean reward per row (clicks per impression) with its 95 % interval
replay      rows that rejection sampling accepts as the policy's own
IPS         rows weighted by how much more the policy would do so
SNIPS       the same, divided by the sum of the weights
DR          a model of the rewards, corrected by the weighted rows
rows, ESS   rows that count, and how many of equal weight they are worth
"""
"""What the columns mean."""

EXAMPLES = f"""[bold]Examples[/bold]
  nearstream ope                           ads of the running system
  nearstream ope obd/random/men            a folder in the Open Bandit layout
  nearstream ope men.csv.gz --policy uniform --policy fixed:14
  nearstream ope log.jsonl --outcomes events.jsonl --json
  nearstream ope men.csv --policy file:mine.csv
  nearstream ope dsjson.jsonl.gz           a log of Vowpal Wabbit

[bold]Policies[/bold]
  logged         the one that ran: the plain mean
  uniform        each action that could have been shown, equally often
  best           the one clicked most, learned from the first half of the
                 log; all are then evaluated on the second
  fixed:ACTION   always this item, or this creative as CAMPAIGN/CREATIVE
  file:FILE      CSV or JSONL: action, probability and, if they differ by
                 row, row (the decision's id, or the first column)

[bold]Columns[/bold]
{LEGEND}
Of our own log only creatives can be judged, each within its campaign: the
auction chooses campaigns without chance.
"""


def ope(
    context: typer.Context,
    log: Annotated[
        str, typer.Argument(metavar="LOG", help="CSV(.gz), its folder, or JSONL(.gz); - is the running system.")
    ] = "-",
    policy: Annotated[
        list[str] | None, typer.Option(metavar="POLICY", help="Several are possible. [default: logged, uniform, best]")
    ] = None,
    outcomes: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, metavar="FILE", help="Impressions and clicks to a JSONL log."),
    ] = None,
    campaign: Annotated[str | None, typer.Option(metavar="ID", help="Only decisions that this campaign won.")] = None,
    clip: Annotated[
        float | None, typer.Option(min=1.0, max=1e9, help="Bound on importance weights: less variance, more bias.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Estimate what other choices of ads would have earned (off-policy evaluation)."""
    from processors.evaluation.off_policy import OpeSettings
    from streams.cli.replayer import progress_bar
    from streams.evaluation.off_policy import DEFAULT, check_names, evaluate_policies

    names = tuple(dict.fromkeys(policy or DEFAULT))
    try:
        check_names(names)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--policy") from error
    _check(log, outcomes, campaign)
    with progress_bar(visible=True) as progress:

        def show(things: Any, total: int, name: str) -> Any:
            return progress.track(things, total, description=name)

        found = _read(log, outcomes, campaign, settings_of(context), show)
        result = evaluate_policies(found, names, OpeSettings() if clip is None else OpeSettings(clip=clip), show)
    if as_json:
        print_json(result)
    else:
        _print_estimates(log if log != "-" else "decisions", result)


def _print_estimates(name: str, result: dict[str, Any]) -> None:
    console().print(estimates_table(name, result))
    for policy in result["policies"]:
        for warning in policy["warnings"]:
            typer.echo(f"{policy['policy']}: {warning}")
    typer.echo(f"\n{LEGEND}", nl=False)


def _check(log: str, outcomes: Path | None, campaign: str | None) -> None:
    """Make sure that the options fit the log."""
    path = Path(log)
    if log != "-" and not path.exists():
        raise typer.BadParameter(f"{log!r} does not exist", param_hint="LOG")
    ours = path.name.endswith((".jsonl", ".jsonl.gz"))
    if log != "-" and not ours and not path.is_dir() and not path.name.endswith((".csv", ".csv.gz")):
        raise typer.BadParameter(f"{log!r}, expected CSV(.gz), JSONL(.gz) or a folder", param_hint="LOG")
    if outcomes is None and ours:
        from streams.datasets.vowpal_wabbit import is_dsjson

        if is_dsjson(path):
            return
        raise typer.BadParameter("needed: a decision log does not say what was clicked", param_hint="--outcomes")
    if outcomes is not None and not ours:
        raise typer.BadParameter("goes with a JSONL log; others hold what was clicked", param_hint="--outcomes")
    if campaign is not None and not ours and log != "-":
        raise typer.BadParameter("goes with our own decisions, which this file has none of", param_hint="--campaign")


def _read(log: str, outcomes: Path | None, campaign: str | None, settings: Settings, show: ShowProgress) -> Log:
    if log == "-":
        from streams.cli.connections import consuming
        from streams.datasets.decision_log import read_topics

        with consuming(settings) as consumer:
            return read_topics(consumer, settings, campaign, show)
    if outcomes is not None:
        from streams.datasets.decision_log import read_decisions

        return read_decisions(Path(log), outcomes, campaign, show)
    if log.endswith((".jsonl", ".jsonl.gz")):
        from streams.datasets.vowpal_wabbit import read_dsjson

        return read_dsjson(Path(log), show)
    from streams.datasets.open_bandit import read_open_bandit

    return read_open_bandit(Path(log), show)


def estimates_table(name: str, result: dict[str, Any]) -> Table:
    """Return the estimates of :func:`streams.evaluation.off_policy.evaluate_policies` as a table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    title = f"{name}: {result['rows']:,} rows, {result['actions']:,} actions, as logged {result['logged']:.5f}"
    if result["learned_from"]:
        title += f", best learned from {result['learned_from']:,} rows before"
    table = Table("policy", "estimator", "estimate", "interval", "rows", "ESS", title=title, box=SIMPLE_HEAD)
    for column in table.columns[2:]:
        column.justify = "right"
    for found in result["policies"]:
        names = {"mean": "replay"} if found["policy"] == "logged" else _NAMES
        for number, (shown, key) in enumerate(names.items()):
            one = found["estimates"][key]
            table.add_row(
                Text(found["policy"] if not number else ""),
                shown,
                f"{one['value']:.5f}",
                f"{one['low']:.5f} – {one['high']:.5f}",
                f"{one['rows']:,}",
                f"{one['ess']:,.0f}",
                end_section=number == len(names) - 1,
            )
    return table


_NAMES = {"replay": "replay", "IPS": "ips", "SNIPS": "snips", "DR": "dr"}
