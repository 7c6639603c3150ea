"""Running a demo: everything is started, watched, and stopped in the end, however it ends."""

from __future__ import annotations

import asyncio
import logging
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from processors.simulator import Simulator
from streams.broker import LocalBroker
from streams.demo.feed import Feed
from streams.demo.processes import (
    DemoFailed,
    DemoWorker,
    demo_worker_settings,
    make_broker,
    own_broker_settings,
)
from streams.demo.session import ENDING, Session
from streams.demo.show import LiveShow, PlainShow, say_how_to_connect, step
from streams.demo.snapshot import Setting
from streams.demo.summary import Summary, summarize
from streams.demo.watch import Watch
from streams.kafka.topics import ensure_topics
from streams.settings.sections import Settings

_SHOPPERS_PER_EVENT_S = 5
"""An eighth of them is in the shop: each acts once in six tenths of a second, which a person can follow."""

_FEWEST_SHOPPERS = 200


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

    @property
    def crowd(self) -> int:
        """How many shoppers there are."""
        return self.shoppers or max(_FEWEST_SHOPPERS, int(_SHOPPERS_PER_EVENT_S * self.rate))


@dataclass(frozen=True)
class _Brokers:
    """Settings that reach the brokers, what to call them, and the process if it is ours."""

    settings: Settings
    name: str
    process: LocalBroker | None = None

    def check(self) -> None:
        if self.process is not None and self.process.pid is None:
            raise DemoFailed(f"{self.process.name} has ended. Something killed it: is the machine out of memory?")


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
        brokers = _brokers(settings, options, console, stack)
        settings = demo_worker_settings(brokers.settings, directory)
        with step(console, "Starting a worker, and waiting until it has its partitions"):
            worker = stack.enter_context(DemoWorker(settings, directory))
            simulator = Simulator(options.seed, options.crowd)
            watch = Watch(simulator, settings.users.ranking.placements[0].name)
            worker.wait_until_ready()
        item = min((product.item_id for product in simulator.catalogue.products), key=len)
        setting = _setting(settings, options, brokers.name, worker.metrics_url, item)
        say_how_to_connect(console, setting)
        show = LiveShow(console, setting) if live else PlainShow(console)

        def check() -> None:
            brokers.check()
            worker.check()

        feed = Feed(simulator, options.rate, watch)
        session = Session(settings, feed, watch, show, check, options.seconds, brokers.process is not None)
        asyncio.run(session.run())
        if not watch.recommendations:
            hint = "" if brokers.process else " If a demo ran on these brokers before, give another --seed."
            raise DemoFailed(f"no recommendation came.{hint} The end of the worker's log:\n{worker.log_tail}")
    return summarize(watch, setting, begun)


def _brokers(settings: Settings, options: Options, console: Console, stack: ExitStack) -> _Brokers:
    if options.brokers is not None:
        kafka = msgspec.structs.replace(settings.kafka, brokers=options.brokers)
        settings = msgspec.structs.replace(settings, kafka=kafka)
        # The worker would do it, but its log is no place to find out that nobody answers.
        with step(console, f"Looking for the topics at {options.brokers}"):
            ensure_topics(settings)
        return _Brokers(settings, f"Kafka at {options.brokers}")
    broker = make_broker(options.kafka)
    with step(console, f"Starting {broker.name}"):
        stack.enter_context(broker)
    return _Brokers(own_broker_settings(settings, broker), "Apache Kafka" if options.kafka else "Tansu", broker)


def _setting(settings: Settings, options: Options, broker: str, metrics_url: str, item: str) -> Setting:
    return Setting(
        broker=broker,
        brokers=settings.kafka.brokers,
        metrics_url=metrics_url,
        guarantee=settings.worker.processing_guarantee,
        shoppers=options.crowd,
        rate=options.rate,
        placement=settings.users.ranking.placements[0].name,
        seed=options.seed,
        example_item=item,
        activate=activation(shutil.which("nearstream"), Path(sys.prefix)),
    )


def activation(found: str | None, prefix: Path) -> str:
    """What makes a shell find this ``nearstream``; empty if it does, or nothing is known to help.

    Parameters
    ----------
    found
        The one that it finds now.
    prefix
        Where the Python that runs is installed: of a virtual environment, its folder.
    """
    script, activate = prefix / "bin" / "nearstream", prefix / "bin" / "activate"
    if found is not None and script.exists() and script.samefile(found):
        return ""
    return f". {shlex.quote(str(activate))}" if activate.exists() else ""


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM and a closed terminal unwind everything, as Ctrl-C does, and Ctrl-C even in the background."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
