"""``nearstream bench restore``: how fast a partition store takes in its changelog.

The records are those of a compacted changelog of a users partition: one profile per user, as large as profiles of
simulated shoppers are after one event, two, and so on up to some fifty. No key comes twice, which is the worst case:
the store writes only the last of a chunk's records of one key. They are made beforehand. What is timed is what a
worker does with them: chunks through :meth:`state.store.PartitionStore.restore` into an empty store, and closing it,
which flushes. ``cpu_s`` is that of the whole process in that time, RocksDB's own threads included.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench.cluster import Cluster, create_topics, settings_from, use_cluster
from bench.load import simulate
from bench.machine import describe, directory_mb
from bench.worker_process import BenchmarkFailed
from processors.common.topics import changelog_topic
from processors.events.reader import RecordReader
from processors.events.record import Refusal
from processors.planes.base import Output
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings
from state.position import Position
from state.rocks import RocksStore
from state.store import ChangelogRecord, MemoryStore
from streams.engine.topology import build_topology
from streams.kafka.publisher import Publisher
from streams.settings.sections import Settings
from streams.worker.restore import restore
from streams.worker.stores import Stores

CHUNK_RECORDS = 10_000
"""Most records that :mod:`streams.worker.restore` hands to the store at once."""

_PUBLISHED_AT_ONCE = 2_000


class RestoreResult(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Result, one JSON line.

    Parameters
    ----------
    records, keys, value_bytes
        What was restored: records, distinct keys among them, mean size of a value.
    wall_s, cpu_s, records_per_s, records_per_cpu_s
        Time, CPU-seconds, and records per second of both, of the store alone.
    store_mb
        Size of its files afterwards.
    kafka_wall_s, kafka_records_per_s
        The same records read back from a changelog topic on the brokers by the worker's own code.
    """

    records: int
    keys: int
    value_bytes: float
    wall_s: float
    cpu_s: float
    records_per_s: float
    records_per_cpu_s: float
    store_mb: float
    machine: str
    kafka_wall_s: float | None = None
    kafka_records_per_s: float | None = None
    broker: str | None = None


def run_restore(
    records: int = 300_000, users: int = 6_000, through_kafka: bool = False, brokers: str | None = None
) -> RestoreResult:
    """Measure how fast a store takes in a changelog.

    Parameters
    ----------
    records
        Number of records of the changelog.
    users
        Number of shoppers whose profiles are taken; with the default each has some fifty events in the end.
    through_kafka
        Whether to write them to a changelog topic too, and restore from there.
    brokers
        Brokers for that, without Nearstream's records; by default an Apache Kafka is started.
    """
    log = list(changelog(records, users))
    result = _store_alone(log)
    if through_kafka:
        with use_cluster(brokers) as cluster:
            seconds = asyncio.run(_through_kafka(cluster, log))
            result.broker, result.kafka_wall_s = cluster.label, round(seconds, 2)
            result.kafka_records_per_s = round(len(log) / seconds, 1)
    return result


def changelog(records: int, users: int) -> Iterator[ChangelogRecord]:
    r"""Yield the compacted changelog of a users partition: a profile per user, and a position now and then.

    Examples
    --------
    >>> [record.key for record in changelog(2, users=1)]
    [b'\x01shopper-0000-1', b'\x01shopper-0000-2']
    """
    intake, keeper, store = RecordReader(), ProfileKeeper(ProfileSettings()), MemoryStore(Profile)
    encode = msgspec.json.Encoder().encode
    profiles: dict[str, Profile] = {}
    position = Position(0, {"events.click.v1": 0})
    for number, simulated in enumerate(simulate(records, users, 2_000), 1):
        event = intake.read(encode(simulated.value()), "browse", simulated.timestamp)
        if isinstance(event, Refusal):
            raise BenchmarkFailed(f"the intake refused a simulated event: {event}")
        profile = profiles.setdefault(simulated.key, Profile())
        keeper.learn(profile, event)
        position.number, position.offsets["events.click.v1"] = number, number
        written = store.encode({f"{simulated.key}-{number}": profile}, position)
        yield written[number % 1000 == 0]


def _store_alone(log: Sequence[ChangelogRecord]) -> RestoreResult:
    with tempfile.TemporaryDirectory(prefix="nearstream-bench-") as directory:
        path = Path(directory) / "users-0"
        wall, cpu = time.monotonic(), time.process_time()
        store = RocksStore(path, Profile)
        for at in range(0, len(log), CHUNK_RECORDS):
            store.restore(log[at : at + CHUNK_RECORDS], at + CHUNK_RECORDS)
        store.close()
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        size = directory_mb(path)
    return RestoreResult(
        records=len(log),
        keys=len({record.key for record in log}),
        value_bytes=round(sum(len(record.value or b"") for record in log) / len(log), 1),
        wall_s=round(wall, 3),
        cpu_s=round(cpu, 3),
        records_per_s=round(len(log) / wall, 1),
        records_per_cpu_s=round(len(log) / cpu, 1),
        store_mb=round(size, 1),
        machine=describe(),
    )


async def _through_kafka(cluster: Cluster, log: Sequence[ChangelogRecord]) -> float:
    settings = settings_from(cluster.environment())
    await create_topics(settings)
    plane = build_topology(settings).users
    await _write(settings, log)
    publisher, store = Publisher(settings, "users-0"), Stores(settings).open(plane, 0)
    try:
        begun = time.monotonic()
        await publisher.start()
        await restore(settings, plane, 0, store, publisher)
        store.close()
        return time.monotonic() - begun
    finally:
        await publisher.stop()


async def _write(settings: Settings, log: Sequence[ChangelogRecord]) -> None:
    publisher = Publisher(settings, "writer")
    await publisher.start()
    try:
        for at in range(0, len(log), _PUBLISHED_AT_ONCE):
            part = log[at : at + _PUBLISHED_AT_ONCE]
            await publisher.publish(Output(changelog_topic("users"), 0, *record) for record in part)
    finally:
        await publisher.stop()
