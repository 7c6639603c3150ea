"""Which partitions a worker runs, as the group assigns them: only those that move are stopped."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Protocol, cast

from processors.planes.base import Plane
from streams.worker.runner import PartitionRunner
from streams.worker.stores import Name

logger = logging.getLogger(__name__)

_PATIENCE_S = 5.0
"""Seconds for which a runner may take to let go of its partition before it is asked again: stopping a publisher takes
milliseconds, unless the brokers are silent."""

_ANSWERS = "users"
"""The plane whose partitions are taken over first: while one is silent, its users get no answers."""

_FIRST_S = 2.0
"""Most seconds that the other planes wait for it."""


class Guard(Protocol):
    """Runs parts of the worker in tasks, and fails the worker if one raises anything."""

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run a part in a task."""

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel the task of a part; whatever comes of it then is no failure."""


class Partitions:
    """Runs the partitions that the group assigns.

    Parameters
    ----------
    make
        Makes the runner of a partition.
    guard
        Runs it.
    ready
        What must be set before a runner applies anything: the read models are complete.
    fencing
        Whether a new owner's publisher fences this one's, as under ``exactly_once``.

    Attributes
    ----------
    runners : dict
        The runners at work, by plane and partition.
    """

    def __init__(
        self, make: Callable[[Plane[Any], int], PartitionRunner], guard: Guard, ready: asyncio.Event, fencing: bool
    ) -> None:
        self._make, self._guard, self._ready, self._fencing = make, guard, ready, fencing
        self.runners: dict[Name, PartitionRunner] = {}
        self._tasks: dict[Name, asyncio.Task[None]] = {}
        self._leaving: dict[asyncio.Task[None], Name] = {}
        self._generation = 0

    async def revoke(self) -> None:
        """Go on with what was delivered until the group has decided: most partitions stay where they are.

        Whoever gets one of them fences the publisher that is at work here. Without transactions nothing would, so that
        all have to be let go of first; and so are those that are being taken over, as they would fence the next owner.
        """
        for runner in self.runners.values():
            runner.doubt()
        held = {name for name, runner in self.runners.items() if self._fencing and runner.processor}
        await self._stop(self.runners.keys() - held)

    def assign(self, wanted: Mapping[Name, Plane[Any]], generation: int) -> None:
        """Let go of the partitions that went to others, take over those that are new, and go on with the rest.

        Those that answer users are taken over first: of many at once, each is ready only when nearly all are.

        Nothing is waited for: the consumer delivers to no partition before this returns.

        Parameters
        ----------
        wanted
            The plane of each partition that the group assigns.
        generation
            Of the group. A worker that missed one takes all partitions over anew, as others may have had them in
            between.
        """
        missed, self._generation = generation != self._generation + 1, generation
        for name in [name for name in self._tasks if missed or name not in wanted]:
            self._let_go(name)
        for name in wanted.keys() & self.runners.keys():
            self.runners[name].confirm()
        came = {name: self._make(plane, name[1]) for name, plane in wanted.items() if name not in self.runners}
        urgent = [runner for name, runner in came.items() if name[0] == _ANSWERS]
        for name, runner in came.items():
            self._run(name, runner, [] if runner in urgent else urgent)

    async def stop(self) -> None:
        """Let go of all partitions, and wait until that is done."""
        await self._stop(set(self._tasks))

    def _run(self, name: Name, runner: PartitionRunner, first: list[PartitionRunner]) -> None:
        self.runners[name] = runner
        before = {task for task, left in self._leaving.items() if left == name}

        async def run() -> None:
            await _ended(before)  # until then one of them may have the store open
            with suppress(TimeoutError):
                async with asyncio.timeout(_FIRST_S):
                    for one in first:
                        await one.taken_over.wait()
            await runner.run(self._ready)

        self._tasks[name] = self._guard.start(run(), f"{name[0]}-{name[1]}")

    def _let_go(self, name: Name) -> None:
        """Cancel a runner, whatever it is doing, without waiting until it has let go of its partition."""
        task = self._tasks.pop(name)
        self._leaving[task] = name
        self.runners.pop(name, None)
        task.add_done_callback(self._leaving.pop)
        self._guard.cancel(task)

    async def _stop(self, names: set[Name]) -> None:
        for name in names:
            self._let_go(name)
        while self._leaving:
            await _ended(set(self._leaving))


async def _ended(leaving: set[asyncio.Task[None]]) -> None:
    """Wait until runners have let go of their partitions; whoever has swallowed a cancellation gets another one."""
    while leaving:
        _, leaving = await asyncio.wait(leaving, timeout=_PATIENCE_S)
        for task in leaving:
            logger.warning("%s has not let go of its partition: %s; asking again", task.get_name(), _place_of(task))
            task.cancel()


def _place_of(task: asyncio.Task[None]) -> str:
    """Return where a task waits: the functions that it is in, the innermost last, with their lines."""
    frames, awaited = list[str](), cast(Any, task.get_coro())
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None)
        if frame is not None:
            frames.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
        awaited = getattr(awaited, "cr_await", None)
    return " > ".join(frames) or "nowhere"
