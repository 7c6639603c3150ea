"""What all commands share: global options, settings, messages of errors, and JSON for machines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from processors.common.errors import ConfigurationError, NearstreamError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from streams.settings.sections import Settings

JsonOption = Annotated[bool, typer.Option("--json", help="JSON on standard output, for machines.")]

_WITH_VALUE = ("--settings", "--brokers")
_FLAGS = ("--debug",)
_OPTIONS_TAKEN_FOR_COMMANDS = ("version", "help")

_UNBOUNDED = 100_000
"""Columns of what is no terminal: more than anything that is printed."""


@dataclass(frozen=True)
class GlobalOptions:
    """Options that every command takes."""

    settings_file: Path | None = None
    brokers: str | None = None
    debug: bool = False


class Commands(TyperGroup):
    """The group of all commands: takes global options anywhere on the line, and prints errors as one plain message.

    Exit codes: 2 for a wrong setting (as for a wrong option), 1 for every other
    :class:`processors.common.errors.NearstreamError`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments with the global options moved to the front."""
        return super().parse_args(ctx, hoist(args))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; say of a word that is an option how it is written."""
        if args and args[0] in _OPTIONS_TAKEN_FOR_COMMANDS:
            ctx.fail(f"No such command {args[0]!r}: it is an option, {ctx.command_path} --{args[0]}.")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an error that Nearstream raises on purpose ends it with one message and an exit code."""
        try:
            return super().invoke(ctx)
        except (NearstreamError, OSError) as error:
            # An error of the system is the user's matter if it is about a file.
            if options_of(ctx).debug or (isinstance(error, OSError) and not error.filename):
                raise
            typer.secho(f"error: {error}", fg=typer.colors.RED, err=True)
            raise typer.Exit(2 if isinstance(error, ConfigurationError) else 1) from error


def hoist(args: list[str]) -> list[str]:
    """Move the global options in front of the other arguments, where the parser expects them.

    Examples
    --------
    >>> hoist(["tail", "recommendations.v1", "--brokers", "kafka:9092", "--json"])
    ['--brokers', 'kafka:9092', 'tail', 'recommendations.v1', '--json']
    >>> hoist(["send", "--", "--debug"])
    ['send', '--', '--debug']
    """
    end = args.index("--") if "--" in args else len(args)
    front: list[str] = []
    rest: list[str] = []
    at = 0
    while at < end:
        size = 2 if args[at] in _WITH_VALUE else 1
        mine = args[at] in _WITH_VALUE + _FLAGS or args[at].startswith(tuple(f"{name}=" for name in _WITH_VALUE))
        (front if mine else rest).extend(args[at : min(at + size, end)])
        at += size
    return [*front, *rest, *args[end:]]


def options_of(context: Any) -> GlobalOptions:
    """Return the global options of a command's context."""
    options = context.find_root().obj
    return options if isinstance(options, GlobalOptions) else GlobalOptions()


def settings_of(context: typer.Context) -> Settings:
    """Load the settings; global options override the environment, which overrides the settings file.

    Raises
    ------
    ConfigurationError
        If a setting is wrong; the message names it.
    """
    import msgspec

    from streams.settings.loading import load_settings
    from streams.settings.sections import broker_addresses

    options = options_of(context)
    settings = load_settings(options.settings_file)
    if options.brokers is None:
        return settings
    try:
        broker_addresses(options.brokers)
    except ConfigurationError as error:
        raise ConfigurationError(str(error).replace("kafka.brokers", "--brokers", 1)) from error
    return msgspec.structs.replace(settings, kafka=msgspec.structs.replace(settings.kafka, brokers=options.brokers))


def console() -> Console:
    """Return a console on standard output; where that is no terminal nothing is wrapped or cut to a width."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=_UNBOUNDED)


def print_json(value: object) -> None:
    """Print a value as one line of JSON on standard output."""
    import msgspec

    typer.echo(msgspec.json.encode(value).decode())
