"""What surrounds a partition and a worker, in memory: brokers with a changelog, a runner with figures to set."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from processors.common.errors import CorruptStoreError, FencedError
from processors.planes.base import Output
from state.rocks import RocksStore
from state.store import ChangelogRecord, PartitionStore
from streams.engine.source_batch import SourceBatch
from streams.engine.topology import build_topology
from streams.kafka.publisher import Appended
from streams.settings.sections import KafkaSettings, Settings, WorkerSettings
from streams.worker.broker_wait import BrokerWait
from streams.worker.compute_thread import ComputeThread
from streams.worker.consumer_control import ConsumerControl
from streams.worker.health import Health
from streams.worker.lags import Lags
from streams.worker.membership import Membership
from streams.worker.metrics import Metrics
from streams.worker.record_buffer import RecordBuffer
from streams.worker.runner import PartitionRunner
from streams.worker.stores import Stores
from streams.worker.takeover import Takeover
from streams.worker.watchdog import Watchdog
from tests.streams.engine.test_partition import LogPlane

CHANGELOG = "internal.changelog.log"
HERE = TP("events.click.v1", 0)


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Brokers:
    """A changelog, the ends of the source logs, other workers: what a partition meets outside its process.

    ``fenced`` publishes fail as fenced, ``stuck`` ones never end; ``on_the_way`` holds deliveries of what the consumer
    had fetched before, one of which arrives whenever it is asked for something.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = Settings(
            kafka=KafkaSettings(session_timeout_s=1), worker=WorkerSettings(state_dir=str(folder), commit_interval_ms=0)
        )
        self.changelog: list[ChangelogRecord] = []
        self.begins: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.sought: dict[str, int] = {}
        self.seeks: list[tuple[str, int]] = []
        self.paused: list[str] = []
        self.calls: list[str] = []
        self.on_the_way: list[Any] = []
        self.fenced = self.publishers = self.stuck = 0
        self.transactional = True
        self.metrics = Metrics()
        self.stores = Stores(self.settings)
        self.compute = ComputeThread()
        monkeypatch.setattr("streams.worker.takeover.Publisher", lambda *_: FakePublisher(self))
        monkeypatch.setattr("streams.worker.takeover.restore", self._restore)

    async def _restore(self, _s: Any, _p: Any, _n: int, store: PartitionStore[Any], *_: Any) -> int:
        self.calls.append("restore")
        begin = store.changelog_offset()
        store.restore(self.changelog[begin:], len(self.changelog))
        return len(self.changelog) - begin

    async def _seek(self, offsets: Mapping[str, int], _: int) -> None:
        for topic, offset in offsets.items():
            self.calls.append("seek")
            self.sought[topic] = offset
            self.seeks.append((topic, offset))
            self.arrive()

    def arrive(self) -> None:
        if self.on_the_way:
            self.on_the_way.pop(0)()

    async def _beginnings(self, topics: Sequence[str], _: int) -> dict[str, int]:
        for _topic in topics:
            self.calls.append("compare")
            self.arrive()
        return {topic: self.begins.get(topic, 0) for topic in topics}

    async def _ends(self, topics: Sequence[str], _: int) -> dict[str, int]:
        return {topic: self.ends.get(topic, 1000) for topic in topics}

    @property
    def consumer(self) -> ConsumerControl:
        return ConsumerControl(
            self._seek,
            self._beginnings,
            self._ends,
            lambda topic, _: self.paused.append(topic),
            lambda topic, _: self.paused.remove(topic),
        )

    def runner(self) -> PartitionRunner:
        return PartitionRunner(self.settings, LogPlane(), 3, self.consumer, 0, self.metrics, self.stores, self.compute)

    def takeover(self) -> Takeover:
        buffer = RecordBuffer(1000, 10**6, pause=lambda _: None, resume=lambda _: None)
        return Takeover(self.settings, LogPlane(), 3, self.consumer, buffer, self.metrics, self.stores)

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"nearstream_{name}_total", labels) or 0.0


class FakePublisher:
    def __init__(self, brokers: Brokers) -> None:
        self._brokers, self.transactional = brokers, brokers.transactional
        brokers.publishers += 1

    async def start(self) -> None:
        self._brokers.calls.append("fence")

    async def stop(self) -> None:
        self._brokers.calls.append("stop")

    async def publish(self, outputs: Iterable[Output]) -> dict[tuple[str, int], Appended]:
        if self._brokers.fenced:
            self._brokers.fenced -= 1
            raise FencedError("log-3: another worker has taken over")
        if self._brokers.stuck:
            self._brokers.stuck -= 1
            await asyncio.Event().wait()
        self._brokers.changelog += [ChangelogRecord(o.key or b"", o.value) for o in outputs if o.topic == CHANGELOG]
        return {(CHANGELOG, 3): Appended(len(self._brokers.changelog), None)}


@asynccontextmanager
async def running(runner: PartitionRunner) -> AsyncIterator[asyncio.Task[None]]:
    ready = asyncio.Event()
    ready.set()
    task = asyncio.create_task(runner.run(ready))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any, seconds: float = 5) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, "not in time"
        await asyncio.sleep(0.01)


def deliver(runner: PartitionRunner, *batches: SourceBatch) -> list[int]:
    """Deliver batches; what is returned grows with each that is acknowledged."""
    acknowledged: list[int] = []
    for part in batches:
        runner.deliver(part, lambda end=part.end: acknowledged.append(end))  # type: ignore[misc]  # bound now
    return acknowledged


def seen(runner: PartitionRunner) -> list[str]:
    """What the plane has seen, as its stored state says."""
    assert runner.processor is not None
    (state,) = runner.processor.store.read(["all"])
    return list(state.seen) if state else []


def damage(monkeypatch: pytest.MonkeyPatch, runner: PartitionRunner) -> None:
    """From now on the runner's store can be read no more."""
    assert runner.processor is not None
    store = runner.processor.store
    assert isinstance(store, RocksStore)

    def fail(_: object) -> None:
        raise CorruptStoreError(f"state directory {store.path} cannot be read: Corruption")

    monkeypatch.setattr(store, "_get", fail)


class WatchedWorker:
    """A worker with one partition: 10 records applied, the end of the log at will, time that a test lets pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.end, self.reread = 1000.0, 10, 0
        self.given_up = 0
        self.probe = SimpleNamespace(silent_s=0.0, problem=None)
        self.feed = SimpleNamespace(complete=asyncio.Event(), changed_at=0.0, stuck_s=0.0)
        self.feed.complete.set()
        self.recordless: dict[TP, tuple[int, int]] = {}
        position = SimpleNamespace(offsets={HERE.topic: 10})
        store = SimpleNamespace(size_bytes=lambda: 2000, memory_bytes=lambda: 300, decoded_bytes=40)
        self.runner = SimpleNamespace(
            idle=True,
            committed_at=self.now,
            progressed_at=self.now,
            reseek=self._reseek,
            activity="publishing",
            trouble=None,
            publishing_since=None,
            give_up_publishing=self._give_up,
            processor=SimpleNamespace(position=position, store=store),
        )
        self.topology = build_topology(Settings())
        self.runners = cast(Any, {("users", 0): self.runner})
        consumer = SimpleNamespace(assignment=lambda: {HERE}, end=lambda _: self.end, recordless=self.recordless)
        self.lags = Lags(self.topology.planes, self.runners, lambda: cast(Any, consumer))
        probe, feed = cast(Any, self.probe), cast(Any, self.feed)
        self.wait = BrokerWait(Settings().kafka)
        self.wait.waits_for = None
        self.membership = Membership(clock=lambda: self.now)
        self.watchdog = Watchdog(self.lags, probe, self.membership, 60)
        self.health = Health(60, self.runners, self.lags, self.watchdog, feed, probe, self.membership, self.wait)
        for module in ("watchdog", "health", "gauges"):
            monkeypatch.setattr(f"streams.worker.{module}.monotonic", lambda: self.now)

    def _give_up(self) -> None:
        self.given_up += 1
        self.runner.publishing_since = self.now

    async def _reseek(self) -> None:
        self.reread += 1

    async def watch(self, seconds: int) -> list[dict[str, str]]:
        """Let the watchdog look every two seconds; return what was not well at each look."""
        problems = []
        for _ in range(0, seconds, 2):
            self.now += 2
            await self.watchdog.look()
            problems.append(self.health.unhealthy())
        return problems
