"""``nearstream replay``: a recorded stream, into Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.common import JsonOption, print_json, settings_of
from streams.cli.file_options import ColumnsOption, EventFile, LayoutOption, SortOption, tell

EXAMPLES = """[bold]Examples[/bold]
  nearstream replay clicks.csv.gz                      flat out
  nearstream replay clicks.csv.gz --speed 60           an hour in a minute
  nearstream replay clicks.csv.gz --now --limit 1000   as if it happened now
  nearstream replay clicks.csv.gz --new-ids            once more, as new
  nearstream replay events.jsonl --json                figures as JSON

A CSV file begins with user_id,item_id,event_type,timestamp,price,category
(any order; more columns do no harm; separated by comma, semicolon, tab, | or
::). A row may leave off columns at its end that an event does not need.
What is called otherwise: --columns user=UserId,item=ProductID,type=view.
A line of a JSONL file is an event as in the README that also has a "type":
browse, view, rate, click, cart, fav, purchase, refund, dismiss, impression or
request. Times are ISO-8601 or numbers of any unit. Both may be gzipped.
"""


def replay(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV(.gz) or JSONL(.gz).")],
    speed: Annotated[float, typer.Option(min=0, help="Times as fast as it happened; 0 is flat out.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first events.")] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Shift the times of the events so that the stream ends as it is sent.")
    ] = False,
    new_ids: Annotated[
        bool, typer.Option("--new-ids", help="Give every event an id of this run, so that it counts once more.")
    ] = False,
    layout: LayoutOption = None,
    columns: ColumnsOption = None,
    sort: SortOption = False,
    as_json: JsonOption = False,
) -> None:
    """Feed recorded events to Kafka, flat out or as fast as you like.

    An event without an id gets one made of file name and line: the same in every
    run. Workers drop the ids they know, the last 128 of each user (setting
    users.profile.event_ids). To have a file counted once more, give --new-ids.

    Lines that cannot be read are named, and the others are sent. If they are
    more than a tenth, or if no event is read, the exit code is 1.
    """
    from streams.cli.replayer import Replay, progress_bar

    settings = settings_of(context)
    source = EventFile(file, limit, layout, columns, sort)
    run = Replay(settings, source, speed=speed, now=now, new_ids=new_ids)
    with progress_bar(visible=not as_json) as progress:
        task = progress.add_task(file.name, total=run.total())
        result = run.run(lambda events: progress.update(task, completed=events))
    tell(run.reading, file.name)
    if as_json:
        print_json(result)
    else:
        typer.echo(f"{result.events:,} events in {result.seconds:.1f} s: {result.events_per_s:,.0f} a second")
        if result.events:
            typer.echo(_about_ids(settings.users.profile.event_ids, result.id_suffix))
    run.reading.check_lines(file.name, "the others were sent")


def _about_ids(remembered: int, suffix: str) -> str:
    if suffix:
        return f"Every event id ends with {suffix}, so that all of them count."
    return (
        "The event ids are the same in every run: workers drop those they know, the last\n"
        f"{remembered} of each user. --new-ids makes a file count once more."
    )
