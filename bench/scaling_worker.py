"""What a worker on Kafka does beside computing: Kafka's client, Faust, the store, metrics.

A worker drains events, as in ``bench throughput``. One of its threads computes (decision 15), all of the planes and the
read models; that one is told from the others by having used most. What the others used, relative to it, comes from one
run, so that it does not matter how fast the machine is at the moment.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from bench.cluster import Cluster, create_topics, settings_from, use_cluster
from bench.load import LoadEvent, append, simulated
from bench.machine import memory_mb, thread_cpu_seconds
from bench.throughput import DRAIN_TIMEOUT_S
from bench.worker_process import WorkerProcess

_USERS, _ITEMS = 20_000, 5_000


class Shell(NamedTuple):
    """What a worker takes beside computing: CPU time relative to that; and its resident memory in MB."""

    ratio: float
    memory_mb: float


def measure_shell(brokers: str | None = None, events: int = 40_000, warm: int = 10_000) -> Shell:
    """Measure a worker that drains events.

    Parameters
    ----------
    brokers
        Brokers without Nearstream's records; by default an Apache Kafka is started.
    events, warm
        Events that are appended while the worker runs, and before it starts; the latter do not count.
    """
    load = list(simulated(events + warm, _USERS, _ITEMS))
    with use_cluster(brokers) as cluster:
        return asyncio.run(_drain(cluster, load, warm))


async def _drain(cluster: Cluster, load: list[LoadEvent], warm: int) -> Shell:
    environment = cluster.environment()
    settings = settings_from(environment)
    await create_topics(settings)
    await append(settings, load[:warm])
    with WorkerProcess(environment, cluster.directory / "worker.log") as worker:
        await asyncio.to_thread(worker.wait_until_drained, warm, DRAIN_TIMEOUT_S)
        before = thread_cpu_seconds(worker.pid)
        await append(settings, load[warm:])
        await asyncio.to_thread(worker.wait_until_drained, len(load), DRAIN_TIMEOUT_S)
        ratio = ratio_of(before, thread_cpu_seconds(worker.pid))
        return Shell(ratio, memory_mb(worker.pid) * 2**20 / 1e6)


def ratio_of(before: dict[int, float], after: dict[int, float]) -> float:
    """Return what all threads but the busiest used between two looks, relative to the busiest.

    Examples
    --------
    >>> ratio_of({1: 5.0, 2: 1.0}, {1: 6.0, 2: 5.0, 3: 1.0})
    0.5
    """
    used = [seconds - before.get(thread, 0.0) for thread, seconds in after.items()]
    return (sum(used) - max(used)) / max(used)
