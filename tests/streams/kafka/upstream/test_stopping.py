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


class Slow:
    """A client whose stop takes its time."""

    def __init__(self) -> None:
        self.begun = False

    async def stop(self) -> None:
        self.begun = True
        await asyncio.sleep(60)


class Deaf(Slow):
    """One that swallows a cancellation meanwhile."""

    async def stop(self) -> None:
        with suppress(asyncio.CancelledError):
            await super().stop()


class Quick(Slow):
    """One that stops at once."""

    async def stop(self) -> None:
        self.begun = True


@pytest.mark.parametrize(("client", "is_begun"), [(Slow(), True), (Deaf(), True), (Quick(), False)])
async def test_a_cancellation_goes_through_and_the_client_is_stopped(client: Slow, is_begun: bool) -> None:
    task = asyncio.create_task(stop_client(client))
    for _ in range(3 if is_begun else 1):
        await asyncio.sleep(0)
    assert client.begun == is_begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert client.begun


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
