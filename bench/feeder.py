"""A producer in a process of its own: events at their times, or as fast as they go.

``python -m bench.feeder '{"events": 1000, ...}'`` takes a :class:`Feed` and says at its end, in one JSON line, what it
did (:class:`Fed`). Brokers come from the environment, as a worker's.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
import orjson
from aiokafka import AIOKafkaProducer

from bench.load import LoadEvent, append, simulate, simulated
from bench.worker_process import BenchmarkFailed
from processors.common.hashing import partition_of
from streams.broker.process import ChildProcess
from streams.kafka.clients import client_arguments
from streams.kafka.errors import file_tail
from streams.settings.loading import load_settings
from streams.settings.sections import Settings


class Feed(msgspec.Struct, kw_only=True):
    """What to append.

    Parameters
    ----------
    events, users, items, start_ms
        The arguments of :func:`bench.load.simulate`.
    skip
        Events from the beginning of the simulation that are appended already.
    rate
        Mean events per second, at random times (a Poisson process); 0 for as fast as they go.
    """

    events: int
    users: int
    items: int
    start_ms: int
    skip: int = 0
    rate: float = 0.0


class Fed(msgspec.Struct, kw_only=True):
    """What was appended.

    Parameters
    ----------
    users
        Number of distinct users.
    seconds
        Time from the first event to the last.
    late_ms
        How far the producer was behind its own timetable, at most.
    """

    events: int
    users: int
    seconds: float
    late_ms: float = 0.0


@contextmanager
def feeding(feed: Feed, log: Path, environment: Mapping[str, str]) -> Iterator[ChildProcess]:
    """Start a feeder, and end it with the context if it is not done by then."""
    command = [sys.executable, "-m", "bench.feeder", msgspec.json.encode(feed).decode()]
    feeder = ChildProcess(command, log, environment=environment)
    try:
        yield feeder
    finally:
        feeder.stop()


def fed_by(feeder: ChildProcess) -> Fed:
    """Read what a feeder did that has ended.

    Raises
    ------
    BenchmarkFailed
        If the feeder failed.
    """
    if feeder.exit_code != 0:
        raise BenchmarkFailed(f"the producer ended with code {feeder.exit_code}. Its log:\n{file_tail(feeder.log)}")
    return msgspec.json.decode(feeder.log.read_bytes().splitlines()[-1], type=Fed)


def main() -> None:
    """Append what the first argument of the command line says."""
    feed = msgspec.json.decode(sys.argv[1], type=Feed)
    settings = load_settings()
    fed = asyncio.run(_at_their_times(settings, feed) if feed.rate else _flat_out(settings, feed))
    print(msgspec.json.encode(fed).decode(), flush=True)


async def _flat_out(settings: Settings, feed: Feed) -> Fed:
    users: set[str] = set()

    def counted() -> Iterator[LoadEvent]:
        for event in simulated(feed.events, feed.users, feed.items, start_ms=feed.start_ms):
            users.add(event.key)
            yield event

    begun = time.monotonic()
    events = await append(settings, counted())
    return Fed(events=events, users=len(users), seconds=round(time.monotonic() - begun, 1))


async def _at_their_times(settings: Settings, feed: Feed) -> Fed:
    """Send every event when its time has come, whatever became of those before: the rate does not follow the worker."""
    every = simulate(feed.skip + feed.events, feed.users, feed.items, feed.rate, feed.start_ms)
    events = [(event.topic, event.key, event.timestamp, event.value()) for event in islice(every, feed.skip, None)]
    producer = AIOKafkaProducer(**client_arguments(settings.kafka), acks="all")
    await producer.start()
    pending, late, begin = [], 0.0, time.time() * 1000.0 + 500.0
    shift = begin - events[0][2]
    try:
        for topic, key, timestamp, value in events:
            due = timestamp + shift
            ahead = due - time.time() * 1000.0
            if ahead > 0.0:
                await asyncio.sleep(ahead / 1000.0)
            late = max(late, time.time() * 1000.0 - due)
            value["timestamp"] = int(due)
            partition = partition_of(key, settings.topics.partitions)
            pending.append(await producer.send(topic, orjson.dumps(value), key.encode(), partition))
        await asyncio.gather(*pending)
    finally:
        await producer.stop()
    seconds = time.time() - begin / 1000.0
    users = len({key for _, key, *_ in events})
    return Fed(events=len(events), users=users, seconds=round(seconds, 1), late_ms=round(late, 1))


if __name__ == "__main__":
    main()
