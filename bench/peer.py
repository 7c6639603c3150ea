"""Runs the idiomatic Faust app (:mod:`bench.idiomatic_faust`) on the first of the same events, on the same brokers."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.cluster import Cluster, log_ends, settings_from
from bench.idiomatic_faust import PREFIX, RECOMMENDATIONS, SIGNALS
from bench.load import Load, append
from bench.machine import Sampler
from bench.recommendations import count_slates
from bench.worker_process import BenchmarkFailed
from processors.events.event import EVENT_TOPICS
from streams.broker.process import ChildProcess
from streams.engine.topology import TopicSpec
from streams.kafka.errors import file_tail
from streams.kafka.topics import ensure_topics
from streams.settings.sections import Settings

_CHANGELOGS = ("idiomatic-items-changelog", "idiomatic-profiles-changelog")
_TIMEOUT_S = 900.0


class PeerPlan(NamedTuple):
    """How to run the Faust app.

    Parameters
    ----------
    events
        How many of the events it gets: the first ones.
    store
        Store of its tables: ``memory``, which is faster, or ``rocksdb`` (rocksdict), which keeps them on disk as the
        worker does.
    """

    events: int = 5_000
    store: str = "memory"


class PeerResult(msgspec.Struct, kw_only=True):
    """What the idiomatic Faust app did.

    Its clocks start when its partitions are assigned and its tables recovered (the worker's start earlier, to the
    worker's disadvantage), and stop when every event is answered and every signal is in the items table's changelog.
    """

    events: int
    wall_s: float
    cpu_s: float
    events_per_s: float
    events_per_cpu_s: float
    recommendations: int
    store: str


def run_peer(cluster: Cluster, load: Load, store: str = "memory") -> PeerResult:
    """Measure the Faust app.

    Parameters
    ----------
    cluster
        Brokers that hold none of its topics.
    load
        The events.
    store
        Store of its tables, as in :class:`PeerPlan`.
    """
    return asyncio.run(_measure(cluster, load, store))


async def _measure(cluster: Cluster, load: Load, store: str) -> PeerResult:
    settings = settings_from(cluster.environment())
    await asyncio.to_thread(_create_topics, settings)
    await append(settings, load.events, PREFIX)
    log = cluster.directory / "idiomatic.log"
    process = _start(cluster, settings, store, log)
    try:
        with Sampler(process.pid) as sampler:
            await asyncio.to_thread(_wait_until_ready, process)
            begin = time.monotonic()
            expected = 2 * len(load.events)
            end = await _wait_until_drained(settings, process, expected)
            used = sampler.at(end).cpu_s - sampler.at(begin).cpu_s
    finally:
        process.stop()
    slates = await count_slates(settings, load.users, len(load.events), RECOMMENDATIONS)
    return PeerResult(
        events=len(load.events),
        wall_s=round(end - begin, 2),
        cpu_s=round(used, 2),
        events_per_s=round(len(load.events) / (end - begin), 1),
        events_per_cpu_s=round(len(load.events) / max(used, 0.01), 1),
        recommendations=slates.messages,
        store=store,
    )


def _create_topics(settings: Settings) -> None:
    names = [*(PREFIX + topic for topic in EVENT_TOPICS), RECOMMENDATIONS, SIGNALS]
    specs = [TopicSpec(name) for name in names] + [TopicSpec(name, compacted=True) for name in _CHANGELOGS]
    report = ensure_topics(settings, specs)
    if report.existing:
        found = ", ".join(report.existing)
        raise BenchmarkFailed(
            f"{settings.kafka.brokers} holds topics of this app already ({found}): use brokers without"
        )


def _start(cluster: Cluster, settings: Settings, store: str, log: Path) -> ChildProcess:
    environment = {
        **os.environ,
        "IDIOMATIC_BROKER": settings.kafka.brokers.split(",")[0],
        "IDIOMATIC_STORE": f"{store}://",
        "IDIOMATIC_DIRECTORY": str(cluster.directory / "idiomatic"),
        "IDIOMATIC_PARTITIONS": str(settings.topics.partitions),
    }
    command = [sys.executable, "-m", "bench.idiomatic_faust", "worker", "--loglevel", "warn"]
    return ChildProcess(command, log, environment=environment)


def _wait_until_ready(process: ChildProcess) -> None:
    deadline = time.monotonic() + 90
    while "READY" not in process.log.read_text(errors="replace"):
        _check(process, deadline)
        time.sleep(0.01)


async def _wait_until_drained(settings: Settings, process: ChildProcess, recommendations: int) -> float:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        seen = time.monotonic()
        ends = await log_ends(settings, [RECOMMENDATIONS, SIGNALS, _CHANGELOGS[0]])
        counts = {name: sum(end for (topic, _), end in ends.items() if topic == name) for name, _ in ends}
        if counts[RECOMMENDATIONS] >= recommendations and counts[_CHANGELOGS[0]] >= counts[SIGNALS]:
            return seen
        _check(process, deadline)
        await asyncio.sleep(0.1)


def _check(process: ChildProcess, deadline: float) -> None:
    code = process.exit_code
    if code is not None:
        raise BenchmarkFailed(f"the Faust app ended with code {code}. Its log:\n{file_tail(process.log)}")
    if time.monotonic() > deadline:
        raise BenchmarkFailed(f"the Faust app was too slow. Its log:\n{file_tail(process.log)}")
