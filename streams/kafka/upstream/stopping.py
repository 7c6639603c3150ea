"""Clients of aiokafka pass the cancellation of their own tasks on to whoever stops them.

``tests/streams/kafka/upstream/test_stopping.py`` fails when they no longer do.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from aiokafka.errors import KafkaError


class Stoppable(Protocol):
    """A client of aiokafka."""

    async def stop(self) -> None:
        """Disconnect."""


async def stop_client(client: Stoppable) -> None:
    """Stop a client of aiokafka whatever state it is in; errors of the brokers are ignored.

    A consumer that is retrying something passes the cancellation of its own retries on to whoever stops it, which
    would then look cancelled instead of failed; and a client whose tasks take a moment to end swallows a cancellation
    that comes meanwhile (:mod:`streams.kafka.upstream.swallowed_cancellations`).

    Raises
    ------
    asyncio.CancelledError
        If the calling task is cancelled while the client stops, and only then: whoever was cancelled before goes on
        with what is left to clean up.
    """
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    # A task of a client that was only just started must take its first step, or it never gets to handle its
    # cancellation and leaves its connections open.
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)
    with suppress(KafkaError, asyncio.CancelledError):
        await client.stop()
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
