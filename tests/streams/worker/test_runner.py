"""A partition's life in a worker, around a changelog in memory: fenced, damaged, behind or ahead of its logs."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from processors.common.errors import CorruptStoreError, FencedError, StateError
from processors.planes.base import Output
from state.codec import StateCodec
from state.position import Position
from state.rocks import RocksStore
from state.store import POSITION_KEY, ChangelogRecord, PartitionStore
from streams.engine.source_batch import SourceBatch
from streams.kafka.publisher import Appended
from streams.settings.sections import KafkaSettings, Settings, WorkerSettings
from streams.worker.compute_thread import ComputeThread
from streams.worker.consumer_control import ConsumerControl
from streams.worker.metrics import Metrics
from streams.worker.runner import PartitionRunner
from streams.worker.stores import Stores
from tests.streams.engine.test_partition import Log, LogPlane, batch
from tests.support import flip_a_bit

CHANGELOG = "internal.changelog.log"


class Place:
    """What a runner meets outside: a changelog, the ends of its source logs, other workers."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = Settings(
            kafka=KafkaSettings(session_timeout_s=1), worker=WorkerSettings(state_dir=str(folder), commit_interval_ms=0)
        )
        self.changelog: list[ChangelogRecord] = []
        self.begins: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.sought: dict[str, int] = {}
        self.seeks: list[tuple[str, int]] = []
        self.on_the_way: list[Any] = []
        self.fenced = self.publishers = self.stuck = 0
        self.metrics = Metrics()
        self.stores = Stores(self.settings)
        self.compute = ComputeThread()
        monkeypatch.setattr("streams.worker.runner.Publisher", lambda *_: FakePublisher(self))
        monkeypatch.setattr("streams.worker.runner.restore", self._restore)

    async def _restore(self, _s: Any, _p: Any, _n: int, store: PartitionStore[Any], *_: Any) -> int:
        begin = store.changelog_offset()
        store.restore(self.changelog[begin:], len(self.changelog))
        return len(self.changelog) - begin

    async def _seek(self, topic: str, _: int, offset: int) -> None:
        self.sought[topic] = offset
        self.seeks.append((topic, offset))
        self._arrive()

    def _arrive(self) -> None:
        """Whenever the consumer is asked for something, one more of what it had fetched arrives."""
        if self.on_the_way:
            self.on_the_way.pop(0)()

    async def _beginning(self, topic: str, _: int) -> int:
        self._arrive()
        return self.begins.get(topic, 0)

    async def _end(self, topic: str, _: int) -> int:
        return self.ends.get(topic, 1000)

    def runner(self) -> PartitionRunner:
        source = ConsumerControl(self._seek, self._beginning, self._end, lambda *_: None, lambda *_: None)
        return PartitionRunner(self.settings, LogPlane(), 3, source, 0, self.metrics, self.stores, self.compute)

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"nearstream_{name}_total", labels) or 0.0


class FakePublisher:
    transactional = True

    def __init__(self, place: Place) -> None:
        self._place = place
        place.publishers += 1

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def publish(self, outputs: Iterable[Output]) -> dict[tuple[str, int], Appended]:
        if self._place.fenced:
            self._place.fenced -= 1
            raise FencedError("log-3: another worker has taken over")
        if self._place.stuck:
            self._place.stuck -= 1
            await asyncio.Event().wait()
        self._place.changelog += [ChangelogRecord(o.key or b"", o.value) for o in outputs if o.topic == CHANGELOG]
        return {(CHANGELOG, 3): Appended(len(self._place.changelog), None)}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(tmp_path, monkeypatch)
    yield place
    place.compute.close()


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
    """Hand batches over; what is returned grows with each that is acknowledged."""
    acknowledged: list[int] = []
    for part in batches:
        runner.deliver(part, lambda end=part.end: acknowledged.append(end))  # type: ignore[misc]  # bound now
    return acknowledged


async def test_a_gap_is_sought_back_for_once_whatever_was_fetched_before(place: Place) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner) == ["a0", "a1"])
        place.seeks.clear()
        stale: list[int] = []
        for start in range(6, 40, 2):
            place.on_the_way.append(lambda n=start: stale.extend(deliver(runner, batch("a", n, n + 2))))
        deliver(runner, batch("a", 4, 6))
        await until(lambda: len(place.seeks) == 2 and runner.idle)
        while place.on_the_way:
            place._arrive()
            await asyncio.sleep(0.005)
        acknowledged = deliver(runner, batch("a", 2, 5), batch("a", 5, 40), batch("b", 0, 1))
        await until(lambda: len(acknowledged) == 3)
        assert sorted(seen(runner)) == sorted(["b0", *(f"a{n}" for n in range(40))])
        assert (place.seeks, place.counted("delivery_gaps", plane="log")) == ([("a", 2), ("b", 0)], 1)
        assert stale == []


async def test_what_the_log_has_lost_behind_a_gap_is_stepped_over(place: Place) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner))
        place.begins["a"] = 5
        deliver(runner, batch("a", 6, 7))
        await until(lambda: place.sought["a"] == 5)
        deliver(runner, batch("a", 7, 8), batch("a", 5, 7), batch("a", 7, 8))
        await until(lambda: seen(runner) == ["a0", "a1", "a5", "a6", "a7"])
        assert place.counted("delivery_gaps", plane="log") == 1


async def test_what_the_log_loses_after_it_was_sought_is_stepped_over_too(place: Place) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        place.begins["a"] = 5
        for start in range(5, 206):
            deliver(runner, batch("a", start, start + 1))
        await until(lambda: place.sought["a"] == 5)
        deliver(runner, batch("a", 5, 206))
        await until(lambda: seen(runner) == [f"a{n}" for n in range(5, 206)])


async def test_the_watchdog_has_what_was_sought_in_vain_sought_anew(place: Place) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        place.begins["a"] = 5
        deliver(runner, batch("a", 5, 6))
        await asyncio.sleep(0.05)
        assert (seen(runner), runner.idle) == ([], True)
        await runner.reseek()
        deliver(runner, batch("a", 6, 7), batch("a", 5, 7))
        await until(lambda: seen(runner) == ["a5", "a6"])
        assert place.counted("delivery_gaps", plane="log") == 0


def seen(runner: PartitionRunner) -> list[str]:
    assert runner.processor is not None
    (state,) = runner.processor.store.read(["all"])
    return list(state.seen) if state else []


async def test_a_fenced_runner_takes_its_partition_over_again(place: Place) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        place.fenced = 1
        lost = deliver(runner, batch("a", 0, 2))
        await until(lambda: runner.processor is None)
        await until(lambda: runner.processor)
        assert (lost, place.publishers) == ([], 2)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner) == ["a0", "a1"])


async def test_a_runner_whose_transaction_is_stuck_takes_its_partition_over_again(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        runner.give_up_publishing()
        place.stuck = 1
        lost = deliver(runner, batch("a", 0, 2))
        await until(lambda: runner.publishing_since)
        runner.give_up_publishing()
        await until(lambda: runner.processor is None)
        await until(lambda: runner.processor)
        assert (lost, place.publishers) == ([], 2)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner) == ["a0", "a1"])
    assert "log-3: a transaction found no end while the brokers answered; unless" in caplog.text


async def test_a_runner_that_is_fenced_rests_longer_each_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        monkeypatch.setattr("streams.worker.runner.asyncio.sleep", rest)
        for _ in range(9):
            await runner._rest(FencedError("again"))
        monkeypatch.undo()
    assert rests == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_fenced_runner_whose_partition_went_elsewhere_lets_it_go(place: Place) -> None:
    runner = place.runner()
    async with running(runner) as task:
        await until(lambda: runner.processor)
        place.fenced = 1
        deliver(runner, batch("a", 0, 2))
        await until(lambda: runner.processor is None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (place.publishers, task.cancelled()) == (1, True)


async def test_a_store_found_damaged_at_work_is_made_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner) == ["a0", "a1"])
        damage(monkeypatch, runner)
        lost = deliver(runner, batch("a", 2, 3))
        await until(lambda: place.publishers == 2 and runner.processor)
        assert lost == []
        deliver(runner, batch("a", 2, 3))
        await until(lambda: seen(runner) == ["a0", "a1", "a2"])


async def test_a_store_found_damaged_twice_fails_the_worker(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = place.runner()
    async with running(runner) as task:
        for publishers in (1, 2):
            await until(lambda n=publishers: place.publishers == n and runner.processor)
            damage(monkeypatch, runner)
            deliver(runner, batch("a", 0, 1))
        with pytest.raises(CorruptStoreError):
            await asyncio.wait_for(task, 5)


def fill_with_damage(place: Place, folder: Path) -> None:
    """A store with three tables, a bit of the first flipped, and a changelog that is one record ahead of it.

    Restoring that record makes the fourth table, at which RocksDB compacts them in the background.
    """
    begun = {"a": 0, "b": 0}
    for table in range(1, 4):
        store = RocksStore(folder, Log)
        states: dict[str, Log | None] = {f"u{n}": Log([f"{table}"]) for n in range(3000)}
        states["all"] = Log()
        records = store.encode(states, Position(table, begun))
        place.changelog += records
        store.commit(records, len(place.changelog))
        store.close()
    place.changelog.append(ChangelogRecord(POSITION_KEY, StateCodec(Position).encode(Position(4, begun))))
    flip_a_bit(min(folder.glob("*.sst")), 0.5)


async def test_a_store_whose_damage_a_compaction_finds_is_made_anew(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_with_damage(place, tmp_path / "log-3")
    runner, sent = place.runner(), 0
    async with running(runner) as task:
        while place.publishers == 1 or runner.processor is None:
            assert not task.done()
            if runner.processor is not None and runner.idle:
                deliver(runner, batch("a", sent, sent + 1))
                sent += 1
            await asyncio.sleep(0.001)
        assert "Corruption" in next(r.getMessage() for r in caplog.records if r.name == "streams.worker.stores")
        assert "starting it anew from the changelog" in caplog.text
        deliver(runner, batch("a", place.sought["a"], sent + 1))
        await until(lambda: seen(runner) == [f"a{n}" for n in range(sent + 1)])
        assert sum(1 for _ in runner.processor.store.items()) == 3001
    assert not list(tmp_path.glob("log-3.*")), "the lock was held"  # noqa: ASYNC240


def damage(monkeypatch: pytest.MonkeyPatch, runner: PartitionRunner) -> None:
    """From now on the runner's store can be read no more."""
    assert runner.processor is not None
    store = runner.processor.store
    assert isinstance(store, RocksStore)

    def fail(_: object) -> None:
        raise CorruptStoreError(f"state directory {store.path} cannot be read: Corruption")

    monkeypatch.setattr(store, "_get", fail)


async def test_a_position_that_is_new_begins_another_life(place: Place) -> None:
    lives = []
    for _ in range(2):
        runner = place.runner()
        async with running(runner):
            await until(lambda r=runner: r.processor)
            deliver(runner, batch("a", 0, 1))
            await until(lambda r=runner: seen(r))
            assert runner.processor is not None
            lives.append(runner.processor.position.incarnation)
        place.changelog.clear()
        assert place.stores.rebuild(LogPlane(), 3) or len(lives) == 2
    assert 0 < lives[0] < lives[1]


async def test_a_log_that_ends_before_the_position_is_refused(place: Place) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 7))
        await until(lambda: seen(runner))
    assert place.stores.rebuild(LogPlane(), 3), "the next worker knows of it from the changelog alone"
    place.ends["a"] = 6
    with pytest.raises(StateError, match=r"a\[3\] ends at 6, but it has been applied up to 7: .* start anew: delete"):
        await place.runner().run(asyncio.Event())


async def test_a_log_that_is_replaced_under_a_worker_is_refused_once_it_stands_still(place: Place) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 7))
        await until(lambda: seen(runner))
        place.ends["a"] = 6
        with pytest.raises(StateError, match="the topic was recreated"):
            await runner.reseek()


@pytest.mark.parametrize(("topic", "lost"), [("internal.events", 0), ("events.click.v1", 2)])
async def test_what_retention_took_is_stepped_over_and_counted_where_it_must_have_been_records(
    place: Place, topic: str, lost: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(LogPlane, "source_topics", (topic,))
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch(topic, 0, 3))
        await until(lambda: seen(runner))
    place.begins[topic] = 5
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        assert (place.sought, place.counted("lost_records", topic=topic)) == ({topic: 5}, lost)
    assert "read up to 3, but the log begins at 5 now" in caplog.text


async def test_repeated_records_count_though_nothing_else_came(place: Place) -> None:
    runner = place.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        acknowledged = deliver(runner, batch("a", 0, 3), batch("a", 0, 3))
        await until(lambda: len(acknowledged) == 2)
        acknowledged = deliver(runner, batch("a", 1, 3))
        await until(lambda: acknowledged)
        assert place.counted("repeated_records", plane="log") == 5
