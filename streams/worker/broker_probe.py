"""Ask the brokers every second whether they answer, since the clients of Kafka do not say when they stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from time import monotonic

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from processors.common.errors import ConfigurationError
from processors.common.topics import BROADCAST_ITEMS_TOPIC
from streams.kafka.connection_check import connection_problem
from streams.kafka.consumer import manual_consumer
from streams.kafka.upstream.stopping import stop_client
from streams.settings.sections import Settings

logger = logging.getLogger(__name__)

_ASKED_FOR = TopicPartition(BROADCAST_ITEMS_TOPIC, 0)
_EVERY_S = 1.0
_ANSWER_WITHIN_S, _CONNECTED_WITHIN_S = 3.0, 10.0
"""Seconds for an answer; for one that takes connecting, with TLS and a login, before."""

_LOG_EVERY_S = 30.0

SILENT_AFTER_S = 3.0
"""Seconds without an answer after which brokers count as gone."""


class BrokerProbe:
    """Asks the brokers every second for something small, and remembers when they last answered.

    Until :meth:`run` begins nobody is missed: what a worker waits for before says :mod:`streams.worker.broker_wait`.

    Clients of Kafka try again for minutes before their caller hears of it; a probe knows within 3 s.

    Parameters
    ----------
    settings
        Brokers to ask.
    clock
        Returns monotonic seconds.

    Examples
    --------
    >>> probe = BrokerProbe(Settings())
    >>> probe.silent_s, probe.problem
    (0.0, None)
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._answered_at: float | None = None
        self._logged_at: float | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since the brokers last answered; 0 while they do."""
        if self._answered_at is None:
            return 0.0
        silent = self._clock() - self._answered_at
        return silent if silent > SILENT_AFTER_S else 0.0

    @property
    def problem(self) -> str | None:
        """What is wrong, if the brokers are silent."""
        if not self.silent_s:
            return None
        return f"no answer from Kafka at {self._settings.kafka.brokers} for {self.silent_s:.0f} s"

    def begin(self) -> None:
        """Count silence from now on."""
        self._answered_at = self._clock()

    async def run(self) -> None:
        """Keep asking until cancelled.

        Raises
        ------
        BrokerRefused
            If the brokers have become silent because they do not take new connections of this worker any more.
        """
        self.begin()
        while True:
            await self._ask_through_new_client()
            await asyncio.sleep(_EVERY_S)

    async def _ask_through_new_client(self) -> None:
        """Keep asking until no answer comes.

        Then the client must go: through a connection whose other end has gone without a word none would ever come.
        """
        try:
            consumer = manual_consumer(self._settings)
        except ConfigurationError:  # a certificate or token that is being replaced
            await self._look_into_silence()
            return
        try:
            answered = await self.ask(partial(_first_answer, consumer), _CONNECTED_WITHIN_S)
            while answered:
                await asyncio.sleep(_EVERY_S)
                answered = await self.ask(partial(consumer.end_offsets, [_ASKED_FOR]))
        finally:
            await stop_client(consumer)

    async def ask(self, question: Callable[[], Awaitable[object]], within_s: float = _ANSWER_WITHIN_S) -> bool:
        """Ask once, note whether an answer came in time, and return it.

        Parameters
        ----------
        question
            Called without arguments; awaited for an answer of any kind.
        within_s
            Seconds in which it must come.
        """
        try:
            # Not wait_for: until Python 3.12 it forgets a cancellation that comes together with the answer.
            async with asyncio.timeout(within_s):
                await question()
        except (KafkaError, TimeoutError):
            await self._look_into_silence()
            return False
        if self._logged_at is not None:
            logger.info("Kafka at %s answers again", self._settings.kafka.brokers)
            self._logged_at = None
        self._answered_at = self._clock()
        return True

    async def _look_into_silence(self) -> None:
        now = self._clock()
        if self.problem and (self._logged_at is None or now - self._logged_at > _LOG_EVERY_S):
            self._logged_at = now
            logger.warning("%s; trying again until it answers", self.problem)
            try:
                found = await connection_problem(self._settings.kafka)
            except ConfigurationError as error:  # a certificate or token that is being replaced
                logger.warning("%s", error)
                return
            if found is not None and found.refused:
                raise found.error(self._settings.kafka)


async def _first_answer(consumer: AIOKafkaConsumer) -> None:
    """Connect and ask: that a broker has told of the others does not say that the one asked answers."""
    await consumer.start()
    await consumer.end_offsets([_ASKED_FOR])
