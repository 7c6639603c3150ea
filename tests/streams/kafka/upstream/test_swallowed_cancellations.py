"""Cancellations of whoever stops a client."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from aiokafka.consumer.fetcher import Fetcher

from streams.kafka.upstream.swallowed_cancellations import raise_if_cancelled


async def cancelled_while_stopping(check: bool) -> str:
    """What becomes of a task that is cancelled while it closes a fetcher, whose own task takes a moment to end."""

    async def fetch() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)

    fetching = asyncio.create_task(fetch())
    await asyncio.sleep(0)
    fetcher = cast(Any, SimpleNamespace(_closed=False, _fetch_task=fetching, _fetch_waiters=(), _pending_tasks=()))

    async def stop() -> str:
        await Fetcher.close(fetcher)
        if check:
            raise_if_cancelled()
        return "went on"

    task = asyncio.create_task(stop())
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task, fetching])
    return "cancelled" if task.cancelled() else task.result()


async def test_aiokafka_swallows_it() -> None:
    assert await cancelled_while_stopping(check=False) == "went on"


async def test_it_is_raised_where_it_is_asked_for() -> None:
    assert await cancelled_while_stopping(check=True) == "cancelled"
    raise_if_cancelled()
