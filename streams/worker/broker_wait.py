"""Wait for brokers that are away when a worker starts, and say what is waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from streams.kafka.connection_check import connection_problem
from streams.kafka.errors import BrokerRefused, BrokerUnavailable
from streams.settings.sections import KafkaSettings

logger = logging.getLogger(__name__)

_AGAIN_S = 1.0


class BrokerWait:
    """Waits until the brokers take connections and what a worker needs of them is there.

    Brokers that do not answer are waited for, those that refuse end the worker: credentials do not mend themselves.

    Parameters
    ----------
    kafka
        How to reach the brokers, and how long to wait (``wait_s``).

    Attributes
    ----------
    waits_for : str or None
        What is waited for; :obj:`None` once it is there.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self.waits_for: str | None = f"Kafka at {kafka.brokers}"

    async def over(self, prepare: Callable[[], object]) -> None:
        """Return when the brokers answer and ``prepare`` has succeeded; each is tried every second.

        Parameters
        ----------
        prepare
            Called in a thread of its own once the brokers take connections.

        Raises
        ------
        BrokerRefused
            If the brokers answer, and refuse.
        BrokerUnavailable
            If they do not answer for ``kafka.wait_s``.
        """
        began, told = monotonic(), set[str]()
        while (error := await self._tried(prepare)) is not None:
            waited_s = monotonic() - began
            if isinstance(error, BrokerRefused) or 0 < self._kafka.wait_s <= waited_s:
                raise error
            self.waits_for = str(error)
            if self.waits_for not in told:
                logger.warning("%s. Waiting until it does", self.waits_for)
                told.add(self.waits_for)
            await asyncio.sleep(_AGAIN_S)
        if told:
            logger.info("Kafka at %s answers, after %.0f s", self._kafka.brokers, monotonic() - began)
        self.waits_for = None

    async def _tried(self, prepare: Callable[[], object]) -> BrokerUnavailable | None:
        problem = await connection_problem(self._kafka)
        if problem is not None:
            return problem.error(self._kafka)
        try:
            await asyncio.to_thread(prepare)
        except BrokerUnavailable as error:
            return error
        return None
