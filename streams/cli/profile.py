"""``nearstream profile``: what is known of a user."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import JsonOption, print_json, settings_of

EXAMPLES = """[bold]Examples[/bold]
  nearstream profile ada
  nearstream profile ada --json

Reads the part of the changelog that the user is in, and the broadcast topics.
"""


def profile(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="User id.")],
    as_json: JsonOption = False,
) -> None:
    """Show what is known of a user: interests, items, money, circumstances, ads."""
    from streams.cli.connections import consuming
    from streams.operations.known_user import in_words, known_user

    settings = settings_of(context)
    with consuming(settings) as consumer:
        found = known_user(settings, consumer, user)
    if as_json:
        print_json(found)
    else:
        for line in in_words(found):
            typer.echo(line)
