"""What counts as a stall, and what is done about it."""

import asyncio

import pytest

from tests.streams.worker.fakes import HERE, WatchedWorker


async def test_a_partition_that_stalls_is_read_again_every_ten_seconds(worker: WatchedWorker) -> None:
    worker.end = 510
    await worker.watch(120)
    assert worker.reread == 9
    assert worker.watchdog.stalled_since(HERE) == 1002.0


async def test_a_partition_that_moves_is_left_alone(worker: WatchedWorker) -> None:
    worker.end = 510
    assert worker.runner.processor is not None
    for offset in range(20, 100):
        worker.runner.processor.position.offsets[HERE.topic] = offset
        await worker.watch(8)
    assert worker.reread == 0


async def test_nothing_is_read_again_while_the_brokers_are_silent(worker: WatchedWorker) -> None:
    worker.end, worker.probe.problem = 510, "no answer"
    await worker.watch(120)
    assert worker.reread == 0


async def test_what_is_at_work_is_not_read_again_but_logged(
    worker: WatchedWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker.end, worker.runner.idle = 510, False
    await worker.watch(60)
    assert worker.reread == 0
    assert "stands at 10 with 500 records to go: publishing" in caplog.text


async def test_a_transaction_without_end_is_given_up_while_the_brokers_answer(worker: WatchedWorker) -> None:
    worker.end, worker.runner.idle, worker.runner.publishing_since = 510, False, worker.now
    worker.probe.problem = "no answer"
    await worker.watch(300)
    assert worker.given_up == 0
    worker.probe.problem = None
    await worker.watch(28)
    assert worker.given_up == 0
    await worker.watch(20)
    assert worker.given_up == 1
    await worker.watch(50)
    assert worker.given_up == 2
    assert worker.reread == 0


async def test_nothing_is_read_again_while_the_worker_is_busy(worker: WatchedWorker) -> None:
    worker.end = 510
    for _ in range(20):
        worker.watchdog.woke(late_s=1.0)
        await worker.watch(4)
    assert worker.reread == 0
    worker.watchdog.woke(late_s=0.1)
    await worker.watch(14)
    assert worker.reread == 1


async def test_brokers_that_do_not_answer_do_not_hold_up_the_watchdog(
    worker: WatchedWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("streams.worker.watchdog._STALL_S", 0.05)
    worker.runner.reseek = never
    worker.end = 510
    await worker.watch(6)
    assert "could not be read again" in caplog.text


async def test_an_assignment_starts_the_watch_anew(worker: WatchedWorker) -> None:
    worker.end = 510
    await worker.watch(10)
    worker.watchdog.forget()
    assert worker.watchdog.stalled_since(HERE) is None
    await worker.watch(10)
    assert worker.reread == 0
