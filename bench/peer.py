"""Runs what Nearstream is compared with: the same logic on Faust or on Quix Streams, on the same events and brokers.

It gets some events to warm up, and has answered them all before its clocks start. Then it gets those that count. Its
clocks stop when all of them are answered and all their signals are in the states of items. ``cpu_s`` is user and system
time of the process with all its threads between the two moments.
"""

from __future__ import annotations

import asyncio
import time

import msgspec

from bench.cluster import Cluster, settings_from
from bench.extra import require
from bench.load import Load
from bench.machine import Sampler
from bench.peer_engine import Engine, PeerPlan
from bench.peer_faust import FaustEngine
from bench.peer_quix import QuixEngine
from bench.recommendations import count_slates
from bench.worker_process import BenchmarkFailed
from processors.common.errors import NearstreamError
from streams.broker.process import ChildProcess
from streams.kafka.errors import file_tail
from streams.kafka.topics import ensure_topics
from streams.settings.sections import Settings

_TIMEOUT_S = 900.0
_ENGINES: dict[str, type[Engine]] = {"faust": FaustEngine, "quix": QuixEngine}


class PeerResult(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What the peer did.

    Parameters
    ----------
    engine
        ``faust`` or ``quix``.
    events, warm_events
        Events that count, and events that it had answered before.
    wall_s, cpu_s, events_per_s, events_per_cpu_s
        Time and CPU-seconds that those took which count, and how many per second of each.
    recommendations
        Messages counted by a read_committed consumer afterwards, with those for the warm events.
    store, guarantee
        Where it kept its states, and with which processing guarantee.
    commit_s
        Seconds between its commits; left out for the Faust app.
    differing
        Answers that were compared with those of an in-order run, and were not the same: there is no result unless it
        is 0. Left out if they were not compared.
    """

    engine: str
    events: int
    warm_events: int
    wall_s: float
    cpu_s: float
    events_per_s: float
    events_per_cpu_s: float
    recommendations: int
    store: str
    guarantee: str
    commit_s: float | None = None
    differing: int | None = None


def check_plan(plan: PeerPlan, events: int) -> None:
    """Check that a peer can be run as planned, before anything is measured.

    Parameters
    ----------
    plan
        How to run it.
    events
        How many events there are.

    Raises
    ------
    NearstreamError
        If what it needs is not installed, or there are not more events than warm it up.
    """
    require(_ENGINES[plan.engine].package)
    if events <= plan.warm:
        raise NearstreamError(
            f"there are {events} events, and the first {plan.warm} only warm up: "
            "measure more (--events), or warm up with fewer (--peer-warm)"
        )


def run_peer(cluster: Cluster, load: Load, plan: PeerPlan) -> PeerResult:
    """Measure a peer.

    Parameters
    ----------
    cluster
        Brokers that hold none of its topics.
    load
        The events; the first ones of it are used.
    plan
        How many, and how to run it.
    """
    wanted = Load(load.name, load.events[: plan.warm + plan.events])
    return asyncio.run(_measure(cluster, wanted, plan))


async def _measure(cluster: Cluster, load: Load, plan: PeerPlan) -> PeerResult:
    settings = settings_from(cluster.environment())
    engine = _ENGINES[plan.engine](settings, cluster.directory, plan)
    await asyncio.to_thread(_create_topics, settings, engine)
    await engine.feed(load.events[: plan.warm])
    process = engine.start()
    try:
        with Sampler(process.pid) as sampler:
            await _wait_until_drained(engine, process, plan.warm)
            begin = time.monotonic()
            await engine.feed(load.events[plan.warm :])
            end = await _wait_until_drained(engine, process, len(load.events))
            used = sampler.at(end).cpu_s - sampler.at(begin).cpu_s
    finally:
        process.stop()
    slates = await count_slates(settings, load.users, len(load.events), engine.answers)
    counted, wall = len(load.events) - plan.warm, end - begin
    return PeerResult(
        engine=plan.engine,
        events=counted,
        warm_events=plan.warm,
        wall_s=round(wall, 2),
        cpu_s=round(used, 2),
        events_per_s=round(counted / wall, 1),
        events_per_cpu_s=round(counted / max(used, 0.01), 1),
        recommendations=slates.messages,
        store=engine.store,
        guarantee=engine.guarantee,
        commit_s=engine.commit_s,
        differing=await engine.compare(),
    )


def _create_topics(settings: Settings, engine: Engine) -> None:
    report = ensure_topics(settings, engine.topics())
    if report.existing:
        found = ", ".join(report.existing)
        raise BenchmarkFailed(
            f"{settings.kafka.brokers} holds topics of this app already ({found}): use brokers without"
        )


async def _wait_until_drained(engine: Engine, process: ChildProcess, events: int) -> float:
    """Wait until it has done with so many events in all; return when that was seen."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        seen = time.monotonic()
        if await engine.drained(events):
            return seen
        code = process.exit_code
        if code is not None:
            raise BenchmarkFailed(f"the {engine.name} app ended with code {code}. Its log:\n{file_tail(process.log)}")
        if time.monotonic() > deadline:
            raise BenchmarkFailed(f"the {engine.name} app was too slow. Its log:\n{file_tail(process.log)}")
        await asyncio.sleep(0.1)
