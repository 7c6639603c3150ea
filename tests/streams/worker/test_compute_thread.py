"""One piece of work at a time, beside the event loop, and none left behind by who loses patience."""

import asyncio
import threading
from collections.abc import Iterator
from time import sleep

import pytest

from streams.worker.compute_thread import ComputeThread


@pytest.fixture
def compute() -> Iterator[ComputeThread]:
    compute = ComputeThread()
    yield compute
    compute.close()


async def test_the_loop_goes_on_while_something_is_computed(compute: ComputeThread) -> None:
    go_on, turns = threading.Event(), 0
    task = asyncio.create_task(compute.run(go_on.wait, 10))
    while turns < 5:
        turns += 1
        await asyncio.sleep(0.001)
    assert not task.done()
    go_on.set()
    assert await task is True


async def test_pieces_of_work_do_not_overlap_and_keep_their_order(compute: ComputeThread) -> None:
    seen: list[tuple[int, str]] = []

    def work(number: int) -> None:
        seen.append((number, "begun"))
        sleep(0.002)
        seen.append((number, "done"))

    await asyncio.gather(*(compute.run(work, number) for number in range(5)))
    assert seen == [(number, what) for number in range(5) for what in ("begun", "done")]


async def test_nothing_is_computed_during_a_turn_of_somebody_else(compute: ComputeThread) -> None:
    begun = threading.Event()
    async with compute.turn():
        task = asyncio.create_task(compute.run(begun.set))
        await asyncio.sleep(0.01)
        assert not begun.is_set()
    await task
    assert begun.is_set()


async def test_what_is_raised_comes_back(compute: ComputeThread) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await compute.run(int, "seven")


async def test_who_is_cancelled_waits_for_what_was_begun(compute: ComputeThread) -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(10)
        done.set()

    task = asyncio.create_task(compute.run(work))
    assert await asyncio.to_thread(begun.wait, 10)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0.005)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert done.is_set()
    assert await compute.run(max, 1, 2) == 2, "the turn was given back"


async def test_who_is_cancelled_in_the_queue_leaves_it(compute: ComputeThread) -> None:
    go_on = threading.Event()
    first = asyncio.create_task(compute.run(go_on.wait, 10))
    second = asyncio.create_task(compute.run(max, 1, 2))
    await asyncio.sleep(0.005)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert not first.done()
    go_on.set()
    assert await first
