"""``nearstream replay``: a recorded stream, into Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.common import JsonOption, print_json, settings_of

EXAMPLES = """[bold]Examples[/bold]
  nearstream replay clicks.csv.gz                     flat out
  nearstream replay clicks.csv.gz --speed 60          an hour of it in a minute
  nearstream replay clicks.csv.gz --now --limit 1000  the first 1,000 events, as if the last of them were just now
  nearstream replay events.jsonl --json               one JSON line with the figures at the end

A CSV file has the columns user_id,item_id,event_type,timestamp,price,category (timestamps in Unix seconds); a line of a
JSONL file is an event with its "type". Both may be gzipped.
"""


def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV(.gz) or JSONL(.gz).")],
    speed: Annotated[float, typer.Option(min=0, help="Times as fast as it happened; 0 is flat out.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first events.")] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Shift the times of the events so that the stream ends as it is sent.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Feed recorded events to Kafka, flat out or as fast as you like.

    Event ids follow from file and line, so that a repeated event is known as one.
    """
    from streams.cli.replaying import Replay, progress_bar

    settings = settings_of(context)
    run = Replay(settings, file, speed=speed, limit=limit, now=now)
    with progress_bar(visible=not as_json) as progress:
        task = progress.add_task(file.name, total=run.total())
        result = run.run(lambda events: progress.update(task, completed=events))
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{result.events:,} events in {result.seconds:.1f} s: {result.events_per_s:,.0f} a second")
