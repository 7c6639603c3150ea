"""Taking a partition over, around a changelog in memory: its order, what it compares, and what it leaves behind."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from processors.common.errors import StateError
from state.codec import StateCodec
from state.position import Position
from state.rocks import RocksStore
from state.store import POSITION_KEY, ChangelogRecord
from tests.streams.engine.test_partition import Log, LogPlane, batch
from tests.streams.worker.fakes import Brokers, FakePublisher, deliver, running, seen, until
from tests.support import flip_a_bit


async def test_the_predecessor_is_fenced_before_anything_is_read_and_the_consumer_told_last(brokers: Brokers) -> None:
    takeover = brokers.takeover()
    async with takeover.hold():
        assert brokers.calls == ["fence", "restore", "compare", "compare", "seek", "seek"]
        assert brokers.sought == {"a": 0, "b": 0}
    assert (takeover.held, brokers.calls[-1]) == (None, "stop")
    brokers.stores.close(brokers.stores.open(LogPlane(), 3))


async def test_what_fails_on_the_way_leaves_neither_store_nor_publisher_behind(
    brokers: Brokers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> int:
        raise StateError("the changelog cannot be read")

    monkeypatch.setattr("streams.worker.takeover.restore", fail)
    takeover = brokers.takeover()
    with pytest.raises(StateError, match="cannot be read"):
        async with takeover.hold():
            pass
    assert (takeover.held, brokers.calls) == (None, ["fence", "stop"])
    RocksStore(tmp_path / "log-3", Log).close()


async def test_the_files_are_free_before_the_publisher_has_stopped(
    brokers: Brokers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stop(_: FakePublisher) -> None:
        RocksStore(tmp_path / "log-3", Log).close()  # raises if another has it open
        brokers.calls.append("opened")

    monkeypatch.setattr(FakePublisher, "stop", stop)
    async with brokers.takeover().hold():
        pass
    assert brokers.calls[-1] == "opened"


@pytest.mark.parametrize(("transactional", "number"), [(True, 0), (False, 1)])
async def test_a_number_is_skipped_where_there_are_no_transactions(
    brokers: Brokers, transactional: bool, number: int
) -> None:
    brokers.transactional = transactional
    async with brokers.takeover().hold() as held:
        assert held.processor.position.number == held.processor.store.position().number == number
        assert len(brokers.changelog) == number


async def test_nothing_is_sought_for_a_partition_that_is_not_held(brokers: Brokers) -> None:
    await brokers.takeover().seek_back()
    assert brokers.calls == []


async def test_nothing_is_sought_for_a_partition_let_go_of_while_the_brokers_are_asked(brokers: Brokers) -> None:
    takeover = brokers.takeover()
    async with takeover.hold():
        brokers.seeks.clear()
        gone = asyncio.Event()
        asked = asyncio.Event()

        async def slow(topics: Sequence[str], partition: int) -> dict[str, int]:
            asked.set()
            await gone.wait()
            return dict.fromkeys(topics, 0)

        takeover._consumer.beginnings = slow
        seeking = asyncio.create_task(takeover.seek_back())
        await asked.wait()
    gone.set()
    await seeking
    assert brokers.seeks == []


def fill_with_damage(brokers: Brokers, folder: Path) -> None:
    """A store with three tables, a bit of the first flipped, and a changelog that is one record ahead of it.

    Restoring that record makes the fourth table, at which RocksDB compacts them in the background.
    """
    begun = {"a": 0, "b": 0}
    for table in range(1, 4):
        store = RocksStore(folder, Log)
        states: dict[str, Log | None] = {f"u{n}": Log([f"{table}"]) for n in range(3000)}
        states["all"] = Log()
        records = store.encode(states, Position(table, begun))
        brokers.changelog += records
        store.commit(records, len(brokers.changelog))
        store.close()
    brokers.changelog.append(ChangelogRecord(POSITION_KEY, StateCodec(Position).encode(Position(4, begun))))
    flip_a_bit(min(folder.glob("*.sst")), 0.5)


async def test_a_store_whose_damage_a_compaction_finds_is_made_anew(
    brokers: Brokers, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fill_with_damage(brokers, tmp_path / "log-3")
    runner, sent = brokers.runner(), 0
    async with running(runner) as task:
        while brokers.publishers == 1 or runner.processor is None:
            assert not task.done()
            if runner.processor is not None and runner.idle:
                deliver(runner, batch("a", sent, sent + 1))
                sent += 1
            await asyncio.sleep(0.001)
        assert "Corruption" in next(r.getMessage() for r in caplog.records if r.name == "streams.worker.stores")
        assert "starting it anew from the changelog" in caplog.text
        deliver(runner, batch("a", brokers.sought["a"], sent + 1))
        await until(lambda: seen(runner) == [f"a{n}" for n in range(sent + 1)])
        assert sum(1 for _ in runner.processor.store.items()) == 3001
    assert not list(tmp_path.glob("log-3.*")), "the lock was held"  # noqa: ASYNC240


async def test_a_position_that_is_new_begins_another_life(brokers: Brokers) -> None:
    lives = []
    for _ in range(2):
        runner = brokers.runner()
        async with running(runner):
            await until(lambda r=runner: r.processor)
            deliver(runner, batch("a", 0, 1))
            await until(lambda r=runner: seen(r))
            assert runner.processor is not None
            lives.append(runner.processor.position.incarnation)
        brokers.changelog.clear()
        assert brokers.stores.rebuild(LogPlane(), 3) or len(lives) == 2
    assert 0 < lives[0] < lives[1]


async def test_a_log_that_ends_before_the_position_is_refused(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 7))
        await until(lambda: seen(runner))
    assert brokers.stores.rebuild(LogPlane(), 3), "the next worker knows of it from the changelog alone"
    brokers.ends["a"] = 6
    with pytest.raises(StateError, match=r"a\[3\] ends at 6, but it has been applied up to 7: .* start anew: delete"):
        async with brokers.takeover().hold():
            pass


async def test_a_log_that_is_replaced_under_a_worker_is_refused_once_it_stands_still(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 7))
        await until(lambda: seen(runner))
        brokers.ends["a"] = 6
        with pytest.raises(StateError, match="the topic was recreated"):
            await runner.reseek()


@pytest.mark.parametrize(("topic", "lost"), [("internal.events", 0), ("events.click.v1", 2)])
async def test_what_retention_took_is_stepped_over_and_counted_where_it_must_have_been_records(
    brokers: Brokers, topic: str, lost: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(LogPlane, "source_topics", (topic,))
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch(topic, 0, 3))
        await until(lambda: seen(runner))
    brokers.begins[topic] = 5
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        assert (brokers.sought, brokers.counted("lost_records", topic=topic)) == ({topic: 5}, lost)
    assert "read up to 3, but the log begins at 5 now" in caplog.text
