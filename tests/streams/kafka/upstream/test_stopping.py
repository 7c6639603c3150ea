"""Clients of Kafka that are stopped while they are busy."""

import asyncio
import inspect
from contextlib import suppress

import pytest
from aiokafka.consumer.fetcher import Fetcher

from streams.kafka.upstream.stopping import stop_client


class Retrying:
    """A client whose stop passes a cancellation on that nobody asked for."""

    async def stop(self) -> None:
        raise asyncio.CancelledError


async def test_stopping_a_client_that_was_retrying_is_no_cancellation() -> None:
    await stop_client(Retrying())


async def test_a_real_cancellation_while_stopping_goes_through() -> None:
    class Slow:
        async def stop(self) -> None:
            await asyncio.sleep(60)

    task = asyncio.create_task(stop_client(Slow()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_the_client_swallows_goes_through() -> None:
    class Deaf:
        async def stop(self) -> None:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    task = asyncio.create_task(stop_client(Deaf()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_client_is_stopped_though_the_cancellation_comes_before_it_has_begun_to() -> None:
    stopped = []

    class Client:
        async def stop(self) -> None:
            stopped.append(self)

    task = asyncio.create_task(stop_client(Client()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(stopped) == 1


async def test_whoever_was_cancelled_before_goes_on_with_what_is_left_to_do() -> None:
    done = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await stop_client(Retrying())
            done.append("cleaned up")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["cleaned up"]


def test_aiokafka_waits_for_tasks_that_it_has_cancelled_and_does_not_expect_them_to_say_so() -> None:
    closing = inspect.getsource(Fetcher.close)
    assert "x.cancel()\n            await x" in closing
