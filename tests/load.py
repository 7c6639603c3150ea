"""Load for workers in tests: simulated shoppers, campaigns, clicks, and when all of it has been applied."""

from __future__ import annotations

import random
import threading
import time
import urllib.request
from typing import Any

import msgspec
from kafka import KafkaProducer

from processors.common.hashing import partition_of
from processors.common.topics import CAMPAIGNS_TOPIC, IMPRESSIONS_TOPIC, REQUESTS_TOPIC
from processors.simulator import Simulator, build_catalogue
from processors.simulator.products import Product
from streams.settings.sections import Settings
from tests.support import WorkerProcess, event

EVENTS = 200_000

SOON_MS = 500
"""Most milliseconds until clients of the tests try again to connect to brokers that were away: kafka-python would wait
for half a minute, and what the workers do would show only then."""

SEEN_AFTER = 50
"""Requests after which somebody clicks what may have been shown: a second, at 250 events per second."""


def campaign_for(n: int, product: Product) -> dict[str, Any]:
    """A campaign for a product; some have little to spend, some pay for clicks."""
    creative = {"crid": "a", "title": product.name, "landing_url": "https://shop.example", "item_id": product.item_id}
    return {
        "advertiser": f"brand {n % 3}",
        "bid": 500.0 + n if n % 2 else 0.5,
        "model": "cpm" if n % 2 else "cpc",
        "budget": 20.0 if n < 3 else 1e6,
        "pacing": "even" if n % 3 else "asap",
        "frequency": {"per_hour": 20, "total": 200},
        "creatives": [creative, {**creative, "crid": "b"}],
    }


class Load:
    """Simulated shoppers at a steady rate in the background."""

    def __init__(self, bootstrap: str, rate: float, events: int = EVENTS) -> None:
        self.sent, self._rate, self._bootstrap, self._events = 0, rate, bootstrap, events
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=5, reconnect_backoff_max_ms=SOON_MS)
        simulator = Simulator(11, shoppers=2000, catalogue=build_catalogue(11, 1000))
        for n, product in enumerate(simulator.catalogue.products[:6]):
            producer.send(CAMPAIGNS_TOPIC, key=f"c{n}".encode(), value=msgspec.json.encode(campaign_for(n, product)))
        promoted, asked = [product.item_id for product in simulator.catalogue.products[:6]], list[str]()
        begun, events = time.monotonic(), simulator.events(int(time.time() * 1000), self._rate, self._events)
        for shopped in events:
            ahead = self.sent / self._rate - (time.monotonic() - begun)
            if ahead > 0.02:
                time.sleep(ahead)
            producer.send(shopped.topic, key=shopped.key.encode(), value=msgspec.json.encode(shopped.value()))
            if self.sent % 3 == 0:
                seen = {"event_id": f"seen {self.sent}", "user_id": shopped.key, "timestamp": shopped.timestamp}
                seen["items"] = [product.item_id for product in simulator.catalogue.products[:8]]
                producer.send(IMPRESSIONS_TOPIC, key=shopped.key.encode(), value=msgspec.json.encode(seen))
            if self.sent % 5 == 0:
                request = {"request_id": f"r{self.sent}", "user_id": shopped.key, "timestamp": shopped.timestamp}
                # Every third of them has not agreed to be known.
                request |= {"placement": "side", "purposes": ["target"] if self.sent % 3 else []}
                producer.send(REQUESTS_TOPIC, key=shopped.key.encode(), value=msgspec.json.encode(request))
                asked.append(shopped.key)
                if len(asked) > SEEN_AFTER:
                    self._click_ads(producer, asked.pop(0), shopped.timestamp, promoted)
            self.sent += 1
            if self._stop.is_set():
                break
        producer.flush()
        producer.close()

    def _click_ads(self, producer: KafkaProducer, user: str, at: object, promoted: list[str]) -> None:
        """Click some of what may have been advertised: which ad was shown is not known here."""
        for item in random.Random(self.sent).sample(promoted, 2):
            click = {"event_id": f"ad {self.sent} {item}", "user_id": user, "timestamp": at, "item_id": item}
            producer.send("events.click.v1", key=user.encode(), value=msgspec.json.encode(click))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def finish(self) -> None:
        self._stop.set()
        self._thread.join(60)

    def __exit__(self, *_: object) -> None:
        self.finish()


def wait_drained(worker: WorkerProcess, seconds: float = 180) -> None:
    """Wait until the worker says that it lags behind nothing, twice in a row."""
    deadline, quiet = time.monotonic() + seconds, 0
    behind: dict[str, float] = {}
    while quiet < 3:
        assert time.monotonic() < deadline, f"not drained in time: {behind}\n{worker.tail()}"
        assert worker.running, worker.tail()
        time.sleep(0.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port()}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        found = [line.rpartition(" ") for line in lines if line.startswith("nearstream_lag_records{")]
        behind = {name: float(lag) for name, _, lag in found if float(lag)}
        quiet = quiet + 1 if len(found) >= 24 and not behind else 0


def with_ads(settings: Settings) -> Settings:
    """The same, where every decision counts as seen, and a click on the item of an ad as one on the ad."""
    ads = msgspec.structs.replace(
        settings.users.ads, impressions="inferred", floor=1.0, clicks_only_by_id=False, clicks_per_minute=1000
    )
    return msgspec.structs.replace(settings, users=msgspec.structs.replace(settings.users, ads=ads))


def send_clicks(bootstrap: str, first: int, partitions: int, events: int = 50) -> None:
    """Send clicks one after the other, at such a pace that they come in many micro-batches."""
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for n in range(first, first + events):
        user = f"u{n % 7}"
        value = event(n, user, f"i{n % 11}", int(time.time() * 1000))
        sent = producer.send("events.click.v1", value, user.encode(), partition=partition_of(user, partitions))
        sent.get(60)
        time.sleep(0.02)
    producer.close()
