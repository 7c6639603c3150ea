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
    would then look cancelled instead of failed. Only a cancellation of the calling task is raised here.
    """
    # A task of a client that was only just started must take its first step, or it never gets to handle its
    # cancellation and leaves its connections open.
    await asyncio.sleep(0)
    try:
        with suppress(KafkaError):
            await client.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
