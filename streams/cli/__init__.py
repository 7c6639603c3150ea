"""The command ``nearstream``.

A command is a function in the module of its name. The modules import what is heavy inside their functions, so that
``nearstream --help`` answers at once.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import (
    bench,
    campaigns,
    demo,
    doctor,
    evaluate,
    ope,
    profile,
    recommend,
    replay,
    send,
    tail,
    topics,
    warm,
    why,
    why_not,
    worker,
)
from streams.cli.common import Commands, GlobalOptions
from streams.worker.process_tuning import copy_unwritable_kernels, tune_process

_HELP = """Nearstream recommends from a stream of clicks: events in through Kafka, ranked recommendations out.

The options below go before or after a command's name. Settings come from a
TOML file and from environment variables such as NEARSTREAM_KAFKA__BROKERS;
`nearstream doctor` checks them, and says what to do.
"""

_EXAMPLES = """[bold]First steps[/bold]
  nearstream demo                                  all at once, with shoppers
  nearstream topics --create                       create the topics
  nearstream worker                                run one, or several
  nearstream send click --user u1 --item tent-1    send a click
  nearstream tail recommendations.v1 --user u1     see what is recommended
  nearstream replay clicks.csv.gz --speed 60       feed an hour in a minute

`nearstream COMMAND --help` shows a command's own options and examples.
"""

app = typer.Typer(
    cls=Commands,
    help=_HELP,
    epilog=_EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RUN, _TRY, _LOOK, _MEASURE = "Run", "Try", "Look", "Measure"

app.command("worker", rich_help_panel=_RUN, epilog=worker.EXAMPLES)(worker.worker)
app.command("warm", rich_help_panel=_RUN, epilog=warm.EXAMPLES)(warm.warm)
app.command("demo", rich_help_panel=_TRY, epilog=demo.EXAMPLES)(demo.demo)
app.command("send", rich_help_panel=_TRY, epilog=send.EXAMPLES)(send.send)
app.command("replay", rich_help_panel=_TRY, epilog=replay.EXAMPLES)(replay.replay)
app.command("tail", rich_help_panel=_LOOK, epilog=tail.EXAMPLES)(tail.tail)
app.command("profile", rich_help_panel=_LOOK, epilog=profile.EXAMPLES)(profile.profile)
app.command("recommend", rich_help_panel=_LOOK, epilog=recommend.EXAMPLES)(recommend.recommend)
app.command("why", rich_help_panel=_LOOK, epilog=why.EXAMPLES)(why.why)
app.command("why-not", rich_help_panel=_LOOK, epilog=why_not.EXAMPLES)(why_not.why_not)
app.command("topics", rich_help_panel=_LOOK, epilog=topics.EXAMPLES)(topics.topics)
app.command("doctor", rich_help_panel=_LOOK, epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("evaluate", rich_help_panel=_MEASURE, epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("ope", rich_help_panel=_MEASURE, epilog=ope.EXAMPLES)(ope.ope)
app.add_typer(campaigns.app, name="campaigns", rich_help_panel=_RUN)
app.add_typer(bench.app, name="bench", rich_help_panel=_MEASURE)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"nearstream {version('nearstream')}")
        raise typer.Exit


@app.callback()
def _globals(
    context: typer.Context,
    settings: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings file (TOML); NEARSTREAM_SETTINGS names a default.")
    ] = None,
    brokers: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Kafka brokers, over those of the settings.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Errors with traceback, and what the clients log.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    context.obj = GlobalOptions(settings, brokers, debug)
    if debug:
        logging.basicConfig(level=logging.DEBUG)
    else:
        # What the clients have to say reaches the user as an error in plain words.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)


def main() -> None:
    """Run the command line: the entry point of the console script."""
    tune_process()
    copy_unwritable_kernels()
    app()
