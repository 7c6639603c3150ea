"""``nearstream topics``: show and create the topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.common import JsonOption, console, print_json, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from streams.kafka.topics import TopicState

EXAMPLES = """[bold]Examples[/bold]
  nearstream topics             what there is, and what is missing or wrong
  nearstream topics --create    create what is missing, as \\[topics] says
"""


def topics(
    context: typer.Context,
    create: Annotated[bool, typer.Option("--create", help="Create the topics that are missing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show Nearstream's topics: partitions, replication, cleanup policy, offsets.

    There are at most as many records as offsets: each transaction takes one of
    them for its marker, and compaction empties some.
    """
    from streams.kafka.topics import describe_topics, ensure_topics

    settings = settings_of(context)
    created = ensure_topics(settings).created if create else ()
    states = describe_topics(settings)
    if as_json:
        print_json({"created": created, "topics": states})
        return
    for name in created:
        typer.echo(f"created {name}")
    console().print(topic_table(states))
    for difference in (difference for state in states for difference in state.differences):
        typer.echo(str(difference), err=True)
    if any(state.state == "missing" for state in states):
        typer.echo("create the missing ones: nearstream topics --create", err=True)


def topic_table(states: Sequence[TopicState]) -> Table:
    """Return the topics as a table for people."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    table.add_column("topic", overflow="fold")
    table.add_column("state")
    table.add_column("partitions", justify="right")
    table.add_column("replicas", justify="right")
    table.add_column("cleanup")
    table.add_column("offsets", justify="right")
    colours = {"ok": "green", "missing": "yellow", "wrong": "red"}
    for state in states:
        figures = (
            [
                str(state.partitions),
                str(state.replication),
                state.cleanup_policy or "unknown",
                f"{state.records_at_most:,}",
            ]
            if state.state != "missing"
            else ["–"] * 4
        )
        table.add_row(state.name, f"[{colours[state.state]}]{state.state}[/]", *figures)
    return table
