"""The demo's ads: campaigns for some departments, shoppers who look and sometimes click, and the figures of both.

Whether a shopper clicks follows from the shopper's tastes, as the simulator knows them: the chance to turn next to a
product of the department that the ad is for. The rest is drawn from the decision's id, so that the same decisions get
the same clicks.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from random import Random
from time import time
from typing import Any, NoReturn

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from processors.ads.messages import AdDecision
from processors.common.hashing import partition_of
from processors.common.topics import CAMPAIGNS_TOPIC, CLICKS_TOPIC, IMPRESSIONS_TOPIC
from processors.simulator import Simulator
from streams.demo.meters import Rate
from streams.demo.snapshot import AdFigures, CampaignFigures

_DEPARTMENTS, _CREATIVES = 5, 3
_BUDGET, _BID = 2000.0, 1.0
_TEMPTED = 0.5
"""Chance that a shopper who was about to look at such a product clicks the ad for one."""

_LATELY = 500
"""How many of the last decisions the expected click rates are averaged over."""

_ENOUGH_IMPRESSIONS = 20
"""Impressions of a creative from which on its click rate is shown."""


class AdMeasurements:
    """Makes the demo's campaigns, decides which shoppers click, and measures.

    Parameters
    ----------
    simulator
        Simulator of the shoppers.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        products = simulator.catalogue.products
        sizes = Counter(product.category for product in products)
        self._departments = sorted(name for name, _ in sizes.most_common(_DEPARTMENTS))
        categories = np.array([product.category for product in products])
        self._of = {name: np.flatnonzero(categories == name) for name in self._departments}
        self.decided = self.filled = self.clicked = 0
        self._rate = Rate()
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._shown: Counter[str] = Counter()
        self._clicks: Counter[str] = Counter()
        self._by_creative: defaultdict[str, dict[str, tuple[int, int]]] = defaultdict(dict)
        self._chances: deque[tuple[float, float, float]] = deque(maxlen=_LATELY)
        self._last = ""

    def campaigns(self) -> dict[str, dict[str, Any]]:
        """Return the campaigns by id: one per department, each with a few products."""
        products = self._simulator.catalogue.products
        found: dict[str, dict[str, Any]] = {}
        for name in self._departments:
            promoted = [products[at] for at in self._of[name][:_CREATIVES].tolist()]
            found[f"demo-{name}"] = {
                "advertiser": promoted[0].brand,
                "bid": _BID,
                "model": "cpc",
                "budget": _BUDGET,
                "pacing": "asap",
                "frequency": {"per_hour": 60},
                "creatives": [
                    {
                        "crid": product.item_id,
                        "title": product.name,
                        "landing_url": f"https://shop.example/{product.item_id}",
                        "item_id": product.item_id,
                        "category": name,
                    }
                    for product in promoted
                ],
            }
        return found

    def is_simulated(self, user_id: str) -> bool:
        """Tell whether a user is one of the shoppers, and not somebody who tries the demo out."""
        try:
            self._simulator.population.number(user_id)
        except KeyError:
            return False
        return True

    def decision(self, decision: AdDecision, now_s: float) -> bool:
        """Take note of a decision, and tell whether its shopper is going to click."""
        self.decided += 1
        self._rate.add(now_s)
        cid, crid = decision.cid, decision.crid
        if cid is None or crid is None or cid.removeprefix("demo-") not in self._of:
            return False
        self.filled += 1
        department = cid.removeprefix("demo-")
        truth = self._simulator.affinity(decision.user_id)
        chances = {name: _TEMPTED * float(truth[at].sum()) for name, at in self._of.items()}
        self._chances.append((chances[department], float(np.mean(list(chances.values()))), max(chances.values())))
        clicks = Random(decision.decision_id).random() < chances[department]
        self._shown[cid] += 1
        self._clicks[cid] += clicks
        shown, clicked = self._by_creative[cid].get(decision.title or crid, (0, 0))
        self._by_creative[cid][decision.title or crid] = shown + 1, clicked + clicks
        self.clicked += clicks
        if clicks:
            self._spent[cid] += decision.charge or 0.0
            reason = decision.reasons[0].text if decision.reasons else ""
            self._last = f"{decision.user_id} clicked {decision.title}: {reason}"
        return clicks

    def snapshot(self, now_s: float) -> AdFigures:
        """Return the figures of this moment."""
        ours, chance, best = np.mean(self._chances, axis=0).tolist() if self._chances else (None,) * 3
        campaigns = tuple(
            CampaignFigures(cid, self._spent[cid], _BUDGET, self._shown[cid], self._clicks[cid], *self._best(cid))
            for cid in (f"demo-{name}" for name in self._departments)
        )
        return AdFigures(self._rate.per_s(now_s), self.filled, self.clicked, ours, chance, best, campaigns, self._last)

    def _best(self, cid: str) -> tuple[str, float | None]:
        """Return a campaign's creative with the highest click rate, and the rate; rarely shown ones don't count."""
        rates = {
            title: clicked / shown
            for title, (shown, clicked) in self._by_creative[cid].items()
            if shown >= _ENOUGH_IMPRESSIONS
        }
        best = max(sorted(rates), key=rates.__getitem__, default="")
        return best, rates.get(best)


async def respond(
    consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, measurements: AdMeasurements, partitions: int
) -> NoReturn:
    """Publish the campaigns, then read decisions and send what the shoppers do about them, until cancelled.

    The consumer must be started and assigned.
    """
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(AdDecision).decode
    for cid, fields in measurements.campaigns().items():
        partition = partition_of(cid, partitions)
        await producer.send_and_wait(CAMPAIGNS_TOPIC, encode(fields), key=cid.encode(), partition=partition)
    while True:
        found = await consumer.getmany(timeout_ms=500)
        for record in (record for records in found.values() for record in records):
            decision = decode(record.value or b"")
            for topic, fields in reactions(decision, measurements):
                await producer.send(topic, encode(fields), key=decision.user_id.encode())


def reactions(decision: AdDecision, measurements: AdMeasurements) -> list[tuple[str, dict[str, Any]]]:
    """Return the events, with their topics, with which a shopper reacts to a decision.

    Users who are not simulated send their own events: for them there are none.
    """
    if not measurements.is_simulated(decision.user_id):
        return []
    clicks = measurements.decision(decision, time())
    if decision.cid is None:
        return []
    common = {
        "user_id": decision.user_id,
        "item_id": decision.item_id,
        "timestamp": int(time() * 1000),
        "decision_id": decision.decision_id,
    }
    seen = [(IMPRESSIONS_TOPIC, {**common, "event_id": f"seen-{decision.decision_id}"})]
    return [*seen, *([(CLICKS_TOPIC, {**common, "event_id": f"click-{decision.decision_id}"})] if clicks else [])]
