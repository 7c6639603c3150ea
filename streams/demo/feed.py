"""Sending what simulated shoppers do, when they do it."""

from __future__ import annotations

import asyncio
from functools import partial
from math import ceil
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from processors.simulator import SimulatedEvent, Simulator
from streams.demo.watch import Measurements

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

_JUDGED_PER_S = 250
"""For how many events a second the truth is computed, at most."""

_BEHIND_S = 1.0
_PATIENCE = 4.0
"""How much longer the shoppers take for each second that slates take more than they should, in events' intervals."""


class Feed:
    """Sends events at the moments the simulator says, and has them measured.

    Where slates take longer than a second, the machine does not keep up with the rate: the shoppers wait for them
    then, so that a demo shows how fresh slates are and not how long a queue becomes.

    The same seed, rate and number of shoppers give the same events, save for the time they begin at.

    Parameters
    ----------
    simulator
        Simulator of the events.
    rate
        Events per second, on average, as long as the machine keeps up.
    measurements
        Takes note of every event. At high rates only every n-th comes with the truth: computing that takes long.
    """

    def __init__(self, simulator: Simulator, rate: float, measurements: Measurements) -> None:
        self._simulator, self._rate, self._measurements = simulator, rate, measurements
        self._failure: BaseException | None = None

    async def run(self, producer: AIOKafkaProducer) -> None:
        """Send until cancelled.

        Raises
        ------
        KafkaError
            If an event could not be sent.
        """
        encode = msgspec.json.Encoder().encode
        every = ceil(self._rate / _JUDGED_PER_S)
        began, start_ms = monotonic(), int(time() * 1000)
        for number, event in enumerate(self._simulator.events(start_ms, self._rate)):
            began += self._wait_s()
            due = began + (event.timestamp - start_ms) / 1000
            await asyncio.sleep(max(0.0, due - monotonic()))
            if self._failure is not None:
                raise self._failure
            truth = self._simulator.affinity(event.key) if number % every == 0 else None
            if self._measurements.held_s:
                event = replace(event, timestamp=event.timestamp + int(1000 * self._measurements.held_s))
            self._measurements.sent(event, truth, time())
            sent = await producer.send(event.topic, encode(event.value()), key=event.key.encode())
            sent.add_done_callback(partial(self._acknowledged, event))

    def _wait_s(self) -> float:
        """Return how much later everything else happens, as slates take too long; note it."""
        wait_s = max(0.0, self._measurements.behind_s - _BEHIND_S) * _PATIENCE / self._rate
        self._measurements.held_s += wait_s
        return wait_s

    def _acknowledged(self, event: SimulatedEvent, sent: asyncio.Future[Any]) -> None:
        if sent.cancelled():
            return
        self._failure = sent.exception() or self._failure
        if self._failure is None:
            self._measurements.appended(event.event_id, sent.result().timestamp / 1000)
