"""``nearstream worker``: run a worker."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import settings_of

EXAMPLES = """[bold]Examples[/bold]
  nearstream --settings production.toml worker

A second worker on one machine has a port and a state directory of its own:
  export NEARSTREAM_WORKER__WEB_PORT=0 NEARSTREAM_WORKER__STATE_DIR=data-2
  nearstream worker
"""


def worker(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what the Kafka clients and Faust do.")] = False,
) -> None:
    """Run a worker until Ctrl-C or SIGTERM.

    Start as many as you like: they share the partitions. Missing topics are
    created. Brokers that do not answer are waited for (kafka.wait_s).

    Exit codes: 0 stopped, 1 failed (see the last line of its log), 2 wrong
    setting, 3 cut off: asked to stop, and not done within 8 s.
    """
    import logging

    from streams.worker.logs import set_up_logging
    from streams.worker.process import run_worker

    set_up_logging(logging.DEBUG if verbose else logging.INFO)
    run_worker(settings_of(context))
