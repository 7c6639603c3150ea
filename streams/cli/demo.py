"""``nearstream demo``: everything at once, with simulated shoppers."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli.common import settings_of


def demo(
    context: typer.Context,
    seconds: Annotated[
        float | None, typer.Option(min=1.0, help="End after this long, counted from the first event.")
    ] = None,
    rate: Annotated[float, typer.Option(min=1.0, help="Events per second.")] = 200.0,
    shoppers: Annotated[
        int | None, typer.Option(min=1, help="How many shoppers there are; by default five per event and second.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides products, shoppers and events.")] = 1,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Start Apache Kafka (needs Java and Maven), and process exactly once.")
    ] = False,
    brokers: Annotated[
        str | None,
        typer.Option(help="Use these brokers. Another run on them needs another --seed, or its events are duplicates."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON line on standard output in the end, and nothing else there.")
    ] = False,
) -> None:
    """Start a broker, a worker and simulated shoppers, and watch the recommendations get better.

    Ctrl-C ends it and stops everything it started. Neither Docker nor Java is needed, unless you ask for Kafka.
    """
    import msgspec
    from rich.console import Console

    from streams.demo.run import Options, run_demo
    from streams.demo.show import say_summary

    if kafka and brokers is not None:
        raise typer.BadParameter("--kafka starts a broker, --brokers names one: give one of them")
    console = Console(stderr=as_json)
    options = Options(seconds, rate, shoppers, seed, kafka, brokers)
    summary = run_demo(settings_of(context), options, console, live=console.is_terminal and not as_json)
    if as_json:
        typer.echo(msgspec.json.encode(summary).decode())
    else:
        say_summary(console, summary)
