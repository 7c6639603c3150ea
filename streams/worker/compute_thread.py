"""Compute steps in a thread beside the event loop, one piece of work at a time.

A micro-batch takes tens of milliseconds to compute, its transaction a dozen round trips to the brokers. In one thread
each answer of the brokers would wait until the steps of all other partitions are computed. So the event loop only talks
to the brokers, and goes on while a step is computed.

Whoever computes a step, or reads or writes a read model, must hold the turn: no two do so at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, Protocol, TypeVar

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Call(Protocol):
    """Run ``work`` in the thread: ``await call(work, *arguments)``."""

    async def __call__(
        self, work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Return what ``work`` returns, or raise what it raises."""
        ...


class ComputeThread:
    """One thread, and a lock that gives turns at it in the order in which they were asked for.

    Examples
    --------
    >>> async def example() -> int:
    ...     compute = ComputeThread()
    ...     try:
    ...         async with compute.turn() as call:
    ...             return await call(max, 2, 3)
    ...     finally:
    ...         compute.close()
    >>> asyncio.run(example())
    3
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nearstream-compute")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Call]:
        """Wait for the turn and hold it while the context is open.

        Yields
        ------
        Call
            Runs work in the thread. While the turn is held nothing else is computed and nobody else may touch a read
            model, so hold it no longer than needed.
        """
        async with self._turn:
            yield self._call

    async def run(self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Run one piece of work in the thread, holding the turn for as long as it takes, and return its result."""
        async with self.turn() as call:
            return await call(work, *args, **kwargs)

    def close(self) -> None:
        """End the thread once the work at hand is done. No work can be run afterwards."""
        self._executor.shutdown()

    async def _call(
        self, work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        future = self._executor.submit(work, *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        finally:
            # A runner that is cancelled closes its store next, which the work may still be reading.
            await _ended(future)


async def _ended(future: Future[Result]) -> None:
    """Wait until work is over, even if the waiting task is cancelled; the cancellation is raised after that."""
    if future.done():
        return
    loop, over, cancelled = asyncio.get_running_loop(), asyncio.Event(), False
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(over.set))
    while not over.is_set():
        try:
            await over.wait()
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
