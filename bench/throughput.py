"""``nearstream bench throughput``: how many events a worker applies and answers per second and per CPU-second.

The events are on the brokers before the worker starts, so that it runs flat out. What counts is *one* worker process:
users plane, items plane, read model and publishing. The clocks start when it joins the group, before it fetches
anything, and stop when every event is applied by the users plane, every signal by the items plane, and the read model
has taken in every item broadcast. ``cpu_s`` is user and system time of the process and all its threads between the two;
what it used before (interpreter, imports, checking the topics, loading the kernels) is ``startup_cpu_s``.

With a peer to compare with, both are warm: the first events are drained before the clocks start and do not count, and
those that count are produced from then on.
"""

from __future__ import annotations

import asyncio
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.campaigns import campaigns_of, records_of
from bench.cluster import Cluster, create_topics, settings_from, use_cluster
from bench.load import Load, append, load_of, with_malformed
from bench.machine import Busy, Sampler, describe, memory_mb
from bench.peer import PeerResult, check_plan, run_peer
from bench.peer_engine import PeerPlan
from bench.recommendations import count_slates
from bench.worker_process import BenchmarkFailed, Figures, WorkerProcess

DRAIN_TIMEOUT_S = 1800.0


class ThroughputResult(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Result, one JSON line.

    Parameters
    ----------
    events, users, items, data
        Number of events that count, of users and items of all events, and where they came from.
    warm_events
        Number of events that were drained before the clocks started.
    wall_s, cpu_s, events_per_s, events_per_cpu_s, startup_cpu_s
        Time and CPU-seconds, and events per second of each; the module says between which moments.
    recommendations
        Messages counted by a read_committed consumer afterwards, with those for warm events; it also checked that every
        user got every placement.
    events_per_recommendation
        Events folded into one answer, on average: a user's events of one micro-batch share an answer.
    peak_rss_mb
        Largest resident memory of the worker.
    machine_busy
        Share of all cores' time, whoever used it, while the worker ran.
    campaigns, decisions, filled
        Number of campaigns, of ad decisions, and of decisions that show an ad.
    malformed, refused, records_per_cpu_s
        Number of records among the events that are none, of those the worker refused, and records of both kinds per
        second of CPU.
    peer, ratio
        The same logic on Faust or Quix Streams on the same brokers, and how many times more events per CPU-second the
        worker does.
    """

    events: int
    users: int
    items: int
    data: str
    wall_s: float
    cpu_s: float
    startup_cpu_s: float
    events_per_s: float
    events_per_cpu_s: float
    recommendations: int
    events_per_recommendation: float
    peak_rss_mb: float
    machine_busy: float
    broker: str
    guarantee: str
    python: str
    machine: str
    date: str
    warm_events: int = 0
    campaigns: int = 0
    decisions: int = 0
    filled: int = 0
    malformed: int = 0
    refused: int = 0
    records_per_cpu_s: float = 0.0
    ratio: float | None = None
    peer: PeerResult | None = None


class _Run(NamedTuple):
    """What a worker used from the start of the clocks on, and its metrics at the end."""

    wall_s: float
    cpu_s: float
    startup_cpu_s: float
    peak_rss_mb: float
    machine_busy: float
    figures: Figures


def run_throughput(
    data: Path | None = None,
    events: int | None = None,
    brokers: str | None = None,
    peer: PeerPlan | None = None,
    users: int = 20_000,
    items: int = 2_000,
    campaigns: int = 0,
    malformed: int = 0,
) -> ThroughputResult:
    """Measure a worker, and if asked to a peer on the first of the same events.

    Parameters
    ----------
    data
        Event file; by default events are simulated.
    events
        Most events that are fed; by default the whole file, or 200,000 simulated ones.
    brokers
        Brokers without Nearstream's records; by default an Apache Kafka is started.
    peer
        How to run the peer, and how many events warm up both; by default none is measured, and the worker is cold.
    users, items
        Number of shoppers and products of the simulation.
    campaigns
        Number of campaigns that advertise.
    malformed
        Number of records that are no events, mixed with those that are; not with a peer.
    """
    load = load_of(data, events, users, items)
    if peer is not None:
        if malformed:
            raise BenchmarkFailed("--malformed: no peer can be measured with it, expected one of the two")
        check_plan(peer, len(load.events))
    with use_cluster(brokers) as cluster:
        result = asyncio.run(
            _measure(cluster, load, campaigns_of(campaigns, items), peer.warm if peer else 0, malformed)
        )
        if peer is not None:
            result.peer = run_peer(cluster, load, peer)
            result.ratio = round(result.events_per_cpu_s / result.peer.events_per_cpu_s, 1)
    return result


async def _measure(
    cluster: Cluster, load: Load, campaigns: dict[str, dict[str, Any]], warm: int, malformed: int
) -> ThroughputResult:
    environment = cluster.environment()
    settings = settings_from(environment)
    await create_topics(settings)
    await append(settings, records_of(campaigns))
    await append(settings, with_malformed(load.events[: warm or None], malformed))
    run = await _drain(cluster, environment, load, warm, len(load.events) + malformed)
    slates = await count_slates(settings, load.users, len(load.events))
    counted = len(load.events) - warm
    return ThroughputResult(
        events=counted,
        warm_events=warm,
        users=load.users,
        items=load.items,
        data=load.name,
        wall_s=round(run.wall_s, 2),
        cpu_s=round(run.cpu_s, 2),
        startup_cpu_s=round(run.startup_cpu_s, 2),
        events_per_s=round(counted / run.wall_s, 1),
        events_per_cpu_s=round(counted / run.cpu_s, 1),
        recommendations=slates.messages,
        events_per_recommendation=round(len(load.events) / max(slates.placements.values()), 2),
        peak_rss_mb=round(run.peak_rss_mb, 1),
        machine_busy=run.machine_busy,
        broker=cluster.label,
        guarantee=settings.worker.processing_guarantee,
        python=platform.python_version(),
        machine=describe(),
        date=datetime.now(UTC).date().isoformat(),
        campaigns=len(campaigns),
        decisions=int(run.figures.total("nearstream_ad_decisions_total")) if campaigns else 0,
        filled=int(run.figures.total("nearstream_ad_decisions_total", outcome="filled")),
        malformed=malformed,
        refused=int(run.figures.total("nearstream_dead_letters_total")),
        records_per_cpu_s=round((counted + malformed) / run.cpu_s, 1) if malformed else 0.0,
    )


async def _drain(cluster: Cluster, environment: dict[str, str], load: Load, warm: int, records: int) -> _Run:
    """Have a worker drain the warm events, which are on the brokers, and then those that count."""
    with WorkerProcess(environment, cluster.directory / "worker.log") as worker, Sampler(worker.pid) as sampler:
        begun = joined = await asyncio.to_thread(worker.wait_until_joined)
        if warm:
            await asyncio.to_thread(worker.wait_until_drained, warm, DRAIN_TIMEOUT_S)
            begun = time.monotonic()
        busy = Busy()
        if warm:
            await append(settings_from(environment), load.events[warm:])
        drained = await asyncio.to_thread(worker.wait_until_drained, records, DRAIN_TIMEOUT_S)
        begin, end = sampler.at(begun), sampler.at(drained)
        return _Run(
            wall_s=end.at - begun,
            cpu_s=end.cpu_s - begin.cpu_s,
            startup_cpu_s=sampler.at(joined).cpu_s,
            peak_rss_mb=memory_mb(worker.pid, peak=True),
            machine_busy=busy.share(),
            figures=worker.figures(),
        )
