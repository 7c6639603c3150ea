"""Running a demo: everything is started, measured, and stopped in the end, however it ends."""

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
from functools import partial
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
from streams.demo.snapshot import DemoInfo
from streams.demo.summary import Summary, summarize
from streams.demo.watch import Measurements
from streams.kafka.topics import ensure_topics
from streams.settings.sections import Settings

_SHOPPERS_PER_EVENT_S = 5
"""Shoppers per event and second. An eighth of them is in the shop at a time, so each acts every 0.6 s there."""

_FEWEST_SHOPPERS = 200


@dataclass(frozen=True)
class Options:
    """The options of ``nearstream demo``.

    Parameters
    ----------
    seconds
        Seconds for which events are sent; :obj:`None` goes on until interrupted.
    rate
        Events a second.
    shoppers
        Number of shoppers; by default as many as suit the rate.
    seed
        Seed of the simulation: it decides products, shoppers and events.
    kafka
        Whether to start Apache Kafka instead of the embedded broker.
    brokers
        Addresses of brokers that run already; with them none is started.
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
    """Settings that reach the brokers, their name for people, and their process if the demo started it."""

    settings: Settings
    name: str
    process: LocalBroker | None = None

    def check(self) -> None:
        """Make sure that the demo's own broker, if it started one, still runs."""
        if self.process is not None and self.process.pid is None:
            raise DemoFailed(f"{self.process.name} has ended. Something killed it: is the machine out of memory?")


def run_demo(settings: Settings, options: Options, console: Console, live: bool) -> Summary:
    """Run a demo, and return its figures.

    Parameters
    ----------
    settings
        Settings of a worker. State directory and web port are replaced by the demo's own, and without
        ``options.brokers`` so are brokers and guarantee.
    options
        The options of the command line.
    console
        Where the demo is shown.
    live
        Whether to draw a screen; otherwise a line is printed every second.

    Raises
    ------
    DemoFailed
        If the worker ends or does not get ready, or nothing is recommended.
    BrokerUnavailable
        If no broker answers or can be started.
    KeyboardInterrupt
        If interrupted before the first event; afterwards an interruption is the regular end.
    """
    begun = time.time()
    _silence_clients()
    with _terminable(), ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nearstream-demo-")))
        brokers = _brokers(settings, options, console, stack)
        settings = demo_worker_settings(brokers.settings, directory)
        with step(console, "Starting a worker, and waiting until it has its partitions"):
            worker = stack.enter_context(DemoWorker(settings, directory))
            simulator = Simulator(options.seed, options.crowd)
            measurements = Measurements(simulator, settings.users.ranking.placements[0].name)
            worker.wait_until_ready()
        info = _info_of(settings, options, brokers.name, worker.metrics_url, simulator)
        say_how_to_connect(console, info)
        show = LiveShow(console, info) if live else PlainShow(console)
        feed, check = Feed(simulator, options.rate, measurements), partial(_check, brokers, worker)
        session = Session(settings, feed, measurements, show, check, options.seconds, brokers.process is not None)
        asyncio.run(session.run())
        _require_recommendations(measurements, brokers, worker)
    return summarize(measurements, info, begun)


def _require_recommendations(measurements: Measurements, brokers: _Brokers, worker: DemoWorker) -> None:
    if not measurements.recommendations:
        hint = "" if brokers.process else " If a demo ran on these brokers before, give another --seed."
        raise DemoFailed(f"no recommendation came.{hint} The end of the worker's log:\n{worker.log_tail}")


def _check(brokers: _Brokers, worker: DemoWorker) -> None:
    """Make sure that everything the demo started still runs."""
    brokers.check()
    worker.check()


def _brokers(settings: Settings, options: Options, console: Console, stack: ExitStack) -> _Brokers:
    if options.brokers is not None:
        kafka = msgspec.structs.replace(settings.kafka, brokers=options.brokers)
        settings = msgspec.structs.replace(settings, kafka=kafka)
        # The worker would do it too, but a failure would then be found in its log only.
        with step(console, f"Looking for the topics at {options.brokers}"):
            ensure_topics(settings)
        return _Brokers(settings, f"Kafka at {options.brokers}")
    broker = make_broker(options.kafka)
    with step(console, f"Starting {broker.name}"):
        stack.enter_context(broker)
    return _Brokers(own_broker_settings(settings, broker), "Apache Kafka" if options.kafka else "Tansu", broker)


def _info_of(settings: Settings, options: Options, broker: str, metrics_url: str, simulator: Simulator) -> DemoInfo:
    return DemoInfo(
        broker=broker,
        brokers=settings.kafka.brokers,
        metrics_url=metrics_url,
        guarantee=settings.worker.processing_guarantee,
        shoppers=options.crowd,
        rate=options.rate,
        placement=settings.users.ranking.placements[0].name,
        seed=options.seed,
        # The shortest id: the command that shows it must fit into 80 columns.
        example_item=min((product.item_id for product in simulator.catalogue.products), key=len),
        activate=activation(shutil.which("nearstream"), Path(sys.prefix)),
    )


def _silence_clients() -> None:
    """Keep the log messages of the Kafka clients off the screen; what matters reaches the user as an error."""
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def activation(found: str | None, prefix: Path) -> str:
    """Return the command that makes a shell find this ``nearstream``; empty if none is needed, or none would help.

    Parameters
    ----------
    found
        Path of the ``nearstream`` that the shell finds now; :obj:`None` if it finds none.
    prefix
        Where the Python that runs is installed; for a virtual environment this is its folder.
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
