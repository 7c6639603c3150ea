"""Run a worker as a process: topics, signals, exit codes."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading

from aiokafka.errors import KafkaError

from processors.common.errors import ConfigurationError
from streams.engine.warm import progress, warm
from streams.kafka.admin import group_clients, not_allowed
from streams.kafka.clients import member_name
from streams.kafka.errors import BrokerRefused, BrokerUnavailable
from streams.kafka.event_loop import new_event_loop
from streams.kafka.topics import TIMESTAMP_TYPE, TopicReport, ensure_topics
from streams.settings.sections import Settings
from streams.worker.topic_identity import check_topic_ids
from streams.worker.worker import Worker

logger = logging.getLogger(__name__)

CUT_OFF = 3
"""Exit code of a worker that was asked to stop and had not let go of its partitions in time, or was asked twice."""

_STOP_WITHIN_S, _CLIENTS_WITHIN_S = 8.0, 2.0
_SAY_EVERY_S = 10.0

_GARBAGE = (50_000, 10, 10)
"""After how many objects the garbage collector looks for cycles, and how much rarer at older ones.

Profiles are decoded into objects by the thousand and hold no cycles. With Python's own 700 a tenth of the time of a
micro-batch goes into looking through them. What does hold cycles, such as an exception with its frames, waits longer:
a few tens of megabytes.
"""


def run_worker(settings: Settings) -> None:
    """Wait for the brokers, create topics that are missing, and run a worker until SIGINT or SIGTERM.

    A second signal ends it at once, with :data:`CUT_OFF`.

    Raises
    ------
    NearstreamError
        If brokers refuse, or topics or state cannot be used. Topics whose records carry the time of their producers
        cannot.
    Exception
        What ended the worker early (:mod:`streams.worker.failures`). The process must exit with a code other than 0,
        so that its supervisor starts it again.
    """
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            runner.run(_run(settings))
        except KafkaError as error:
            at = f"Kafka at {settings.kafka.brokers}"
            if "AuthorizationFailed" in type(error).__name__:
                raise BrokerRefused(f"{at} {not_allowed(settings.kafka, error)}") from error
            raise BrokerUnavailable(f"{at} failed: {error!r}") from error


def prepare(settings: Settings) -> None:
    """Create the topics that are missing, and make sure that they can be used with the state that there is.

    Raises
    ------
    NearstreamError
        If they cannot.
    """
    _check_topics(ensure_topics(settings))
    group_clients(settings.kafka)
    check_topic_ids(settings)


def served_by_others(settings: Settings) -> bool | None:
    """Tell whether other workers run the partitions, and the group has forgotten what this worker was before.

    A predecessor that was killed stays a member until its session ends. Whoever joins before that gets its partitions,
    and has their stores on disk.

    Returns
    -------
    bool or None
        :obj:`None` if the brokers cannot tell, or cannot be asked now.

    Raises
    ------
    BrokerRefused
        If the user may not see the group.
    """
    try:
        members = group_clients(settings.kafka)
    except BrokerRefused:
        raise
    except (BrokerUnavailable, ConfigurationError) as error:  # or a certificate or token that is being replaced
        logger.warning("%s", error)
        return None
    return None if members is None else bool(members) and member_name(settings) not in members


def _check_topics(report: TopicReport) -> None:
    """Log how topics differ from what they should be, and refuse those whose times are not append times."""
    for difference in report.differences:
        logger.warning("%s", difference)
    wrong = [difference.topic for difference in report.differences if difference.what == TIMESTAMP_TYPE]
    if wrong:
        raise ConfigurationError(
            f"topics: {', '.join(wrong)}: {TIMESTAMP_TYPE} must be LogAppendTime, the time that events are judged by: "
            "change it with kafka-configs.sh --alter --add-config, or delete the topic if its records may go"
        )


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()

    def ask() -> None:
        if stop.is_set():
            os._exit(CUT_OFF)  # whoever asks twice does not want to wait
        stop.set()

    # An answer of the brokers waits for the interpreter while a step is computed, by default 5 ms each time, and a
    # transaction has about ten of them: publishing took a quarter less with half a millisecond.
    sys.setswitchinterval(0.0005)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask)
    deadline = Deadline()
    worker = Worker(
        settings,
        prepare=lambda: prepare(settings),
        served=lambda: served_by_others(settings),
        stopping=lambda: deadline.begin(CUT_OFF if stop.is_set() else 1),
        let_go=lambda: deadline.let_go(0 if stop.is_set() else 1),
        before_joining=_warm,
        while_joining=_settle,
    )
    await worker.run(stop)


def _warm(say_every_s: float = _SAY_EVERY_S) -> None:
    """Have all kernels ready before there are partitions whose events would wait for them, and say what that took.

    If it takes long, which is so where none is in the cache, it says every ten seconds how far it is.
    """
    over = threading.Event()
    telling = threading.Thread(target=_tell, args=(over, say_every_s), name="nearstream-warming", daemon=True)
    telling.start()
    try:
        warmed = warm()
    finally:
        over.set()
        telling.join()
    logger.info(
        "%d kernels ready in %.1f s: %d compiled, %d from the cache (%s)%s",
        warmed.compiled + warmed.loaded,
        warmed.seconds,
        warmed.compiled,
        warmed.loaded,
        warmed.cache or "none",
        f"; {warmed.advice}" if warmed.advice else "",
    )


def _tell(over: threading.Event, every_s: float) -> None:
    """Say every so many seconds how many kernels are ready, until it is over."""
    while not over.wait(every_s):
        ready, kernels = progress()
        logger.info(
            "compiling kernels: %d of %d are ready; partitions are taken over after that. `nearstream warm` does it "
            "before a start",
            ready,
            kernels,
        )


def _settle() -> None:
    """Keep the garbage collector from everything that has been loaded.

    A full collection looks at every object. Those of modules stay as long as the process does; without them it takes a
    few milliseconds instead of 55 to 115, which the events of a micro-batch would have to wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


class Deadline:
    """Ends a process that stops and does not get to the end of it.

    Clients of Kafka take a minute to stop when the brokers are gone, and Faust waits for them in the event loop.
    Nothing is lost by ending without them: what is not committed is computed again.
    """

    def __init__(self) -> None:
        self._timer: threading.Timer | None = None

    def begin(self, exit_code: int) -> None:
        """End the process with a code 8 s from now, unless it ends by itself before."""
        self._end_in(_STOP_WITHIN_S, exit_code, logging.WARNING, "what was not committed is done again")

    def let_go(self, exit_code: int) -> None:
        """End the process with another code 2 s from now: all partitions are let go of, and only clients are left."""
        self._end_in(_CLIENTS_WITHIN_S, exit_code, logging.INFO, "only clients of Kafka were left")

    def _end_in(self, seconds: float, exit_code: int, level: int, why: str) -> None:
        def end() -> None:
            logger.log(level, "not stopped within %.0f s; ending anyway: %s", seconds, why)
            logging.shutdown()
            os._exit(exit_code)

        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, end)
        self._timer.daemon = True
        self._timer.start()
