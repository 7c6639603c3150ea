"""Visitors who ask for ads, see them, and sometimes click and buy, and their account of what that has to cost."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from processors.common.time import DAY_MS, HOUR_MS
from processors.common.topics import IMPRESSIONS_TOPIC, REQUESTS_TOPIC

_CLICKS, _BUYS = 0.08, 0.25


@dataclass
class Account:
    """What the visitors were shown and did, as they saw it themselves.

    Attributes
    ----------
    owed
        What each campaign has to pay for what happened, if its budget allowed.
    shown
        When ads were shown, in event time, by user and campaign.
    moments
        Event time and charge of everything that is paid for, by campaign.
    """

    asked: int = 0
    decided: int = 0
    filled: int = 0
    doubled: int = 0
    owed: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    shown: defaultdict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    moments: defaultdict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    _known: set[str] = field(default_factory=set)

    def decision(self, decision: dict[str, Any], at_ms: int) -> bool:
        """Take note of a decision, and tell whether it shows an ad that was not shown before."""
        if decision["decision_id"] in self._known:
            self.doubled += 1
            return False
        self._known.add(decision["decision_id"])
        self.decided += 1
        if "cid" not in decision:
            return False
        self.filled += 1
        self.shown[decision["user_id"], decision["cid"]].append(at_ms)
        return True

    def paid_for(self, decision: dict[str, Any], at_ms: int) -> None:
        """Take note that what the campaign pays for has happened."""
        self.owed[decision["cid"]] += decision["charge"]
        self.moments[decision["cid"]].append((at_ms, decision["charge"]))

    def over_caps(self, campaigns: dict[str, dict[str, Any]]) -> int:
        """Count the impressions beyond the caps of their campaign, per user and any hour and day."""
        beyond = 0
        for (_, cid), times in self.shown.items():
            for span_ms, cap in ((HOUR_MS, "per_hour"), (DAY_MS, "per_day")):
                most = campaigns[cid].get("frequency", {}).get(cap, math.inf)
                beyond += sum(sum(at - span_ms < other <= at for other in times) > most for at in times)
        return beyond


class Visitors:
    """Asks for ads through a day that is over sooner than a day, and reacts to the answers.

    Parameters
    ----------
    begins_ms, day_s
        When the first day begins in event time, and the seconds that a day takes.
    days
        Number of days.
    rate
        Mean requests per second over the day: more in the afternoon than at night.
    users
        Number of visitors.
    """

    def __init__(self, begins_ms: int, day_s: float, days: int, rate: float, users: int) -> None:
        self._begins_ms, self._speed = begins_ms, DAY_MS / (day_s * 1000.0)
        self._seconds, self._rate, self._users = day_s * days, rate, users
        self._started = 0.0
        self.account = Account()
        self.done = False

    def now_ms(self) -> int:
        """Return the event time of this moment."""
        return int(self._begins_ms + (time.monotonic() - self._started) * 1000.0 * self._speed)

    async def ask(self, producer: AIOKafkaProducer) -> None:
        """Send requests until the days are over."""
        random, self._started = Random(5), time.monotonic()
        while (elapsed := time.monotonic() - self._started) < self._seconds:
            at_ms = self.now_ms()
            user = f"u{int(random.random() ** 2 * self._users)}"
            self.account.asked += 1
            request = {"request_id": f"r{self.account.asked}", "user_id": user, "timestamp": at_ms, "placement": "top"}
            request["context"] = {"device": random.choice(["phone", "desktop"])}
            await producer.send(REQUESTS_TOPIC, orjson.dumps(request), key=user.encode())
            share = traffic(at_ms)
            taken = time.monotonic() - self._started - elapsed
            await asyncio.sleep(max(0.0, random.expovariate(self._rate * share) - taken))
        await producer.flush()
        self.done = True

    async def react(self, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, quiet_s: float = 20.0) -> None:
        """Read decisions, and see, click and buy, until every request is answered or nothing comes any more."""
        last = time.monotonic()
        while not (self.done and (self.account.decided == self.account.asked or time.monotonic() - last > quiet_s)):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                last = time.monotonic()
                for record in records:
                    await self._answer(orjson.loads(record.value), producer)
        await producer.flush()

    async def _answer(self, decision: dict[str, Any], producer: AIOKafkaProducer) -> None:
        at_ms = self.now_ms()
        if not self.account.decision(decision, _ms(decision["at"])):
            return
        chance = Random(decision["decision_id"])
        happened = [("cpm", IMPRESSIONS_TOPIC)]
        if chance.random() < _CLICKS:
            happened.append(("cpc", "events.click.v1"))
            if chance.random() < _BUYS:
                happened.append(("cpa", "events.purchase.v1"))
        for model, topic in happened:
            event = {
                "event_id": f"{model} {decision['decision_id']}",
                "user_id": decision["user_id"],
                "timestamp": at_ms,
            }
            event |= {"item_id": decision["item_id"], "decision_id": decision["decision_id"]}
            await producer.send(topic, orjson.dumps(event), key=decision["user_id"].encode())
            if decision["model"] == model:
                self.account.paid_for(decision, at_ms)


def traffic(at_ms: int) -> float:
    """Return the traffic of a moment, relative to the day's mean.

    Examples
    --------
    >>> [round(traffic(hour * HOUR_MS), 2) for hour in (2, 14)]
    [0.2, 1.8]
    """
    return 1.0 + 0.8 * math.sin((at_ms % DAY_MS / HOUR_MS - 8.0) / 12.0 * math.pi)


def planned(at_ms: int, steps: int = 240) -> float:
    """Return the share of a day's traffic that has come by a moment of it.

    Examples
    --------
    >>> round(planned(DAY_MS // 2), 2)
    0.37
    """
    until = at_ms % DAY_MS
    before = sum(traffic(int(until * (n + 0.5) / steps)) for n in range(steps)) * until / steps
    return before / DAY_MS


def _ms(stamp: str) -> int:
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)
