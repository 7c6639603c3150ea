"""``nearstream bench scaling``: what a load takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.bench_results import brokers_of, print_result
from streams.cli.common import JsonOption


def scaling(
    context: typer.Context,
    users: Annotated[float, typer.Option(min=1, max=1e12, help="Users that have a profile.")] = 1e6,
    events_per_s: Annotated[float, typer.Option("--events-per-s", min=1, max=1e12, help="Events per second.")] = 10_000,
    items: Annotated[float, typer.Option(min=1, help="Items.")] = 100_000,
    cores_per_worker: Annotated[float, typer.Option(min=0.1, help="Cores that one can use.")] = 1.0,
    utilisation: Annotated[float, typer.Option(min=0.05, max=1.0, help="Share of them to plan for.")] = 0.6,
    publish_within: Annotated[float, typer.Option(min=0.25, help="Seconds until an item is news again.")] = 60.0,
    training_examples: Annotated[int, typer.Option(min=0, help="As users.ranking has it.")] = 16,
    batch_events: Annotated[int, typer.Option(min=0, help="Of a micro-batch; 0: as measured.")] = 0,
    costs: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Costs measured before; else they are now."),
    ] = None,
    through_kafka: Annotated[bool, typer.Option("--through-kafka", help="Measure a whole worker too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure unit costs in memory, and compute the workers, cores and bytes that a load takes."""
    from bench.scaling import run_scaling
    from bench.scaling_load import Load

    load = Load(
        users=users,
        events_per_s=events_per_s,
        items=items,
        cores_per_worker=cores_per_worker,
        utilisation=utilisation,
        publish_within_s=publish_within,
        training_examples=training_examples,
        batch_events=batch_events,
    )
    result = run_scaling(load, costs, through_kafka, brokers_of(context))
    for part in (result,) if as_json else (result.costs, result.plan):
        print_result(part, as_json)
