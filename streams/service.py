"""Running a worker as a process: logging, topics, signals, exit codes."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable

from streams.settings import Settings
from streams.topics import ensure_topics
from streams.worker import Worker

logger = logging.getLogger(__name__)

_QUIET = {
    "aiokafka": logging.ERROR,
    "kafka": logging.CRITICAL,
    "faust": logging.WARNING,
    "mode": logging.WARNING,
    "streams.transport": logging.WARNING,
}
"""What other libraries log of their own doings; a worker's log is about partitions and events."""


def set_up_logging(level: int = logging.INFO) -> None:
    """Log to standard error, one line an entry, in UTC-free local time as the platform does."""
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
    if level > logging.DEBUG:
        for name, quiet in _QUIET.items():
            logging.getLogger(name).setLevel(quiet)


def run_worker(settings: Settings) -> None:
    """Create what topics are missing and run a worker until SIGINT or SIGTERM.

    Raises
    ------
    NearstreamError
        If topics or state cannot be used.
    Exception
        Whatever ended the worker early. The process should end with a code other than 0, so that its supervisor
        starts it anew.
    """
    ensure_topics(settings)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(settings))


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await Worker(settings).run(stop)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return None
    return uvloop.new_event_loop
