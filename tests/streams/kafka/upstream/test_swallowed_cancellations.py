"""Cancellations that come with the answer that was waited for."""

import asyncio
import sys

import pytest

from streams.kafka.upstream.swallowed_cancellations import raise_if_cancelled


async def cancelled_with_the_answer(check: bool) -> str:
    """What becomes of a task that is cancelled just as the answer comes."""
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ask() -> str:
        await asyncio.wait_for(answer, 5)
        if check:
            raise_if_cancelled()
        return "went on"

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)
    answer.set_result(None)
    task.cancel()
    await asyncio.wait([task])
    return "cancelled" if task.cancelled() else task.result()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="mended in Python 3.12")
async def test_python_swallows_it() -> None:
    assert await cancelled_with_the_answer(check=False) == "went on"


async def test_it_is_raised_where_it_is_asked_for() -> None:
    assert await cancelled_with_the_answer(check=True) == "cancelled"
    raise_if_cancelled()
