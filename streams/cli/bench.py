"""``nearstream bench``: measure a worker on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.bench_results import brokers_of, print_result
from streams.cli.bench_scaling import scaling
from streams.cli.common import JsonOption

_EXAMPLES = """[bold]Examples[/bold]
  nearstream bench throughput                        200,000 simulated events
  nearstream bench throughput --data clicks.csv.gz   a recorded stream
  nearstream bench throughput --peer                 and a usual Faust app
  nearstream bench throughput --peer --peer-engine quix     or Quix Streams
  nearstream bench latency --rate 500                event to recommendation

Those that need brokers start an Apache Kafka of their own (Java 17 and
Maven) and stop it, unless --brokers names some without events. Settings
hold there too, such as NEARSTREAM_WORKER__BATCH_MAX_RECORDS=500. For the
figures, see docs/benchmarks.md.
"""

app = typer.Typer(
    help="Measure a worker on this machine.", epilog=_EXAMPLES, no_args_is_help=True, rich_markup_mode="rich"
)


class PeerEngine(StrEnum):
    """What the app that is compared with is built on."""

    FAUST = "faust"
    QUIX = "quix"


class Store(StrEnum):
    """Where the Faust app that is compared with keeps its tables."""

    MEMORY = "memory"
    ROCKSDB = "rocksdb"


_Users = Annotated[int, typer.Option(min=1, help="Simulated shoppers.")]
_Campaigns = Annotated[int, typer.Option(min=0, max=1000, help="Campaigns that advertise.")]
_Items = Annotated[int, typer.Option(min=100, help="Simulated products.")]


@app.command()
def throughput(
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Event file; by default the simulator."),
    ] = None,
    events: Annotated[int, typer.Option(min=0, help="Only so many events; 0: the file, or 200,000.")] = 0,
    peer: Annotated[bool, typer.Option("--peer", help="Measure the same logic as a usual app too.")] = False,
    peer_engine: Annotated[PeerEngine, typer.Option(help="What that app is built on.")] = PeerEngine.FAUST,
    peer_events: Annotated[int, typer.Option(min=100, help="Events it gets, of the same.")] = 5_000,
    peer_warm: Annotated[int, typer.Option(min=1, help="Events before, for both, that do not count.")] = 5_000,
    peer_store: Annotated[Store, typer.Option(help="Where the Faust app keeps tables.")] = Store.MEMORY,
    peer_commit: Annotated[float, typer.Option(min=0.05, help="Seconds between the Quix app's commits.")] = 5.0,
    users: _Users = 20_000,
    items: _Items = 2_000,
    campaigns: _Campaigns = 0,
    malformed: Annotated[int, typer.Option(min=0, help="Records that are no events, mixed with them.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure events per second, and per second of CPU, that one worker applies and answers."""
    from bench.peer_engine import PeerPlan
    from bench.throughput import run_throughput

    plan = PeerPlan(peer_events, peer_store.value, peer_engine.value, peer_warm, peer_commit) if peer else None
    brokers = brokers_of(context)
    result = run_throughput(data, events or None, brokers, plan, users, items, campaigns, malformed)
    print_result(result, as_json)


@app.command()
def latency(
    context: typer.Context,
    rate: Annotated[float, typer.Option(min=1.0, help="Mean events per second.")] = 500.0,
    seconds: Annotated[float, typer.Option(min=1.0, help="How long to measure.")] = 30.0,
    warmup: Annotated[float, typer.Option(min=0.0, help="Seconds at that rate before, not measured.")] = 8.0,
    history: Annotated[int, typer.Option(min=1, help="Events applied before all that.")] = 20_000,
    users: _Users = 20_000,
    items: _Items = 2_000,
    campaigns: _Campaigns = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the time from an event's append until its recommendation can be read."""
    from bench.latency import run_latency

    print_result(run_latency(rate, seconds, warmup, brokers_of(context), history, users, items, campaigns), as_json)


@app.command()
def restore(
    context: typer.Context,
    records: Annotated[int, typer.Option(min=1, help="Changelog records.")] = 300_000,
    users: _Users = 6_000,
    through_kafka: Annotated[bool, typer.Option("--through-kafka", help="Restore from a topic as well.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure changelog records per second that a partition store takes in."""
    from bench.restore import run_restore

    print_result(run_restore(records, users, through_kafka, brokers_of(context)), as_json)


@app.command()
def memory(
    context: typer.Context,
    events: Annotated[int, typer.Option(min=10, help="How many to apply.")] = 1_000_000,
    users: _Users = 100_000,
    items: _Items = 5_000,
    as_json: JsonOption = False,
) -> None:
    """Measure what a worker's memory does over a long run."""
    from bench.memory import run_memory

    print_result(run_memory(events, users, items, brokers_of(context)), as_json)


@app.command()
def burst(
    context: typer.Context,
    rate: Annotated[float, typer.Option(min=1.0, help="Events per second before and after.")] = 100.0,
    times: Annotated[float, typer.Option(min=1.0, help="How many times as many come in the burst.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=1.0, help="How long the burst lasts.")] = 60.0,
    calm: Annotated[float, typer.Option(min=1.0, help="Seconds before it, and after it.")] = 20.0,
    history: Annotated[int, typer.Option(min=1, help="Events applied before all that.")] = 20_000,
    users: _Users = 20_000,
    items: _Items = 2_000,
    as_json: JsonOption = False,
) -> None:
    """Measure how a worker gets over a burst: what waits, its memory, its health."""
    from bench.burst import run_burst

    print_result(run_burst(rate, times, seconds, calm, brokers_of(context), history, users, items), as_json)


@app.command()
def ranking(
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Event file; by default the simulator."),
    ] = None,
    events: Annotated[int, typer.Option(min=0, help="Events learned before; 0: 20,000.")] = 0,
    users: Annotated[int, typer.Option(min=1, help="Users ranked for at once.")] = 200,
    as_json: JsonOption = False,
) -> None:
    """Measure the microseconds of CPU that ranking alone takes per user. No broker needed."""
    from bench.ranking import run_ranking

    print_result(run_ranking(data, events or None, users), as_json)


@app.command()
def growth(
    events: Annotated[int, typer.Option(min=100, help="Events before; for the age also six times.")] = 10_000,
    items: Annotated[int, typer.Option(min=100, help="Products, and ten times as many.")] = 2_000,
    users: Annotated[int, typer.Option(min=100, help="Shoppers, and ten times as many.")] = 20_000,
    segments: Annotated[int, typer.Option(min=1, help="Measured segments of 500 events.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Measure what an event costs with more items, more users and more events before. No broker needed."""
    from bench.growth import run_growth

    print_result(run_growth(events, items, users, segments), as_json)


app.command()(scaling)


@app.command()
def clicks(
    data: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Avazu's or Criteo's log.")],
    as_json: JsonOption = False,
) -> None:
    """Measure log loss and calibration of the click model on a click log. No broker needed."""
    from bench.clicks import run_clicks

    print_result(run_clicks(data), as_json)


@app.command("ads-baskets")
def ads_baskets(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", exists=True, file_okay=False, help="With the three files.")
    ],
    requests: Annotated[int, typer.Option(min=0, help="Only so many requests; 0: all.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the click-through rate of the ad server where every reward is known. No broker needed."""
    from bench.ads_baskets import run_baskets

    print_result(run_baskets(folder, requests or None), as_json)


@app.command("ads-learning")
def ads_learning(
    visits: Annotated[int, typer.Option(min=100, help="Each asks for an ad.")] = 100_000,
    users: Annotated[int, typer.Option(min=1, help="Visitors.")] = 2_000,
    as_json: JsonOption = False,
) -> None:
    """Compare clicks with chance and the best possible, and predictions with clicks. No broker needed."""
    from bench.ads_learning import run_ads_learning

    print_result(run_ads_learning(visits, users), as_json)


@app.command("ads-day")
def ads_day(
    context: typer.Context,
    workers: Annotated[int, typer.Option(min=1, max=8, help="Worker processes.")] = 2,
    kills: Annotated[int, typer.Option(min=0, max=20, help="Times that one of them is killed.")] = 1,
    campaigns: Annotated[int, typer.Option(min=1, max=1000, help="Campaigns that advertise.")] = 50,
    days: Annotated[int, typer.Option(min=1, max=14, help="Simulated days.")] = 2,
    day_seconds: Annotated[float, typer.Option(min=10.0, help="Seconds that one of them takes.")] = 120.0,
    rate: Annotated[float, typer.Option(min=1.0, help="Requests per second.")] = 100.0,
    users: Annotated[int, typer.Option(min=1, help="Visitors.")] = 2_000,
    as_json: JsonOption = False,
) -> None:
    """Check budgets, caps and pacing over days of ads in minutes, with workers that are killed."""
    from bench.ads_day import run_ads_day

    print_result(run_ads_day(workers, kills, campaigns, days, day_seconds, rate, users, brokers_of(context)), as_json)


@app.command()
def peers(
    data: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Event file.")],
    events: Annotated[int, typer.Option(min=0, help="Only so many events; 0: the whole file.")] = 0,
    every: Annotated[int, typer.Option(min=1, help="Judge one in so many events.")] = 5,
    as_json: JsonOption = False,
) -> None:
    """Compare the ranking with ALS, BM25, session-kNN and River's BiasedMF. No broker needed."""
    from bench.extra import require

    require("implicit")
    from bench.peers import run_peers

    print_result(run_peers(data, events or None, every), as_json)


@app.command()
def ablation(
    data: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="Event file.")],
    events: Annotated[int, typer.Option(min=0, help="Only so many events; 0: the whole file.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure what each candidate source and group of features adds to the ranking. No broker needed."""
    from bench.ablation import run_ablation

    print_result(run_ablation(data, events or None), as_json)
