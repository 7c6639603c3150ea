"""``nearstream demo``: everything at once, with simulated shoppers."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import JsonOption, options_of, print_json, settings_of

EXAMPLES = """[bold]Examples[/bold]
  nearstream demo                                 until Ctrl-C
  nearstream demo --seconds 60 --json             figures in one line at the end
  nearstream demo --kafka --rate 500              on Apache Kafka, exactly once
  nearstream demo --brokers kafka:9092 --seed 2   on brokers that run already
"""


def demo(
    context: typer.Context,
    seconds: Annotated[
        float | None, typer.Option(min=1.0, help="End after this long, counted from the first event.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1.0, help="Events per second, if the machine keeps up.")] = 200.0,
    shoppers: Annotated[
        int | None, typer.Option(min=1, help="How many shoppers there are; by default five per event and second.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides products, shoppers and events.")] = 1,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Start Apache Kafka (needs Java and Maven), and process exactly once.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a broker, a worker and simulated shoppers, and watch the recommendations get better.

    Ctrl-C ends it and stops everything it started. Neither Docker nor Java is
    needed, unless you ask for --kafka.

    With --brokers it starts no broker: its worker joins the group of the
    settings, and the events stay in the topics. Another run there needs another
    --seed, or its events are dropped as duplicates.
    """
    from rich.console import Console

    from streams.demo.run import Options, run_demo
    from streams.demo.show import say_summary

    brokers = options_of(context).brokers
    if kafka and brokers is not None:
        raise typer.BadParameter("--kafka starts a broker, --brokers names one: give one of them")
    console = Console(stderr=as_json)
    options = Options(seconds, rate, shoppers, seed, kafka, brokers)
    summary = run_demo(settings_of(context), options, console, live=console.is_terminal and not as_json)
    if as_json:
        print_json(summary)
    else:
        say_summary(console, summary)
