"""Ask the brokers every second whether they answer, since the clients of Kafka do not say when they stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from processors.common.topics import BROADCAST_ITEMS_TOPIC
from streams.kafka.clients import start_client, stop_client
from streams.kafka.consumer import manual_consumer
from streams.settings.sections import Settings

logger = logging.getLogger(__name__)

_EVERY_S = 1.0
_ANSWER_WITHIN_S = 3.0
_LOG_EVERY_S = 30.0

SILENT_AFTER_S = 3.0
"""Seconds without an answer after which brokers count as gone."""


class BrokerProbe:
    """Asks the brokers every second for something small, and remembers when they last answered.

    Clients of Kafka try again for minutes before their caller hears of it; a probe knows within 3 s.

    Parameters
    ----------
    settings
        Brokers to ask.
    clock
        Returns monotonic seconds.

    Examples
    --------
    >>> time = 100.0
    >>> probe = BrokerProbe(Settings(), clock=lambda: time)
    >>> probe.silent_s
    0.0
    >>> time = 108.0
    >>> probe.problem
    'no answer from Kafka at 127.0.0.1:9092 for 8 s'
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._answered_at = clock()
        self._logged_at: float | None = None

    @property
    def silent_s(self) -> float:
        """Seconds since the brokers last answered; 0 while they do."""
        silent = self._clock() - self._answered_at
        return silent if silent > SILENT_AFTER_S else 0.0

    @property
    def problem(self) -> str | None:
        """What is wrong, if the brokers are silent."""
        if not self.silent_s:
            return None
        return f"no answer from Kafka at {self._settings.kafka.brokers} for {self.silent_s:.0f} s"

    async def run(self) -> None:
        """Keep asking until cancelled."""
        consumer = manual_consumer(self._settings)
        await start_client(consumer)
        try:
            while True:
                await self.ask(lambda: consumer.end_offsets([TopicPartition(BROADCAST_ITEMS_TOPIC, 0)]))
                await asyncio.sleep(_EVERY_S)
        finally:
            await stop_client(consumer)

    async def ask(self, question: Callable[[], Awaitable[object]]) -> None:
        """Ask once, and note whether an answer came within 3 s.

        Parameters
        ----------
        question
            Called without arguments; awaited for an answer of any kind.
        """
        try:
            await asyncio.wait_for(question(), _ANSWER_WITHIN_S)
        except (KafkaError, TimeoutError):
            self._log_silence()
            return
        if self._logged_at is not None:
            logger.info("Kafka at %s answers again", self._settings.kafka.brokers)
            self._logged_at = None
        self._answered_at = self._clock()

    def _log_silence(self) -> None:
        now = self._clock()
        if self.problem and (self._logged_at is None or now - self._logged_at > _LOG_EVERY_S):
            self._logged_at = now
            logger.warning("%s; trying again until it answers", self.problem)
