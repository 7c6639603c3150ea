"""kill -9, and then: nothing lost, nothing doubled, every state as a replay of the committed order gives it."""

import os
import random
import signal
import threading
import time
import urllib.request
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from processors.ads.ledger import Ledger
from processors.common.topics import CAMPAIGNS_TOPIC, IMPRESSIONS_TOPIC, REQUESTS_TOPIC
from processors.simulator import Simulator, build_catalogue
from processors.simulator.products import Product
from state.rocks import RocksStore
from streams.engine.topology import build_topology
from streams.settings.sections import Settings
from tests.oracle import Account, account, same_bytes, states_of
from tests.support import WorkerProcess, fresh_settings

EVENTS = 200_000

SEEN_AFTER = 50
"""Requests after which somebody clicks what may have been shown: a second, at 250 events per second."""

decode_campaign = msgspec.msgpack.Decoder(Ledger).decode


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
        producer = KafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=5)
        simulator = Simulator(11, shoppers=2000, catalogue=build_catalogue(11, 1000))
        for n, product in enumerate(simulator.catalogue.products[:6]):
            producer.send(CAMPAIGNS_TOPIC, key=f"c{n}".encode(), value=msgspec.json.encode(campaign_for(n, product)))
        promoted, asked = [product.item_id for product in simulator.catalogue.products[:6]], list[str]()
        begun, events = time.monotonic(), simulator.events(int(time.time() * 1000), self._rate, self._events)
        for event in events:
            ahead = self.sent / self._rate - (time.monotonic() - begun)
            if ahead > 0.02:
                time.sleep(ahead)
            producer.send(event.topic, key=event.key.encode(), value=msgspec.json.encode(event.value()))
            if self.sent % 3 == 0:
                seen = {"event_id": f"seen {self.sent}", "user_id": event.key, "timestamp": event.timestamp}
                seen["items"] = [product.item_id for product in simulator.catalogue.products[:8]]
                producer.send(IMPRESSIONS_TOPIC, key=event.key.encode(), value=msgspec.json.encode(seen))
            if self.sent % 5 == 0:
                request = {"request_id": f"r{self.sent}", "user_id": event.key, "timestamp": event.timestamp}
                # Every third of them has not agreed to be known.
                request |= {"placement": "side", "purposes": ["target"] if self.sent % 3 else []}
                producer.send(REQUESTS_TOPIC, key=event.key.encode(), value=msgspec.json.encode(request))
                asked.append(event.key)
                if len(asked) > SEEN_AFTER:
                    self._click_ads(producer, asked.pop(0), event.timestamp, promoted)
            self.sent += 1
            if self._stop.is_set():
                break
        producer.flush()
        producer.close()

    def _click_ads(self, producer: KafkaProducer, user: str, at: object, promoted: list[str]) -> None:
        """Click whatever may have been advertised: which ad was shown is not known here."""
        for item in promoted:
            click = {"event_id": f"ad {self.sent} {item}", "user_id": user, "timestamp": at, "item_id": item}
            producer.send("events.click.v1", key=user.encode(), value=msgspec.json.encode(click))

    def __enter__(self) -> "Load":
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


def check_rocks(settings: Settings, expected: Account) -> None:
    """The files of the stores, after a clean stop, hold the same."""
    for plane in build_topology(settings).planes:
        found = {}
        for partition in range(settings.topics.partitions):
            store = RocksStore(Path(settings.worker.state_dir) / f"{plane.name}-{partition}", plane.state_type)
            found.update(states_of(store))
            store.close()
        same_bytes(expected.expected_states[plane.name], found, f"{plane.name} files")


def with_ads(settings: Settings) -> Settings:
    """The same, where every decision counts as seen."""
    ads = msgspec.structs.replace(settings.users.ads, impressions="inferred", floor=0.001)
    return msgspec.structs.replace(settings, users=msgspec.structs.replace(settings.users, ads=ads))


KILLS = ("just ready", "restoring", "at work", "at work")


def wait_for_kill(moment: str, worker: WorkerProcess, random_: random.Random) -> None:
    """Let the worker come to the moment at which it is to be killed."""
    if moment == "restoring":
        # The first partition is taken over, the others are not.
        worker.wait_logged("changelog records in")
        return
    worker.wait_ready()
    time.sleep(0.05 if moment == "just ready" else random_.uniform(0.5, 3))


@pytest.fixture(scope="module")
def killed(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Settings, Account]:
    """A run under load with kills when just ready, while taking over, and at random moments of work."""
    folder = tmp_path_factory.mktemp("killed")
    settings = with_ads(fresh_settings(kafka, folder / "state"))
    random_ = random.Random(5)
    worker = WorkerProcess(settings, folder / "worker.log")
    with Load(kafka, rate=250) as load:
        try:
            worker.start()
            for moment in KILLS:
                wait_for_kill(moment, worker, random_)
                assert load.sent < EVENTS - 1000, "no work was left at a kill"
                worker.kill()
                worker.start()
            worker.wait_ready()
            load.finish()
            wait_drained(worker)
            assert worker.stop() == 0, worker.tail()
        finally:
            worker.discard()
    return kafka, settings, account(kafka, settings)


def test_nothing_is_lost_doubled_or_wrong_after_kills(killed: tuple[str, Settings, Account]) -> None:
    _, settings, found = killed
    assert found.takeovers > len(KILLS) * 8, "the kills did not make anyone take over"
    assert found.commits > 5 * len(KILLS)
    assert len(found.found_ids) > 1000
    assert len(found.found_decisions) > 500
    ledgers = {key: decode_campaign(state[1:]) for key, state in found.expected_states["campaigns"].items()}
    assert sum(ledger.spent for ledger in ledgers.values()) > 0.0
    assert sum(ledger.clicks for ledger in ledgers.values()) > 0
    for ledger in ledgers.values():
        assert ledger.campaign is not None
        assert ledger.spent <= ledger.campaign.budget
    found.check()
    check_rocks(settings, found)


@pytest.mark.parametrize("harm", ["lost", "doubled", "invented", "state", "signal", "decision"])
def test_the_verifier_sees_what_is_wrong(killed: tuple[str, Settings, Account], harm: str) -> None:
    found = deepcopy(killed[2])
    if harm == "lost":
        found.found_ids.pop(len(found.found_ids) // 2)
    elif harm == "doubled":
        found.found_ids.append(found.found_ids[7])
    elif harm == "invented":
        found.found_ids.append("events.click.v1/0/999999999/home")
    elif harm == "state":
        key = next(iter(found.changelog_states["items"]))
        found.changelog_states["items"][key] += b"\x00"
    elif harm == "decision":
        found.found_decisions.pop()
    else:
        found.found_signals.popitem()
    with pytest.raises(AssertionError):
        found.check()


def test_a_zombie_cannot_write(kafka: str, tmp_path: Path) -> None:
    """A worker is stopped for longer than its session, another takes over, the first wakes up."""
    settings = fresh_settings(kafka, tmp_path / "a")
    other = msgspec.structs.replace(
        settings, worker=msgspec.structs.replace(settings.worker, state_dir=str(tmp_path / "b"))
    )
    first, second = WorkerProcess(settings, tmp_path / "a.log"), WorkerProcess(other, tmp_path / "b.log")
    with Load(kafka, rate=400) as load, first, second:
        first.wait_ready()
        second.wait_ready()
        time.sleep(3)
        first.signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5
        while first.process_state() != "T":
            assert time.monotonic() < deadline, "the worker was not stopped"
            time.sleep(0.01)
        time.sleep(settings.kafka.session_timeout_s + 5)
        os.kill(first.pid, signal.SIGCONT)
        time.sleep(6)
        first.discard()
        load.finish()
        time.sleep(settings.kafka.session_timeout_s + 3)
        second.wait_ready()
        wait_drained(second)
        assert second.stop() == 0
    account(kafka, settings).check()
