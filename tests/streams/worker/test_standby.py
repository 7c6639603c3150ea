"""Copies of other workers' partitions: what they follow, who gets them, and when none is kept."""

import asyncio
import logging
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from processors.common.errors import LockedStoreError
from state.position import Position
from state.rocks import RocksStore
from state.store import MARKER_KEY, ChangelogRecord, MemoryStore
from streams.settings.sections import Settings, TopicSettings, WorkerSettings
from streams.worker.standby import Standby
from streams.worker.stores import Stores
from tests.load import send_clicks, wait_drained
from tests.oracle import account
from tests.streams.engine.test_partition import Log, LogPlane
from tests.streams.worker.fakes import until
from tests.support import WorkerProcess, fresh_settings

CHANGELOG = "internal.changelog.log"


class FakeLogs:
    """Changelogs in memory, and the consumer that reads them."""

    def __init__(self, partitions: int) -> None:
        self.logs: dict[int, list[ChangelogRecord]] = {number: [] for number in range(partitions)}
        self.positions: dict[TopicPartition, int] = {}
        self.away = 0

    def write(self, number: int, *texts: str) -> None:
        store = MemoryStore(Log)
        for text in texts:
            end = len(self.logs[number])
            self.logs[number] += store.encode({"all": Log([text])}, Position(end))
            self.logs[number].append(ChangelogRecord(MARKER_KEY, b"somebody"))

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        self.positions = dict.fromkeys(partitions, 0)

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    async def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        if self.away:
            self.away -= 1
            raise KafkaConnectionError("nobody there")
        return {tp: len(self.logs[tp.partition]) for tp in partitions}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.positions[tp] = offset

    async def position(self, tp: TopicPartition) -> int:
        return self.positions[tp]

    def highwater(self, tp: TopicPartition) -> int:
        return len(self.logs[tp.partition])

    async def getmany(self, **_: object) -> dict[TopicPartition, list[Any]]:
        await asyncio.sleep(0)
        found: dict[TopicPartition, list[Any]] = {}
        for tp, begin in self.positions.items():
            log = self.logs[tp.partition]
            begin = begin if begin <= len(log) else 0  # as after a reset of the offset
            records = [SimpleNamespace(offset=n, key=log[n].key, value=log[n].value) for n in range(begin, len(log))]
            if records:
                found[tp], self.positions[tp] = records, len(log)
        return found


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> FakeLogs:
    async def nothing(_: object) -> None:
        pass

    found = FakeLogs(2)
    monkeypatch.setattr("streams.worker.standby.manual_consumer", lambda _: found)
    monkeypatch.setattr("streams.worker.standby.start_client", nothing)
    monkeypatch.setattr("streams.worker.standby.stop_client", nothing)
    monkeypatch.setattr("streams.worker.standby._REST_S", 0.01)
    monkeypatch.setattr("streams.worker.standby._AGAIN_S", 0.01)
    return found


class Copying:
    """A worker that keeps copies in a folder, and runs what is in ``runners``."""

    def __init__(self, folder: Path) -> None:
        settings = Settings(topics=TopicSettings(partitions=2), worker=WorkerSettings(state_dir=str(folder)))
        self.stores, self.runners, ready = Stores(settings), dict[tuple[str, int], Any](), asyncio.Event()
        ready.set()
        self.standby = Standby(settings, [LogPlane()], self.stores, self.runners, ready)

    def held(self, number: int) -> list[str] | None:
        copy = self.stores.copies.get(("log", number))
        if copy is None:
            return None
        (state,) = copy.read(["all"])
        return state.seen if state else []

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.standby.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_copies_follow_the_changelogs_of_what_is_not_run_here(logs: FakeLogs, tmp_path: Path) -> None:
    worker = Copying(tmp_path)
    worker.runners["log", 0] = SimpleNamespace(processor=object())
    logs.write(0, "mine")
    logs.write(1, "a", "b")
    async with worker.going_on():
        await until(lambda: worker.held(1) == ["b"])
        logs.write(1, "c")
        await until(lambda: worker.held(1) == ["c"])
        assert worker.held(0) is None
        await until(lambda: worker.standby.behind == {"log": 0})
    assert not worker.stores.copies
    again = RocksStore(tmp_path / "log-1", Log)
    assert (again.read(["all"])[0], again.changelog_offset()) == (Log(["c"]), 9)
    again.close()


async def test_whoever_takes_a_partition_gets_the_open_copy_and_nothing_is_written_to_it_any_more(
    logs: FakeLogs, tmp_path: Path
) -> None:
    worker = Copying(tmp_path)
    logs.write(1, "a")
    async with worker.going_on():
        await until(lambda: worker.held(1) == ["a"])
        copy = worker.stores.copies["log", 1]
        worker.runners["log", 1] = SimpleNamespace(processor=object())
        taken = await worker.stores.take(LogPlane(), 1)
        assert taken is copy
        logs.write(1, "b")
        logs.write(0, "other")
        await until(lambda: worker.held(0) == ["other"])
        assert taken.read(["all"]) == [Log(["a"])]
        # The group takes it back: it becomes a copy again once its files are free.
        del worker.runners["log", 1]
        await asyncio.sleep(0.05)
        assert worker.held(1) is None
        worker.stores.close(taken)
        await until(lambda: worker.held(1) == ["b"])


async def test_nothing_is_copied_while_a_partition_is_taken_over(logs: FakeLogs, tmp_path: Path) -> None:
    worker = Copying(tmp_path)
    runner = worker.runners["log", 0] = SimpleNamespace(processor=None)
    logs.write(1, "a")
    async with worker.going_on():
        await asyncio.sleep(0.05)
        assert not worker.stores.copies
        runner.processor = object()
        await until(lambda: worker.held(1) == ["a"])


async def test_a_damaged_copy_is_made_anew(logs: FakeLogs, tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "log-1", Log)
    store.commit(store.encode({f"{n}": Log([str(n)] * 50) for n in range(3000)}, Position(1)), 1)
    store.close()
    RocksStore(tmp_path / "log-1", Log).close()
    (tmp_path / "log-1" / "CURRENT").write_bytes(b"")
    worker = Copying(tmp_path)
    logs.write(1, "a")
    async with worker.going_on():
        await until(lambda: worker.held(1) == ["a"])
        assert worker.stores.copies["log", 1].read(["7"]) == [None]


@pytest.mark.parametrize("when", ["before it starts", "while it follows"])
async def test_no_copy_is_kept_of_a_log_that_begins_anew(
    logs: FakeLogs, tmp_path: Path, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Copying(tmp_path)
    logs.write(1, "a", "b", "c")
    async with worker.going_on():
        await until(lambda: worker.held(1) == ["c"])
        if when == "while it follows":
            logs.logs[1].clear()
            logs.write(1, "d")
            with caplog.at_level(logging.WARNING):
                await until(lambda: worker.held(1) is None)
    if when == "before it starts":
        logs.logs[1].clear()
        logs.write(1, "d")
        worker = Copying(tmp_path)
        with caplog.at_level(logging.WARNING):
            async with worker.going_on():
                await until(lambda: "no copy of log-1 is kept" in caplog.text)
                assert worker.held(1) is None
    assert "no copy of log-1 is kept" in caplog.text
    kept = RocksStore(tmp_path / "log-1", Log)
    assert kept.read(["all"]) == [Log(["c"])]
    kept.close()


async def test_brokers_that_do_not_answer_are_asked_again(logs: FakeLogs, tmp_path: Path) -> None:
    worker = Copying(tmp_path)
    logs.write(1, "a")
    logs.away = 2
    async with worker.going_on():
        await until(lambda: worker.held(1) == ["a"])


async def test_what_another_worker_has_open_is_no_copy(
    logs: FakeLogs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Copying(tmp_path)
    monkeypatch.setattr(worker.stores, "_open", lambda *_: (_ for _ in ()).throw(LockedStoreError("in use")))
    async with worker.going_on():
        await asyncio.sleep(0.05)
        assert not worker.stores.copies


@pytest.mark.kafka
@pytest.mark.unmeasured
def test_a_worker_that_dies_is_replaced_from_the_copy(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path / "unused")
    workers = []
    for name in ("first", "second"):
        own = msgspec.structs.replace(settings.worker, standby=True, state_dir=str(tmp_path / name))
        workers.append(WorkerProcess(msgspec.structs.replace(settings, worker=own), tmp_path / f"{name}.log"))
    first, second = workers
    with first, second:
        first.wait_ready()
        second.wait_ready()
        for n in range(5):
            send_clicks(kafka, 50 * n, settings.topics.partitions)
        wait_drained(first)
        wait_for(lambda: is_copied(second, settings.topics.partitions // 2))
        first.kill()
        before = len(read(second))
        wait_for(lambda: len(read(second)) == before + 4 * settings.topics.partitions // 2)
        # What the changelogs hold beyond the copies: the marker, and what was committed in the last moments.
        assert max(read(second)[before:]) < 20
        send_clicks(kafka, 300, settings.topics.partitions)
        wait_drained(second)
        assert second.stop() == 0, second.tail()
    found = account(kafka, settings)
    assert len(found.found_ids) > 20
    found.check()


def read(worker: WorkerProcess) -> list[int]:
    """Changelog records that each takeover has read so far."""
    lines = worker.log.read_text().splitlines()
    return [int(line.split(" ready: ")[1].split()[0]) for line in lines if "changelog records in" in line]


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_copied(worker: WorkerProcess, partitions: int) -> bool:
    """Whether it has copies of so many partitions of each plane, and they are current."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port()}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    copies = [float(line.split()[1]) for line in lines if line.startswith("nearstream_standby_partitions{")]
    behind = [float(line.split()[1]) for line in lines if line.startswith("nearstream_standby_behind_records{")]
    return copies == [partitions] * 4 and behind == [0.0] * 4
