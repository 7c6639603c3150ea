"""Where steps are computed: a thread beside the event loop, one piece of work at a time.

A micro-batch takes tens of milliseconds to compute, its transaction a dozen round trips to the brokers. In one thread
each answer would wait until the steps of all other partitions at hand are over; so the event loop only talks to the
brokers, and goes on while a step is computed. Whoever touches read models or computes has the turn: no two do at once.
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
    """``await call(work, *arguments)``: run it in the thread."""

    async def __call__(
        self, work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """What ``work`` returns, or raises."""
        ...


class Compute:
    """One thread, and turns at it, first come first served.

    Examples
    --------
    >>> async def example() -> int:
    ...     compute = Compute()
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
        """Wait for a turn; nothing is computed, and nobody else touches a read model, as long as it lasts."""
        async with self._turn:
            yield self._call

    async def run(self, work: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        """Take a turn for one piece of work."""
        async with self.turn() as call:
            return await call(work, *args, **kwargs)

    def close(self) -> None:
        """End the thread, after what it is doing."""
        self._executor.shutdown()

    async def _call(
        self, work: Callable[Arguments, Result], /, *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        future = self._executor.submit(work, *args, **kwargs)
        try:
            return await asyncio.wrap_future(future)
        finally:
            # Who is cancelled closes the store next, which must not happen under work that was begun.
            await _ended(future)


async def _ended(future: Future[Result]) -> None:
    """Wait until work is over, whoever loses patience; a cancellation is passed on after that."""
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
