"""The part of a demo in which events flow: send, read, show, until something ends it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from processors.common.topics import AD_DECISIONS_TOPIC, RECOMMENDATIONS_TOPIC
from streams.demo.ads import respond
from streams.demo.feed import Feed
from streams.demo.show import Show
from streams.demo.watch import Measurements, follow
from streams.kafka.clients import client_arguments
from streams.kafka.consumer import manual_consumer
from streams.settings.sections import Settings

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a demo: Ctrl-C, a supervisor, a closed terminal."""

_STOP_WITHIN_S = 3.0


@dataclass(frozen=True)
class Session:
    """The part of a demo between the first event and the last.

    Parameters
    ----------
    settings
        Settings that reach the brokers.
    feed, measurements, show
        They send the events, measure what comes back, and show it.
    check
        Called before each snapshot; raises if a process that is needed has ended.
    seconds
        How long events are sent; :obj:`None` goes on until interrupted.
    from_beginning
        Whether to read the recommendations that are there already. On a new and empty broker there are none, and the
        embedded one is wrong about where a topic ends.
    """

    settings: Settings
    feed: Feed
    measurements: Measurements
    show: Show
    check: Callable[[], None]
    seconds: float | None
    from_beginning: bool

    async def run(self) -> None:
        """Run until the time is over, somebody interrupts, or something fails."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, stop.set)
        async with AsyncExitStack() as stack:
            producer = AIOKafkaProducer(**client_arguments(self.settings.kafka))
            consumer, decisions = manual_consumer(self.settings), manual_consumer(self.settings)
            for client in (producer, consumer, decisions):
                stack.push_async_callback(_stop, client)
                await client.start()
            await self._seek(consumer, RECOMMENDATIONS_TOPIC)
            await self._seek(decisions, AD_DECISIONS_TOPIC)
            ads = respond(decisions, producer, self.measurements.ads, self.settings.topics.partitions)
            work = (self.feed.run(producer), follow(consumer, self.measurements), ads, self._show_snapshots(stop))
            await _first_of([asyncio.create_task(part) for part in work])

    async def _seek(self, consumer: AIOKafkaConsumer, topic: str) -> None:
        partitions = [TopicPartition(topic, p) for p in range(self.settings.topics.partitions)]
        consumer.assign(partitions)
        if self.from_beginning:
            await consumer.seek_to_beginning(*partitions)
        else:
            await consumer.seek_to_end(*partitions)

    async def _show_snapshots(self, stop: asyncio.Event) -> None:
        begun, every_s = time.monotonic(), self.show.every_s
        with self.show.open():
            while not stop.is_set():
                left_s = every_s if self.seconds is None else begun + self.seconds - time.monotonic()
                if left_s <= 0:
                    break
                self.check()
                self.show.update(self.measurements.snapshot(time.time()))
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left_s, every_s)):
                        await stop.wait()
        self.measurements.end(time.time())


async def _first_of(work: list[asyncio.Task[Any]]) -> None:
    """Wait until one of the tasks ends, cancel the others, and raise what it raised."""
    try:
        done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    for task in done:
        task.result()


async def _stop(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """Disconnect; give up after three seconds."""
    # Without a broker aiokafka waits for one, or ends in a cancellation of its own making.
    with suppress(TimeoutError, KafkaError, asyncio.CancelledError):
        await asyncio.wait_for(client.stop(), _STOP_WITHIN_S)
