"""``nearstream bench burst``: what a worker does when ten times as many events come for a while.

Events come at a rate that the worker keeps up with, then at a multiple of it, then at the first rate again, whatever
became of those before. Looked at once a second: what waits, how much memory the worker has, and what ``/healthz`` says.

The excess is what waits when the burst ends, on all topics that are read. At the pace of ``applied_per_s`` it takes at
least the excess over that pace to catch up; ``caught_up_bound_s`` allows twice as long, and two seconds more, as a look
is taken only once a second.
"""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import pairwise
from typing import Any, NamedTuple, Self

import msgspec

from bench.cluster import Cluster, create_topics, settings_from, use_cluster
from bench.feeder import Feed, fed_by, feeding
from bench.load import append, simulated
from bench.machine import Busy, Sampler, describe
from bench.worker_process import WorkerProcess

_LOOK_EVERY_S = 1.0
_CATCH_UP_S = 1800.0


class BurstResult(msgspec.Struct, kw_only=True):
    """Result, one JSON line.

    Parameters
    ----------
    rate, burst_rate
        Events per second as appended before and after the burst, and while it lasted.
    burst_s
        Seconds that it lasted.
    events
        Events of all three phases, every one of them applied.
    most_waiting, excess
        Most records that waited, and records that waited when the burst ended, on all topics that are read.
    applied_per_s
        Events applied per second between looks at both of which something waited, from the beginning of the burst until
        nothing did; the rate of the burst if there was no such time.
    caught_up_s, caught_up_bound_s
        Seconds from the end of the burst until nothing waited, and how long they should be at most.
    rss_mb, peak_rss_mb, memory_ratio
        Largest resident memory of the worker before the burst and from then on, in MiB, and the second over the first.
    looks, unhealthy_looks
        How often ``/healthz`` was asked, and how often it did not say that the worker is well.
    machine_busy
        Share of all cores' time during the burst, whoever used it.
    """

    rate: float
    burst_rate: float
    burst_s: float
    events: int
    most_waiting: int
    excess: int
    applied_per_s: float
    caught_up_s: float
    caught_up_bound_s: float
    rss_mb: float
    peak_rss_mb: float
    memory_ratio: float
    looks: int
    unhealthy_looks: int
    machine_busy: float
    broker: str
    guarantee: str
    machine: str


class _Look(NamedTuple):
    """What a worker showed at a moment of the monotonic clock."""

    at: float
    applied: int
    waiting: int
    healthy: bool


class _Watch:
    """Looks at a worker once a second, in a thread of its own, while the context is open."""

    def __init__(self, worker: WorkerProcess) -> None:
        self.looks: list[_Look] = []
        self._worker = worker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            healthy, figures = self._worker.healthy(), self._worker.figures()
            waiting = int(figures.total("nearstream_lag_records"))
            self.looks.append(_Look(time.monotonic(), figures.events(), waiting, healthy))
            self._stop.wait(_LOOK_EVERY_S)


class _Phase(NamedTuple):
    """When a phase began and ended, in monotonic seconds, and the rate at which its events were appended."""

    begun: float
    ended: float
    rate: float


def run_burst(
    rate: float = 100.0,
    times: float = 10.0,
    burst_s: float = 60.0,
    calm_s: float = 20.0,
    brokers: str | None = None,
    history: int = 20_000,
    users: int = 20_000,
    items: int = 2_000,
) -> BurstResult:
    """Measure how one worker gets over a burst.

    Parameters
    ----------
    rate
        Mean events per second before and after the burst.
    times
        How many times as many come during the burst.
    burst_s
        Seconds that the burst lasts.
    calm_s
        Seconds at the first rate, before the burst and after it.
    brokers
        Brokers without Nearstream's records; by default an Apache Kafka is started.
    history
        Events appended and applied before all that.
    users, items
        Shoppers and products of the simulation.
    """
    feeds, skip = [], history
    for phase_rate, seconds in ((rate, calm_s), (times * rate, burst_s), (rate, calm_s)):
        events, start_ms = int(phase_rate * seconds), int(time.time() * 1000 - 1000 * skip / phase_rate)
        feeds.append(Feed(events=events, users=users, items=items, start_ms=start_ms, skip=skip, rate=phase_rate))
        skip += events
    with use_cluster(brokers) as cluster:
        return _measure(cluster, feeds)


def _measure(cluster: Cluster, feeds: list[Feed]) -> BurstResult:
    environment = cluster.environment()
    settings, first = settings_from(environment), feeds[0]
    asyncio.run(create_topics(settings))
    asyncio.run(append(settings, simulated(first.skip, first.users, first.items, first.rate, first.start_ms)))
    events = sum(feed.events for feed in feeds)
    with WorkerProcess(environment, cluster.directory / "worker.log") as worker, Sampler(worker.pid) as sampler:
        worker.wait_until_drained(first.skip, 300.0)
        with _Watch(worker) as watch:
            phases, busy = [], 0.0
            for feed in feeds:
                machine = Busy()
                phases.append(_feed(cluster, environment, feed))
                busy = machine.share() if feed is feeds[1] else busy
            worker.wait_until_drained(first.skip + events, _CATCH_UP_S)
        samples = sampler.samples
    before, burst, _ = phases
    calm = max(sample.rss_mb for sample in samples if before.begun <= sample.at < burst.begun)
    peak = max(sample.rss_mb for sample in samples if sample.at >= burst.begun)
    return BurstResult(
        **_followed(watch.looks, burst),
        rate=before.rate,
        burst_rate=burst.rate,
        burst_s=round(burst.ended - burst.begun, 1),
        events=events,
        rss_mb=round(calm, 1),
        peak_rss_mb=round(peak, 1),
        memory_ratio=round(peak / calm, 2),
        machine_busy=busy,
        broker=cluster.label,
        guarantee=settings.worker.processing_guarantee,
        machine=describe(),
    )


def _feed(cluster: Cluster, environment: dict[str, str], feed: Feed) -> _Phase:
    """Append the events of a phase, and return when that was."""
    with feeding(feed, cluster.directory / "feeder.log", environment) as feeder:
        while feeder.exit_code is None:
            time.sleep(0.1)
        fed, ended = fed_by(feeder), time.monotonic()
    return _Phase(ended - fed.seconds, ended, round(fed.events / fed.seconds, 1))


def _followed(looks: list[_Look], burst: _Phase) -> dict[str, Any]:
    """Return the figures of how the worker followed: what waited, how fast it worked, and when it had caught up."""
    later = [look for look in looks if look.at >= burst.begun]
    at_end = next((look for look in later if look.at >= burst.ended), later[-1])
    done = next((look for look in later if look.at >= burst.ended and not look.waiting), later[-1])
    behind = [(a, b) for a, b in pairwise(later) if a.waiting and b.waiting and b.at <= done.at]
    seconds = sum(b.at - a.at for a, b in behind)
    speed = sum(b.applied - a.applied for a, b in behind) / seconds if seconds else burst.rate
    return {
        "most_waiting": max(look.waiting for look in later),
        "excess": at_end.waiting,
        "applied_per_s": round(speed, 1),
        "caught_up_s": round(max(0.0, done.at - burst.ended), 1),
        "caught_up_bound_s": round(2.0 * at_end.waiting / speed + 2.0 * _LOOK_EVERY_S, 1),
        "looks": len(looks),
        "unhealthy_looks": sum(not look.healthy for look in looks),
    }
