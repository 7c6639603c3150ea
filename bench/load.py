"""What the benchmarks feed: simulated shoppers or an event file, and a producer that appends it fast."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from processors.common.hashing import partition_of
from processors.events.event import ITEM_TOPICS
from processors.simulator import SimulatedEvent, Simulator, build_catalogue
from streams.datasets.event_files import read_events
from streams.kafka.clients import client_arguments
from streams.settings.sections import Settings

SEED = 7
START_MS = 1_700_000_000_000
_BATCH_BYTES = 400_000
_IN_FLIGHT = 16


MALFORMED = (
    b"", b"{", b"null", b"[1,2]", b"\xff\xfe", b'{"user_id":1e999}', b'{"event_id":"x"}', b'{"user_id":"\\ud800"}',
    b'{"event_id":"x","user_id":"u","item_id":"i","timestamp":"yesterday"}', b'{"a":' * 2000, b"9" * 50_000,
)  # fmt: skip
"""Values of records that no worker can read as an event; the last two are long."""


class LoadEvent(NamedTuple):
    """An event as an app would send it."""

    topic: str
    key: str
    value: bytes


class Load(NamedTuple):
    """Events and what they are."""

    name: str
    events: list[LoadEvent]

    @property
    def users(self) -> int:
        """Distinct users: the keys."""
        return len({event.key for event in self.events})

    @property
    def items(self) -> int:
        """Distinct items."""
        return len({orjson.loads(e.value)["item_id"] for e in self.events if e.topic in ITEM_TOPICS})


def simulate(
    events: int, users: int, items: int, rate_per_s: float = 500.0, start_ms: int = START_MS
) -> Iterator[SimulatedEvent]:
    """Yield the events of simulated shoppers: the same arguments give the same events.

    Parameters
    ----------
    events
        Number of events.
    users
        Number of shoppers; the active ones come more often, some never.
    items
        Number of products in the catalogue.
    rate_per_s, start_ms
        Mean events per second, and time of the first one, both in event time.
    """
    return Simulator(SEED, users, build_catalogue(SEED, items)).events(start_ms, rate_per_s, events)


def simulated(
    events: int, users: int, items: int, rate_per_s: float = 500.0, start_ms: int = START_MS
) -> Iterator[LoadEvent]:
    """Yield the events of :func:`simulate` as they are sent.

    Examples
    --------
    >>> [event.topic for event in simulated(3, users=100, items=100)]
    ['events.browse.v1', 'events.browse.v1', 'events.browse.v1']
    """
    for event in simulate(events, users, items, rate_per_s, start_ms):
        yield LoadEvent(event.topic, event.key, orjson.dumps(event.value()))


def from_file(path: Path, events: int | None = None) -> Iterator[LoadEvent]:
    """Yield the events of a file, in its order; at most so many."""
    for event in read_events(path, events):
        yield LoadEvent(event.topic, event.key.decode(), event.value)


def load_of(data: Path | None, events: int | None, users: int, items: int) -> Load:
    """Return the events of a file if there is one, else simulated ones.

    Examples
    --------
    >>> load = load_of(None, 50, users=10, items=100)
    >>> load.name, len(load.events), load.users <= 10
    ('simulator', 50, True)
    """
    if data is not None:
        return Load(data.name, list(from_file(data, events)))
    return Load("simulator", list(simulated(events or 200_000, users, items)))


def with_malformed(events: Sequence[LoadEvent], count: int) -> Iterator[LoadEvent]:
    """Yield events with so many records among them that are none, evenly; the long ones are one in a hundred.

    Examples
    --------
    >>> events = [LoadEvent("t", "u", b"{}")] * 2
    >>> [event.value for event in with_malformed(events, 4)]
    [b'{}', b'', b'{', b'{}', b'null', b'[1,2]']
    """
    short, made = MALFORMED[:-2], 0
    for n, event in enumerate(events, 1):
        yield event
        while made < count * n // len(events):
            value = MALFORMED[-1 - made % 2] if made % 100 == 99 else short[made % len(short)]
            yield LoadEvent("events.click.v1", f"u{made % 3000}", value)
            made += 1


async def append(
    settings: Settings, events: Iterable[LoadEvent], prefix: str = "", batch_bytes: int = _BATCH_BYTES
) -> int:
    """Append events to their topics as fast as the brokers take them, each on the partition of its key.

    Parameters
    ----------
    settings
        Settings with the brokers and the number of partitions.
    events
        Events in the order in which each partition is to get them.
    prefix
        Text that is put before the name of each topic.
    batch_bytes
        Size of the batches in which they are appended.

    Returns
    -------
    int
        How many were appended.
    """
    producer = AIOKafkaProducer(
        **client_arguments(settings.kafka), acks="all", max_batch_size=batch_bytes, max_request_size=2 * _BATCH_BYTES
    )
    await producer.start()
    try:
        return await _append(producer, events, prefix, settings.topics.partitions)
    finally:
        await producer.stop()


async def _append(producer: AIOKafkaProducer, events: Iterable[LoadEvent], prefix: str, partitions: int) -> int:
    batches: dict[tuple[str, int], BatchBuilder] = {}
    sent: asyncio.Queue[asyncio.Future[object]] = asyncio.Queue(_IN_FLIGHT)
    count = 0

    async def send(log: tuple[str, int]) -> None:
        while sent.full():
            await sent.get_nowait()
        sent.put_nowait(await producer.send_batch(batches[log], log[0], partition=log[1]))
        batches[log] = producer.create_batch()

    for event in events:
        log = prefix + event.topic, partition_of(event.key, partitions)
        if log not in batches:
            batches[log] = producer.create_batch()
        record = {"key": event.key.encode(), "value": event.value, "timestamp": None}
        if batches[log].append(**record) is None:
            await send(log)
            batches[log].append(**record)
        count += 1
    for log, batch in batches.items():
        if batch.record_count():
            await send(log)
    while not sent.empty():
        await sent.get_nowait()
    return count
