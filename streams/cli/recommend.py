"""``nearstream recommend``: what would be shown to a user now."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import JsonOption, print_json, settings_of

EXAMPLES = """[bold]Examples[/bold]
  nearstream recommend ada
  nearstream recommend ada --placement home --json

Ranks here, by what a worker reads when it starts, and publishes nothing. An
app asks on recommendations.requests.v1 instead (nearstream send slate).
"""


def recommend(
    context: typer.Context,
    user: Annotated[str, typer.Argument(help="User id.")],
    placement: Annotated[str | None, typer.Option(help="The only placement to show.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what would be shown to a user now, with the reasons.

    Placements that go with an item are asked for with `nearstream send slate`.
    """
    from streams.cli.connections import consuming
    from streams.operations.known_user import would_show

    settings = settings_of(context)
    with consuming(settings) as consumer:
        found = would_show(settings, consumer, user, placement)
    if as_json:
        print_json(found)
        return
    if not found.known:
        typer.echo(f"user {user!r} is not known: this is what a stranger is shown", err=True)
    for name, items in found.placements.items():
        typer.echo(f"{name}:" if items else f"{name}: nothing to show yet")
        for item in items:
            reasons = "; ".join(str(reason.text or reason.kind) for reason in item.reasons)
            typer.echo(f"{item.rank:>3}  {item.item_id:<32} {item.score:>9.4f}  {reasons}")
