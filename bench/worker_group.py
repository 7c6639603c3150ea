"""Several workers of one group as processes of their own, some of which are killed in the middle."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping

from bench.cluster import Cluster
from bench.worker_process import WorkerProcess
from streams.broker.process import free_port


def environment_beside(environment: Mapping[str, str], cluster: Cluster) -> dict[str, str]:
    """Return the environment of one more worker of the same group: with a state directory and a port of its own."""
    state = tempfile.mkdtemp(prefix="state-", dir=cluster.directory)
    return {
        **environment,
        "NEARSTREAM_WORKER__STATE_DIR": state,
        "NEARSTREAM_WORKER__WEB_PORT": str(free_port()),
    }


class WorkerGroup:
    """Workers of one consumer group, each a process of its own.

    Parameters
    ----------
    environments
        The environment of each worker.
    cluster
        The brokers that they use, and the directory for their logs.
    """

    def __init__(self, environments: list[dict[str, str]], cluster: Cluster) -> None:
        self._environments, self._cluster = environments, cluster
        self._workers: list[WorkerProcess] = []

    def start(self) -> None:
        """Start all workers, and wait until they are ready."""
        for number in range(len(self._environments)):
            self._workers.append(self._new(number))
        for worker in self._workers:
            worker.wait(worker.ready, 120.0, "the workers to be ready")

    def _new(self, number: int) -> WorkerProcess:
        log = self._cluster.directory / f"worker-{number}.log"
        return WorkerProcess(self._environments[number], log).__enter__()

    async def kill_in_turn(self, kills: int, seconds: float) -> None:
        """Kill one worker after the other, evenly spread over so many seconds, and start each again."""
        for n in range(kills):
            await asyncio.sleep(seconds / (kills + 1))
            number = n % len(self._workers)
            os.kill(self._workers[number].pid, signal.SIGKILL)
            await asyncio.to_thread(self._workers[number].__exit__)
            self._workers[number] = await asyncio.to_thread(self._new, number)

    def wait_until_idle(self) -> None:
        """Wait until nothing has been left to be applied in eight scrapes in a row."""
        idle: list[bool] = []

        def is_idle() -> bool:
            figures = [worker.figures() for worker in self._workers]
            ready = all(found.total("nearstream_ready") == 1.0 for found in figures)
            idle.append(ready and not sum(found.total("nearstream_lag_records") for found in figures))
            return len(idle) >= 8 and all(idle[-8:])

        self._workers[0].wait(is_idle, 300.0, "the workers to be done")

    def stop(self) -> None:
        """Stop all workers."""
        for worker in self._workers:
            worker.__exit__()
