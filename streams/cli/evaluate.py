"""``nearstream evaluate``: how good the recommendations would have been for a recorded stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import JsonOption, console, print_json, settings_of
from streams.cli.file_options import ColumnsOption, EventFile, LayoutOption, SortOption, tell

if TYPE_CHECKING:
    from rich.table import Table

    from streams.settings.sections import Settings

LEGEND = """HR@10, HR@20  how often the event's item was in the first 10, 20 of the list
MRR@20        mean of 1/rank; 0 for an item that was not among the first 20
NDCG@10       as HR@10, but a low rank counts less: 1/log2(rank + 1)
ceiling       how often anybody had touched the item before: no HR is higher
first-time    events whose user had not touched the item before, judged by a
              list without anything the user had touched
"""
"""What the columns and rows of the figures mean."""

EXAMPLES = f"""[bold]Examples[/bold]
  nearstream evaluate clicks.csv.gz                        a table
  nearstream evaluate clicks.csv.gz --json --limit 10000   the first, as JSON
  nearstream evaluate clicks.csv.gz --settings new.toml    with other settings
  nearstream evaluate clicks.csv.gz --lists shown.jsonl    keep the lists
  nearstream evaluate clicks.csv.gz --html report.html     charts

{LEGEND}"""


def evaluate(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV(.gz) or JSONL(.gz), oldest first (or --sort).")
    ],
    lists: Annotated[
        Path | None,
        typer.Option(dir_okay=False, metavar="FILE", help="Write the lists shown before each event: JSONL(.gz)."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(dir_okay=False, metavar="FILE", help="Write a report with charts: HTML.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first events.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Most events judged before any of them is learned.")] = 16,
    layout: LayoutOption = None,
    columns: ColumnsOption = None,
    sort: SortOption = False,
    as_json: JsonOption = False,
) -> None:
    """Judge the recommendations by a recorded stream: how often the list shown before an event held its item.

    Runs in memory, without a broker. Files of which too little can be read, or
    whose times run back or cannot be, are refused.
    """
    if lists is not None and lists.exists() and lists.samefile(file):
        raise typer.BadParameter("names the file with the events, which would be lost", param_hint="--lists")
    if html is not None and html.exists() and html.samefile(file):
        raise typer.BadParameter("names the file with the events, which would be lost", param_hint="--html")
    result = _run(EventFile(file, limit, layout, columns, sort), settings_of(context), lists, html, batch)
    if as_json:
        print_json(result)
    else:
        console().print(figures_table(file.name, result))
        typer.echo(f"\n{LEGEND}", nl=False)


def _run(file: EventFile, settings: Settings, lists: Path | None, html: Path | None, batch: int) -> dict[str, Any]:
    from streams.cli.replayer import progress_bar
    from streams.datasets.files import count_events
    from streams.datasets.reading import Reading
    from streams.evaluation.prequential import evaluate_events

    name, reading = file.path.name, Reading()
    total = count_events(file.path)
    with progress_bar(visible=True) as progress:
        for _ in progress.track(
            file._replace(sort=False).read(reading), min(total, file.limit or total), description="reading"
        ):
            pass
        tell(reading, name)
        reading.check(name, in_order=not file.sort)
        events = progress.track(file.read(), reading.events, description=name)
        result = evaluate_events(events, settings, lists, html, name, batch)
    return result | {"unread": sum(reading.unread.values())}


def figures_table(name: str, result: dict[str, Any]) -> Table:
    """Return the figures of :func:`streams.evaluation.prequential.evaluate_events` as a table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    title = f"{name}: {result['events']:,} events, {result['events_per_s']:,} a second"
    if result["refused"]:
        title += f", {result['refused']:,} refused"
    table = Table("part", "pairs", "events", *_COLUMNS, title=title, box=SIMPLE_HEAD, show_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    for segment, part in _SEGMENTS.items():
        for variant, pairs in (("all", "all"), ("new", "first-time")):
            figures = result[segment][variant]
            cells = (f"{figures[key]:.3f}" if key in figures else "–" for key in _COLUMNS.values())
            table.add_row(part, pairs, f"{figures['n']:,}", *cells)
    return table


_SEGMENTS = {"full": "whole", "last50": "last half", "last20": "last fifth"}
_COLUMNS = {"HR@10": "hr10", "HR@20": "hr20", "MRR@20": "mrr20", "NDCG@10": "ndcg10", "ceiling": "ceiling"}
