"""Measuring what comes back: :class:`Measurements` knows no Kafka, :func:`follow` reads the topic for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from time import time
from typing import NoReturn

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer

from processors.ranking.messages import Recommendation
from processors.simulator import SimulatedEvent, Simulator
from processors.simulator.products import Floats
from streams.demo.ads import AdMeasurements
from streams.demo.meters import Curve, Latencies, Rate
from streams.demo.snapshot import Snapshot
from streams.demo.story import Follower, K, liveliest

_ANSWERED_WITHIN_S = 60.0
_JUDGED_LATELY = 1_000
_NEWEST = 0.05
"""Weight of the latest slate in how long they take now."""


@dataclass(slots=True)
class _Sent:
    at_s: float
    appended_s: float
    truth: Floats | None
    popular: float


class Measurements:
    """Measures a run: rates, latency, hit-rate against the truth, and one shopper's story.

    Hit-rate is expected, not drawn: the chance that the product a shopper turns to next is among the first ten of
    the slate that answered the shopper's latest event, as the simulator knows it right after that event.

    Parameters
    ----------
    simulator
        Simulator of the shoppers.
    placement
        Name of the placement whose slates are judged and shown.

    Attributes
    ----------
    ads : AdMeasurements
        Measurements of the ads.
    first_at_s : float or None
        When the first recommendation was read, in seconds since the epoch.
    lasted_s : float
        How long the run was, once it has ended.
    behind_s : float
        How long slates take now, from event to reading.
    held_s : float
        By how much the shoppers were held up, since slates took too long.
    """

    def __init__(self, simulator: Simulator, placement: str) -> None:
        self.placement = placement
        self.ads = AdMeasurements(simulator)
        self.events = self.recommendations = 0
        self.first_at_s: float | None = None
        self.lasted_s = self.behind_s = self.held_s = 0.0
        self.latencies = Latencies()
        self.curve = Curve(figures=3)
        self._begun_s: float | None = None
        self._positions = simulator.catalogue.positions
        self._visits = np.zeros(len(simulator.catalogue.products))
        self._waiting: dict[str, _Sent] = {}
        self._lately: deque[tuple[float, float, float]] = deque(maxlen=_JUDGED_LATELY)
        self._events_rate, self._recommendations_rate = Rate(), Rate()
        self._follower = Follower(liveliest(simulator), simulator.catalogue)

    def sent(self, event: SimulatedEvent, truth: Floats | None, now_s: float) -> None:
        """Take note of an event that is being sent.

        Parameters
        ----------
        truth
            Each product's chance to be what the shopper turns to after this; without it, no slate is judged.
        now_s
            Seconds since the epoch.
        """
        if self._begun_s is None:
            self._begun_s = now_s
        self.events += 1
        self._events_rate.add(now_s)
        self._visits[self._positions[event.product.item_id]] += 1
        popular = 0.0 if truth is None else float(truth[_top(self._visits)].sum())
        self._waiting[event.event_id] = _Sent(now_s, now_s, truth, popular)
        self._forget(now_s)
        if event.key == self._follower.user_id:
            self._follower.sent(event, now_s)

    def appended(self, event_id: str, at_s: float) -> None:
        """Take note of the time at which the broker appended an event."""
        sent = self._waiting.get(event_id)
        if sent is not None:
            sent.appended_s = at_s

    def recommended(self, message: Recommendation, now_s: float) -> None:
        """Take note of a recommendation that was read. One that answers somebody else's event is only counted."""
        if self.first_at_s is None:
            self.first_at_s = now_s
        self.recommendations += 1
        self._recommendations_rate.add(now_s)
        sent = self._waiting.get(message.caused_by.event_id)
        if sent is not None:
            taken_s = max(0.0, now_s - sent.appended_s)
            self.latencies.add(taken_s * 1000)
            self.behind_s += (taken_s - self.behind_s) * _NEWEST
        if message.placement != self.placement:
            return
        if message.user_id == self._follower.user_id:
            self._follower.recommended(message)
        if sent is not None and sent.truth is not None:
            self._judge(message, sent.truth, sent.popular, now_s)

    def elapsed_s(self, now_s: float) -> float:
        """Return the seconds since the first event was sent."""
        return now_s - self._begun_s if self._begun_s is not None else 0.0

    def end(self, now_s: float) -> None:
        """Take note of the end of the run."""
        self.lasted_s = self.elapsed_s(now_s)

    def snapshot(self, now_s: float) -> Snapshot:
        """Return the figures of this moment."""
        hit_rate, oracle, popularity = np.mean(self._lately, axis=0).tolist() if self._lately else (None,) * 3
        return Snapshot(
            elapsed_s=self.elapsed_s(now_s),
            events=self.events,
            recommendations=self.recommendations,
            events_per_s=self._events_rate.per_s(now_s),
            recommendations_per_s=self._recommendations_rate.per_s(now_s),
            p50_ms=self.latencies.recent(0.5),
            p99_ms=self.latencies.recent(0.99),
            hit_rate=hit_rate,
            oracle=oracle,
            popularity=popularity,
            curve=tuple(self.curve.points(0)),
            story=self._follower.story(now_s),
            ads=self.ads.snapshot(now_s),
            held_s=self.held_s,
        )

    def _judge(self, message: Recommendation, truth: Floats, popular: float, now_s: float) -> None:
        positions = {self._positions.get(item.item_id, -1) for item in message.items[:K]} - {-1}
        figures = float(truth[list(positions)].sum()), float(truth[_top(truth)].sum()), popular
        self._lately.append(figures)
        self.curve.add(self.elapsed_s(now_s), figures)

    def _forget(self, now_s: float) -> None:
        """Forget events that were not answered for a minute.

        They have no recommendation of their own: a later event of the same user was in the same micro-batch.
        """
        while (oldest := next(iter(self._waiting))) and now_s - self._waiting[oldest].at_s > _ANSWERED_WITHIN_S:
            del self._waiting[oldest]


def _top(values: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.argpartition(values, -K)[-K:]


async def follow(consumer: AIOKafkaConsumer, measurements: Measurements) -> NoReturn:
    """Read recommendations and have them measured, until cancelled. The consumer must be started and assigned."""
    decode = msgspec.json.Decoder(Recommendation).decode
    while True:
        found = await consumer.getmany(timeout_ms=500)
        now_s = time()
        for records in found.values():
            for record in records:
                if record.value is not None:
                    measurements.recommended(decode(record.value), now_s)
