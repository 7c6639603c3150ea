"""``nearstream why-not``: why an item is not shown to a user."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import JsonOption, print_json, settings_of

EXAMPLES = """[bold]Examples[/bold]
  nearstream why-not wool-sock-1 --user ada
  nearstream why-not wool-sock-1 --user ada --json

Reads what a worker reads when it starts: the broadcast topics, and the
part of the changelog that the user is in.
"""


def why_not(
    context: typer.Context,
    item: Annotated[str, typer.Argument(help="Item id.")],
    user: Annotated[str, typer.Option(help="User id.")],
    as_json: JsonOption = False,
) -> None:
    """Say why an item is not in a user's slates: which stage removed it.

    The exit code is 1 for an item that is not known.
    """
    from processors.ranking.why_not import UNKNOWN
    from streams.cli.connections import consuming
    from streams.operations.why_not import why_not as answer

    settings = settings_of(context)
    with consuming(settings) as consumer:
        found = answer(settings, consumer, user, item)
    for part in found:
        if as_json:
            print_json(part)
        else:
            typer.echo(f"{part.placement}: {part.text}")
    if any(part.stage == UNKNOWN for part in found):
        raise typer.Exit(1)
