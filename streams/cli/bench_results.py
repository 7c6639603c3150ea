"""What the commands of ``nearstream bench`` share: the brokers they are given, and how results are printed."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

import typer

from streams.cli.common import console, options_of, print_json

if TYPE_CHECKING:
    import msgspec


def brokers_of(context: typer.Context) -> str | None:
    """Return the brokers of the command line; everything else that is measured with comes from the environment."""
    options = options_of(context)
    if options.settings_file is not None:
        os.environ["NEARSTREAM_SETTINGS"] = str(options.settings_file.absolute())
    if not options.debug:
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return options.brokers


def print_result(result: msgspec.Struct, as_json: bool) -> None:
    """Print a result: as one JSON line, or as a table."""
    if as_json:
        print_json(result)
        return
    import msgspec
    from rich.table import Table

    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in msgspec.to_builtins(result).items():
        shown = f"{value:,}" if isinstance(value, int | float) else str(value)
        table.add_row(name.replace("_", " "), shown)
    console().print(table)
