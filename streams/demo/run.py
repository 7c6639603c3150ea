"""Running a demo: everything is started, watched, and stopped in the end, however it ends."""

from __future__ import annotations

import asyncio
import logging
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from rich.console import Console

from processors.simulator import Simulator
from processors.users_plane import RECOMMENDATIONS_TOPIC
from streams.clients import client_arguments
from streams.demo.feed import Feed
from streams.demo.processes import (
    DemoFailed,
    DemoWorker,
    demo_worker_settings,
    make_broker,
    own_broker_settings,
)
from streams.demo.show import LiveShow, PlainShow, Show, say_how_to_connect, step
from streams.demo.snapshot import Setting, Summary
from streams.demo.watch import Watch, follow
from streams.restore import manual_consumer
from streams.settings import Settings

_SHOPPERS_PER_EVENT_S = 5
"""An eighth of them is in the shop: each acts once in six tenths of a second, which a person can follow."""

_FEWEST_SHOPPERS = 200
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Parameters
    ----------
    seconds
        How long to send events; :obj:`None` until interrupted.
    rate
        Events a second.
    shoppers
        How many; by default as many as suit the rate.
    seed
        Of the simulation.
    kafka
        Start Apache Kafka and not the embedded broker.
    brokers
        Use these, and start none.
    """

    seconds: float | None = None
    rate: float = 200.0
    shoppers: int | None = None
    seed: int = 1
    kafka: bool = False
    brokers: str | None = None


def run_demo(settings: Settings, options: Options, console: Console, live: bool) -> Summary:
    """Run a demo.

    Parameters
    ----------
    settings
        As a worker's; brokers, guarantee, state directory and web port are the demo's own unless ``brokers`` is given.
    options
        What the command line says.
    console
        Where to show it.
    live
        Whether to draw a screen; else a line a second is printed.

    Raises
    ------
    DemoFailed
        If the worker fails, or nothing is recommended.
    BrokerUnavailable
        If there is no broker.
    KeyboardInterrupt
        If interrupted before the first event; afterwards an interruption is the regular end.
    """
    begun = time.time()
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _terminable(), ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nearstream-demo-")))
        settings, broker = _brokers(settings, options, console, stack)
        settings = demo_worker_settings(settings, directory)
        with step(console, "Starting a worker, and waiting until it has its partitions"):
            worker = stack.enter_context(DemoWorker(settings, directory))
            shoppers = options.shoppers or max(_FEWEST_SHOPPERS, int(_SHOPPERS_PER_EVENT_S * options.rate))
            simulator = Simulator(options.seed, shoppers)
            watch = Watch(simulator, settings.users.ranking.placements[0].name)
            worker.wait_until_ready()
        setting = _setting(settings, options, broker, worker, watch, shoppers)
        say_how_to_connect(console, setting)
        show = LiveShow(console, setting) if live else PlainShow(console)
        asyncio.run(_stream(settings, options, Feed(simulator, options.rate, watch), watch, worker, show))
        if not watch.recommendations:
            raise DemoFailed(f"no recommendation came. The end of the worker's log:\n{worker.log_tail}")
    return summarize(watch, setting, begun)


def summarize(watch: Watch, setting: Setting, begun_s: float) -> Summary:
    """What came of a run.

    Parameters
    ----------
    watch
        That has watched it.
    setting
        It ran in.
    begun_s
        When the command began, in seconds since the epoch.
    """
    hit, oracle, popularity = range(3)
    last, ceiling = watch.curve.mean(hit, 0.75), watch.curve.mean(oracle, 0.75)
    return Summary(
        events=watch.events,
        recommendations=watch.recommendations,
        seconds=round(watch.lasted_s, 1),
        ready_s=None if watch.first_at_s is None else round(watch.first_at_s - begun_s, 2),
        p50_ms=watch.latencies.quantile(0.5),
        p99_ms=watch.latencies.quantile(0.99),
        hit_rate=_rounded(watch.curve.mean(hit)),
        hit_rate_first_quarter=_rounded(watch.curve.mean(hit, 0.0, 0.25)),
        hit_rate_last_quarter=_rounded(last),
        oracle=_rounded(watch.curve.mean(oracle)),
        popularity=_rounded(watch.curve.mean(popularity)),
        oracle_share=_rounded(last / ceiling if last is not None and ceiling else None),
        placement=setting.placement,
        broker=setting.broker,
        guarantee=setting.guarantee,
        rate=setting.rate,
        shoppers=setting.shoppers,
        seed=setting.seed,
    )


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 4)


def _brokers(settings: Settings, options: Options, console: Console, stack: ExitStack) -> tuple[Settings, str]:
    """Settings that reach the brokers, and their name."""
    if options.brokers is not None:
        kafka = msgspec.structs.replace(settings.kafka, brokers=options.brokers)
        return msgspec.structs.replace(settings, kafka=kafka), f"Kafka at {options.brokers}"
    broker = make_broker(options.kafka)
    with step(console, f"Starting {broker.name}"):
        stack.enter_context(broker)
    name = "Apache Kafka" if options.kafka else "Tansu"
    return own_broker_settings(settings, broker), name


def _setting(
    settings: Settings, options: Options, broker: str, worker: DemoWorker, watch: Watch, shoppers: int
) -> Setting:
    return Setting(
        broker=broker,
        brokers=settings.kafka.brokers,
        metrics_url=worker.metrics_url,
        guarantee=settings.worker.processing_guarantee,
        shoppers=shoppers,
        rate=options.rate,
        placement=watch.placement,
        seed=options.seed,
    )


async def _stream(
    settings: Settings, options: Options, feed: Feed, watch: Watch, worker: DemoWorker, show: Show
) -> None:
    """Send, read and show until the time is over, somebody interrupts, or something fails."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _ENDING:
        loop.add_signal_handler(number, stop.set)
    producer = AIOKafkaProducer(**client_arguments(settings.kafka))
    partitions = [TopicPartition(RECOMMENDATIONS_TOPIC, p) for p in range(settings.topics.partitions)]
    async with producer, manual_consumer(settings) as consumer:
        consumer.assign(partitions)
        if options.brokers is None:
            await consumer.seek_to_beginning(*partitions)
        else:
            await consumer.seek_to_end(*partitions)
        work = [
            asyncio.create_task(feed.run(producer)),
            asyncio.create_task(follow(consumer, watch)),
            asyncio.create_task(_showing(watch, show, worker, stop, options.seconds)),
        ]
        await _first_of(work)


async def _first_of(work: list[asyncio.Task[Any]]) -> None:
    """Wait until one of them ends, end the others, and raise what it raised."""
    try:
        done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    for task in done:
        task.result()


async def _showing(watch: Watch, show: Show, worker: DemoWorker, stop: asyncio.Event, seconds: float | None) -> None:
    begun = time.monotonic()
    with show.open():
        while not stop.is_set():
            left = begun + seconds - time.monotonic() if seconds is not None else show.every_s
            if left <= 0:
                break
            worker.check()
            show.update(watch.snapshot(time.time()))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(left, show.every_s))
    watch.end(time.time())


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM and a closed terminal unwind everything, as Ctrl-C does, and Ctrl-C even in the background."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
