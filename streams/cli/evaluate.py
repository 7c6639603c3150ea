"""``nearstream evaluate``: how good the recommendations would have been for a recorded stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.common import settings_of

if TYPE_CHECKING:
    from rich.table import Table

    from streams.settings import Settings


def evaluate(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Events in time order: CSV(.gz) or JSONL.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line on standard output instead of a table.")
    ] = False,
    lists: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the lists shown before each event, as JSONL (or .gz).")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="Only the first events; 0 takes all.")] = 0,
) -> None:
    """Judge the recommendations by a recorded stream: how often the list shown before an event held its item.

    Everything runs in memory, in one process and without a broker.
    """
    import msgspec

    result = _run(file, settings_of(context), lists, limit)
    if as_json:
        typer.echo(msgspec.json.encode(result).decode())
    else:
        from rich.console import Console

        Console().print(figures_table(file.name, result))


def _run(file: Path, settings: Settings, lists: Path | None, limit: int) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import Progress

    from streams.evaluate import evaluate_events
    from streams.eventfile import count_events, read_events

    total = count_events(file)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        events = read_events(file, limit or None)
        tracked = progress.track(events, min(total, limit or total), description=file.name)
        return evaluate_events(tracked, settings, lists)


def figures_table(name: str, result: dict[str, Any]) -> Table:
    """The figures of :func:`streams.evaluate.evaluate_events` for a person to read."""
    from rich.table import Table

    title = f"{name}: {result['events']:,} events, {result['events_per_s']:,} a second"
    if result["refused"]:
        title += f", {result['refused']:,} refused"
    table = Table("part", "events", *_COLUMNS, title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for segment, part in _SEGMENTS.items():
        for variant, which in (("all", "all"), ("new", "first-time pairs")):
            figures = result[segment][variant]
            cells = (f"{figures[key]:.3f}" if key in figures else "–" for key in _COLUMNS.values())
            table.add_row(f"{part}, {which}", f"{figures['n']:,}", *cells)
    return table


_SEGMENTS = {"full": "whole stream", "last50": "last half", "last20": "last fifth"}
_COLUMNS = {"HR@10": "hr10", "HR@20": "hr20", "MRR@20": "mrr20", "NDCG@10": "ndcg10", "ceiling": "ceiling"}
