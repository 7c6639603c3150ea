"""``nearstream bench memory``: what a worker's memory does over a long run.

Events are appended ahead of the worker, which runs flat out. Its resident memory is sampled all the way; what it has
grown by from the moment half of the events were applied until the last one was is the figure to look at, beside what
its stores have grown by in the same time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.cluster import Cluster, create_topics, settings_from, use_cluster
from bench.feeder import Feed, fed_by, feeding
from bench.load import START_MS
from bench.machine import Sampler, describe, directory_mb, memory_mb
from bench.throughput import DRAIN_TIMEOUT_S
from bench.worker_process import Figures, WorkerProcess

_MIB = 2**20
_EVERY_S = 0.5
_SMOOTHED = 5


class MemoryResult(msgspec.Struct, kw_only=True):
    """Result, one JSON line. Sizes in MiB.

    Parameters
    ----------
    events, users
        Number of events that were applied, and of distinct users.
    rss_mb_start
        Resident memory when the worker began.
    rss_mb_half, rss_mb_end, growth_mb
        After half of the events and after all of them (mean of the samples around), and the difference.
    peak_rss_mb
        Largest resident memory.
    store_memory_mb_half, store_memory_mb_end
        Memory that the stores take: block caches, memtables, indexes. Bounded by the settings of ``[store]``.
    growth_beyond_stores_mb
        ``growth_mb`` without the stores' own.
    store_mb_half, store_mb_end
        What the stores say they hold: live files and memtables.
    state_mb
        Size of the state directory at the end.
    read_model_items
        Items in the read model at the end.
    rss_mb_tenths
        Resident memory after each tenth of the events.
    """

    events: int
    users: int
    rss_mb_start: float
    rss_mb_half: float
    rss_mb_end: float
    growth_mb: float
    peak_rss_mb: float
    store_memory_mb_half: float
    store_memory_mb_end: float
    growth_beyond_stores_mb: float
    store_mb_half: float
    store_mb_end: float
    state_mb: float
    read_model_items: int
    rss_mb_tenths: list[float]
    wall_s: float
    events_per_s: float
    broker: str
    guarantee: str
    machine: str


class _Mark(msgspec.Struct):
    """What a scrape showed, and when."""

    at: float
    events: int
    store_mb: float
    store_memory_mb: float


def run_memory(
    events: int = 1_000_000, users: int = 100_000, items: int = 5_000, brokers: str | None = None
) -> MemoryResult:
    """Measure the memory of one worker that applies simulated events.

    Parameters
    ----------
    events
        Number of simulated events, at least ten.
    users, items
        Number of shoppers, of whom the active ones come more often, and of products.
    brokers
        Brokers without Nearstream's records; by default an Apache Kafka is started.
    """
    feed = Feed(events=events, users=users, items=items, start_ms=START_MS)
    with use_cluster(brokers) as cluster:
        environment = cluster.environment()
        asyncio.run(create_topics(settings_from(environment)))
        return _measure(cluster, environment, feed)


def _measure(cluster: Cluster, environment: Mapping[str, str], feed: Feed) -> MemoryResult:
    settings = settings_from(environment)
    with (
        feeding(feed, cluster.directory / "feeder.log", environment) as feeder,
        WorkerProcess(environment, cluster.directory / "worker.log") as worker,
        Sampler(worker.pid, _EVERY_S) as sampler,
    ):
        marks: list[_Mark] = []

        def applied() -> bool:
            marks.append(_mark(worker.figures()))
            return marks[-1].events >= feed.events

        worker.wait(applied, DRAIN_TIMEOUT_S, f"{feed.events} events to be applied", _EVERY_S)
        end = worker.wait_until_drained(feed.events, 120.0)
        figures, peak = worker.figures(), memory_mb(worker.pid, peak=True)
        tenths = [_rss(sampler, _reached(marks, feed.events * n // 10).at) for n in range(1, 10)]
        start, last = sampler.samples[0].rss_mb, _rss(sampler, end)
        state = directory_mb(Path(settings.worker.state_dir))
        fed = fed_by(feeder)
    half, final, wall = _reached(marks, feed.events // 2), _mark(figures), end - worker.started_at
    return MemoryResult(
        events=feed.events,
        users=fed.users,
        rss_mb_start=round(start, 1),
        rss_mb_half=tenths[4],
        rss_mb_end=last,
        growth_mb=round(last - tenths[4], 1),
        peak_rss_mb=round(peak, 1),
        growth_beyond_stores_mb=round(last - tenths[4] - final.store_memory_mb + half.store_memory_mb, 1),
        **_store_figures(half, final),
        state_mb=round(state, 1),
        read_model_items=int(figures.total("nearstream_read_model_items")),
        rss_mb_tenths=[*tenths, last],
        wall_s=round(wall, 1),
        events_per_s=round(feed.events / wall, 1),
        broker=cluster.label,
        guarantee=settings.worker.processing_guarantee,
        machine=describe(),
    )


def _store_figures(half: _Mark, final: _Mark) -> dict[str, float]:
    return {
        "store_memory_mb_half": round(half.store_memory_mb, 1),
        "store_memory_mb_end": round(final.store_memory_mb, 1),
        "store_mb_half": round(half.store_mb, 1),
        "store_mb_end": round(final.store_mb, 1),
    }


def _mark(figures: Figures) -> _Mark:
    return _Mark(
        time.monotonic(),
        figures.events(),
        figures.total("nearstream_store_bytes") / _MIB,
        figures.total("nearstream_store_memory_bytes") / _MIB,
    )


def _reached(marks: list[_Mark], events: int) -> _Mark:
    """Return the first scrape that showed so many events applied."""
    return next(mark for mark in marks if mark.events >= events)


def _rss(sampler: Sampler, moment: float) -> float:
    """Return the resident memory around a moment: the mean of the last samples before it."""
    before = [sample.rss_mb for sample in sampler.samples if sample.at <= moment][-_SMOOTHED:]
    return round(sum(before) / len(before), 1) if before else sampler.samples[0].rss_mb
