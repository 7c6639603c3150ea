"""The loop of one partition, around a changelog in memory: gaps, fences, stuck transactions, damage, back-pressure."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaTimeoutError

from processors.common.errors import CorruptStoreError, FencedError, NoRoomError
from processors.events.record import Record
from state.rocks import RocksStore
from state.store import ChangelogRecord
from streams.engine.source_batch import SourceBatch
from streams.settings.sections import WorkerSettings
from streams.worker.runner import PartitionRunner
from tests.streams.engine.test_partition import batch
from tests.streams.worker.fakes import Brokers, FakePublisher, damage, deliver, running, seen, until

CLICKS = "events.click.v1"
LARGE = 2**18


async def test_a_gap_is_sought_back_for_once_whatever_was_fetched_before(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner) == ["a0", "a1"])
        brokers.seeks.clear()
        stale: list[int] = []
        for start in range(6, 40, 2):
            brokers.on_the_way.append(lambda n=start: stale.extend(deliver(runner, batch("a", n, n + 2))))
        deliver(runner, batch("a", 4, 6))
        await until(lambda: len(brokers.seeks) == 2 and runner.idle)
        while brokers.on_the_way:
            brokers.arrive()
            await asyncio.sleep(0.005)
        acknowledged = deliver(runner, batch("a", 2, 5), batch("a", 5, 40), batch("b", 0, 1))
        await until(lambda: len(acknowledged) == 3)
        assert sorted(seen(runner)) == sorted(["b0", *(f"a{n}" for n in range(40))])
        assert (brokers.seeks, brokers.counted("delivery_gaps", plane="log")) == ([("a", 2), ("b", 0)], 1)
        assert stale == []


async def test_what_the_log_has_lost_behind_a_gap_is_stepped_over(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner))
        brokers.begins["a"] = 5
        deliver(runner, batch("a", 6, 7))
        await until(lambda: brokers.sought["a"] == 5)
        deliver(runner, batch("a", 7, 8), batch("a", 5, 7), batch("a", 7, 8))
        await until(lambda: seen(runner) == ["a0", "a1", "a5", "a6", "a7"])
        assert brokers.counted("delivery_gaps", plane="log") == 1


async def test_what_the_log_loses_after_it_was_sought_is_stepped_over_too(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        brokers.begins["a"] = 5
        for start in range(5, 206):
            deliver(runner, batch("a", start, start + 1))
        await until(lambda: brokers.sought["a"] == 5)
        deliver(runner, batch("a", 5, 206))
        await until(lambda: seen(runner) == [f"a{n}" for n in range(5, 206)])


async def test_the_watchdog_has_what_was_sought_in_vain_sought_anew(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        brokers.begins["a"] = 5
        deliver(runner, batch("a", 5, 6))
        await asyncio.sleep(0.05)
        assert (seen(runner), runner.idle) == ([], True)
        await runner.reseek()
        deliver(runner, batch("a", 6, 7), batch("a", 5, 7))
        await until(lambda: seen(runner) == ["a5", "a6"])
        assert brokers.counted("delivery_gaps", plane="log") == 0


async def test_a_runner_on_a_full_disk_waits_for_room_and_goes_on(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    full = [True]
    write = RocksStore._write

    def written(store: RocksStore[Any], records: list[ChangelogRecord]) -> None:
        if full[0] and records:
            raise NoRoomError(f"state directory {store.path} cannot be written: No space left on device")
        write(store, records)

    monkeypatch.setattr("streams.worker.runner._ROOM_AGAIN_S", 0.02)
    monkeypatch.setattr(RocksStore, "_write", written)
    monkeypatch.setattr(RocksStore, "_write_restored", written)
    full[0] = False
    runner = brokers.runner()
    async with running(runner) as task:
        await until(lambda: runner.processor)
        full[0] = True
        acknowledged = deliver(runner, batch("a", 0, 2))
        await until(lambda: runner.trouble)
        await asyncio.sleep(0.1)
        assert "No space left on device" in (runner.trouble or "")
        assert (runner.processor, acknowledged, task.done()) == (None, [], False)
        full[0] = False
        await until(lambda: runner.processor)
        assert runner.trouble is not None, "not yet: it has stored nothing"
        monkeypatch.setattr("streams.worker.runner._SETTLED_S", 0.05)
        await until(lambda: runner.trouble is None)
        assert seen(runner) == ["a0", "a1"], "it was published, so the changelog has it"
        deliver(runner, batch("a", 0, 2), batch("a", 2, 3))
        await until(lambda: seen(runner) == ["a0", "a1", "a2"])
    assert caplog.text.count("trying again until there is room") == 1


async def test_a_fenced_runner_takes_its_partition_over_again(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        brokers.fenced = 1
        lost = deliver(runner, batch("a", 0, 2))
        await until(lambda: runner.processor is None)
        await until(lambda: runner.processor)
        assert (lost, brokers.publishers) == ([], 2)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner) == ["a0", "a1"])


async def test_a_runner_whose_transaction_is_stuck_takes_its_partition_over_again(
    brokers: Brokers, caplog: pytest.LogCaptureFixture
) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        runner.give_up_publishing()
        brokers.stuck = 1
        lost = deliver(runner, batch("a", 0, 2))
        await until(lambda: runner.publishing_since)
        runner.give_up_publishing()
        await until(lambda: runner.processor is None)
        await until(lambda: runner.processor)
        assert (lost, brokers.publishers) == ([], 2)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner) == ["a0", "a1"] and runner.idle)
        assert runner.publishing_since is None
    assert "log-3: a transaction found no end while the brokers answered; unless" in caplog.text


async def test_a_runner_that_is_fenced_rests_longer_each_time(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        monkeypatch.setattr("streams.worker.runner.asyncio.sleep", rest)
        for _ in range(9):
            await runner._recover(FencedError("again"))
        monkeypatch.undo()
    assert rests == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_fenced_runner_whose_partition_went_elsewhere_lets_it_go(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner) as task:
        await until(lambda: runner.processor)
        brokers.fenced = 1
        deliver(runner, batch("a", 0, 2))
        await until(lambda: runner.processor is None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (brokers.publishers, task.cancelled()) == (1, True)


async def test_a_runner_in_doubt_goes_on_with_what_was_delivered(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        runner.doubt()
        acknowledged = deliver(runner, batch("a", 0, 2))
        await until(lambda: acknowledged)
        assert seen(runner) == ["a0", "a1"]
        brokers.seeks.clear()
        runner.confirm()
        await until(lambda: brokers.seeks == [("a", 2), ("b", 0)])  # delivered again from the position on
    assert brokers.publishers == 1


async def test_brokers_that_leave_a_question_of_a_takeover_unanswered_are_asked_again(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runner = brokers.runner()
    monkeypatch.setattr(runner._rest, "next_s", lambda: 0.0)
    compare, failures = runner._takeover._compare, [KafkaTimeoutError("offsets by times"), TimeoutError()]

    async def fail_first(held: Any) -> None:
        if failures:
            raise failures.pop()
        await compare(held)

    monkeypatch.setattr(runner._takeover, "_compare", fail_first)
    async with running(runner):
        await until(lambda: runner.processor)
    assert "log-3: the brokers did not answer in time: KafkaTimeoutError('offsets by times')" in caplog.text
    assert failures == []


async def test_brokers_that_do_not_answer_after_a_rebalance_are_asked_again(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = brokers.runner()
    monkeypatch.setattr("streams.worker.runner._AGAIN_S", 0.01)
    async with running(runner):
        await until(lambda: runner.processor)
        seek_back, failures = runner._takeover.seek_back, [KafkaTimeoutError(), TimeoutError()]

        async def fail_first() -> None:
            if failures:
                raise failures.pop()
            await seek_back()

        monkeypatch.setattr(runner._takeover, "seek_back", fail_first)
        brokers.seeks.clear()
        runner.doubt()
        runner.confirm()
        await until(lambda: brokers.seeks)
        assert failures == []


async def test_a_runner_in_doubt_that_is_fenced_takes_nothing_back_before_the_group_says_so(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        runner.doubt()
        brokers.fenced = 1
        deliver(runner, batch("a", 0, 2))
        await until(lambda: runner.processor is None)
        await asyncio.sleep(0.1)
        assert (runner.processor, brokers.publishers) == (None, 1)
        runner.confirm()
        await until(lambda: runner.processor)
        assert brokers.publishers == 2


async def test_a_runner_whose_cancellation_is_swallowed_while_it_lets_go_ends_and_does_not_wait_for_the_group(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopping = asyncio.Event()

    async def stop(_: FakePublisher) -> None:
        stopping.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60.0)

    monkeypatch.setattr(FakePublisher, "stop", stop)
    runner = brokers.runner()
    async with running(runner) as task:
        await until(lambda: runner.processor)
        runner.doubt()
        brokers.fenced = 1
        deliver(runner, batch("a", 0, 2))
        await stopping.wait()
        task.cancel()
        await asyncio.wait([task], timeout=30.0)
        assert task.cancelled()


async def test_a_store_found_damaged_at_work_is_made_anew(brokers: Brokers, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        deliver(runner, batch("a", 0, 2))
        await until(lambda: seen(runner) == ["a0", "a1"])
        damage(monkeypatch, runner)
        lost = deliver(runner, batch("a", 2, 3))
        await until(lambda: brokers.publishers == 2 and runner.processor)
        assert lost == []
        deliver(runner, batch("a", 2, 3))
        await until(lambda: seen(runner) == ["a0", "a1", "a2"])


async def test_a_store_found_damaged_twice_fails_the_worker(brokers: Brokers, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = brokers.runner()
    async with running(runner) as task:
        for publishers in (1, 2):
            await until(lambda n=publishers: brokers.publishers == n and runner.processor)
            damage(monkeypatch, runner)
            deliver(runner, batch("a", 0, 1))
        with pytest.raises(CorruptStoreError):
            await asyncio.wait_for(task, 5)


async def test_repeated_records_count_though_nothing_else_came(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        acknowledged = deliver(runner, batch("a", 0, 3), batch("a", 0, 3))
        await until(lambda: len(acknowledged) == 2)
        acknowledged = deliver(runner, batch("a", 1, 3))
        await until(lambda: acknowledged)
        assert brokers.counted("repeated_records", plane="log") == 5


async def test_rests_are_short_again_after_a_commit(brokers: Brokers) -> None:
    runner = brokers.runner()
    async with running(runner):
        await until(lambda: runner.processor)
        assert [runner._rest.next_s() for _ in range(3)] == [0.5, 1, 2]
        deliver(runner, batch("a", 0, 1))
        await until(lambda: seen(runner))
        assert runner._rest.next_s() == 0.5


async def test_any_other_error_of_a_step_ends_the_runner_without_acknowledging(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    runner = brokers.runner()
    async with running(runner) as task:
        await until(lambda: runner.processor)
        assert runner.processor is not None
        monkeypatch.setattr(runner.processor.plane, "step", fail)
        acknowledged = deliver(runner, batch("a", 0, 1))
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(task, 5)
    assert (acknowledged, brokers.calls[-1]) == ([], "stop")


@pytest.fixture
async def narrow(brokers: Brokers) -> PartitionRunner:
    """A runner that does not run yet, for which sixteen large records may wait."""
    brokers.settings = msgspec.structs.replace(
        brokers.settings, worker=WorkerSettings(state_dir=brokers.settings.worker.state_dir, buffer_bytes=16 * LARGE)
    )
    return brokers.runner()


def give(runner: PartitionRunner, batches: int, value: bytes = b"", header: bytes = b"") -> None:
    for n in range(batches):
        record = Record(CLICKS, 3, n, 0, None, value, (("trace", header),))
        runner.deliver(SourceBatch(CLICKS, n, n + 1, [record]), lambda: None)


async def test_few_large_events_pause_their_topic(narrow: PartitionRunner, brokers: Brokers) -> None:
    give(narrow, 15, b"x" * LARGE)
    assert brokers.paused == []
    give(narrow, 1, b"x" * LARGE)
    assert brokers.paused == [CLICKS]


async def test_headers_count_as_well(narrow: PartitionRunner, brokers: Brokers) -> None:
    give(narrow, 16, header=b"x" * LARGE)
    assert brokers.paused == [CLICKS]


async def test_a_topic_goes_on_when_half_is_left(narrow: PartitionRunner, brokers: Brokers) -> None:
    give(narrow, 16, b"x" * LARGE)
    paused = []
    while not narrow.idle:
        narrow._buffer.take(narrow._pacing.most_records, narrow._pacing.most_bytes)
        paused.append(bool(brokers.paused))
    assert paused == [True, True, False, False, False, False]


async def test_a_partition_is_let_go_of_though_the_cancellation_was_swallowed(
    brokers: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def start(_: FakePublisher) -> None:
        asked.set()
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            brokers.calls.append("swallowed")

    monkeypatch.setattr(FakePublisher, "start", start)
    task = asyncio.create_task(brokers.runner().run(asyncio.Event()))
    await asked.wait()
    task.cancel()
    await until(task.done)
    assert (task.cancelled(), brokers.calls) == (True, ["swallowed", "stop"])
