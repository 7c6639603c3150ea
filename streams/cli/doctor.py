"""``nearstream doctor``: is everything a worker needs there, and what to do if not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from processors.common.errors import ConfigurationError
from streams.cli.common import JsonOption, print_json, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.cli.doctor_checks import Check

EXAMPLES = """[bold]Examples[/bold]
  nearstream doctor                              with the settings of a worker
  nearstream --settings production.toml doctor   before a deployment
  nearstream doctor --json | jq '.checks\\[] | select(.status != "ok")'
"""

_MARKS = {"ok": ("✓", typer.colors.GREEN), "warn": ("!", typer.colors.YELLOW), "fail": ("✗", typer.colors.RED)}


def doctor(context: typer.Context, as_json: JsonOption = False) -> None:
    """Check settings, brokers, topics, transactions, local state, worker and lag.

    Each check is ok, warn (it works, but look at it) or fail (it cannot work).
    The exit code is 1 if one fails.
    """
    checks = []
    for check in _checks(context):
        checks.append(check)
        if not as_json:
            _show(check)
    healthy = all(check.status != "fail" for check in checks)
    if as_json:
        print_json({"ok": healthy, "checks": checks})
    if not healthy:
        raise typer.Exit(1)


def _checks(context: typer.Context) -> Iterator[Check]:
    from streams.cli.doctor_checks import Check, run_checks

    try:
        settings = settings_of(context)
    except ConfigurationError as error:
        yield Check("settings", "fail", str(error), "Correct it in the settings file, or in the environment variable.")
        return
    yield Check("settings", "ok", f"{settings.kafka.brokers}, group {settings.kafka.group}")
    yield from run_checks(settings)


def _show(check: Check) -> None:
    mark, colour = _MARKS[check.status]
    typer.echo(f"{typer.style(mark, fg=colour)} {check.name:<12} {check.message}")
    if check.advice:
        typer.echo(f"{'':<14} → {check.advice}")
