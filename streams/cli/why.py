"""``nearstream why``: what an ad decision or a recommendation rested on."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import JsonOption, print_json, settings_of

EXAMPLES = """[bold]Examples[/bold]
  nearstream why events.browse.v1/3/1208/ad
  nearstream why events.click.v1/3/1207/home --json

The id is that of a decision or of a recommendation. Decisions are kept for
topics.retention_hours, of recommendations the last of each user. Of a share
of the decisions (users.ads.log_losers) every campaign is logged.
"""


def why(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Decision id or recommendation id.")],  # noqa: A002  # its name in the help
    as_json: JsonOption = False,
) -> None:
    """Say what a decision or a recommendation rested on."""
    from streams.cli.connections import consuming
    from streams.operations.why import find_logged, in_words

    settings = settings_of(context)
    with consuming(settings) as consumer:
        found = find_logged(settings, consumer, id)
    if as_json:
        print_json(found)
    else:
        for line in in_words(found):
            typer.echo(line)
