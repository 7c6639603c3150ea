"""The same input gives the same bytes through Kafka and through the topology driver."""

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from processors.common.errors import NearstreamError
from processors.common.hashing import partition_of
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    BROADCAST_TOPICS,
    CAMPAIGN_SIGNALS_TOPIC,
    CAMPAIGNS_TOPIC,
    CATALOG_TOPIC,
    DECISION_LOG_TOPIC,
    IMPRESSIONS_TOPIC,
    REQUESTS_TOPIC,
    SIGNALS_TOPIC,
    SLATE_REQUESTS_TOPIC,
    TRAINING_TOPIC,
)
from processors.events.event import ITEM_TOPICS
from streams.cli.connections import consuming
from streams.engine.driver import TopologyDriver
from streams.operations.why_not import why_not
from streams.settings.sections import Settings
from streams.worker.worker import Worker
from tests.support import Headers, event, fresh_settings, produce_batch, read_topic

PARTITIONS = 3
APPS = ("recommendations.v1", AD_DECISIONS_TOPIC, DECISION_LOG_TOPIC, "dead-letters.v1")
CAMPAIGN_KEYS = [b"campaign-%d" % n for n in range(9)]
COMPARED = (*APPS, "internal.events", SIGNALS_TOPIC, CAMPAIGN_SIGNALS_TOPIC, TRAINING_TOPIC, *BROADCAST_TOPICS)

Fed = tuple[str, int, list[tuple[bytes | None, bytes | None, Headers]]]


@contextmanager
def running(settings: Settings) -> Iterator[Worker]:
    """A worker in a thread of this process, so that the test can see how far its read model is."""
    worker, stop = Worker(settings), asyncio.Event()
    failures: list[BaseException] = []
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        loops.append(asyncio.get_running_loop())
        await worker.run(stop)

    def main() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001  # handed to the test
            failures.append(error)

    thread = threading.Thread(target=main)
    thread.start()
    try:
        yield worker
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(30)
    assert not failures
    assert not thread.is_alive()


def wait_until(condition: Any, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def seeded_batches() -> list[Fed]:
    """Batches of events for one topic and partition each, with everything that can be wrong among them."""
    random_ = random.Random(7)
    now = int(time.time() * 1000)
    users = [f"u{n}" for n in range(30)]
    fed: list[Fed] = []
    n = 0
    for number in range(24):
        partition = number % PARTITIONS
        here = [user for user in users if partition_of(user, PARTITIONS) == partition]
        records: list[tuple[bytes | None, bytes | None, Headers]] = []
        for _ in range(random_.randint(1, 12)):
            n += 1
            user = random_.choice(here)
            item = f"item-{min(int(random_.expovariate(0.15)), 40)}"
            extra = {"category": f"c{len(item) % 3}", "price": random_.randint(1, 90), "context": {"placement": "top"}}
            records.append((user.encode(), event(n, user, item, now + n, **extra), (("trace", b"%d" % n),)))
        if number % 4 == 1:
            records.append((b"bad", b"{not json", ()))
            records.append(records[0])
        fed.append((random_.choice([*ITEM_TOPICS, IMPRESSIONS_TOPIC]), partition, records))
        if number % 6 == 2:
            # By itself: its way over another partition must not race with the broadcast of what came along.
            elsewhere = next(user for user in users if partition_of(user, PARTITIONS) != partition)
            wrong = event(f"x{n}", elsewhere, "item-1", now + n)
            fed.append(("events.click.v1", partition, [(b"wrongly keyed", wrong, ())]))
        if number % 4 == 3:
            fed.append((CATALOG_TOPIC, partition, rows(partition, number)))
        fed.append((IMPRESSIONS_TOPIC, partition, impressions(here, number, now + n)))
        if number % 5 == 0:
            fed.append((CAMPAIGNS_TOPIC, partition, campaigns(partition, number)))
        fed.append((REQUESTS_TOPIC, partition, requests(here, number, now + n)))
        fed.append((SLATE_REQUESTS_TOPIC, partition, slate_requests(here, number, now + n)))
    return fed


def slate_requests(users: list[str], number: int, time_ms: int) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """Requests for slates: for the home page, beside an item, a short one, and one that makes no sense."""
    asked: list[dict[str, object]] = [
        {"request_id": f"s{number}-0", "user_id": users[0], "placement": "home", "context": {"country": "DE"}},
        {"request_id": f"s{number}-1", "user_id": users[1], "placement": "related", "item_id": f"item-{number % 5}"},
        {"request_id": f"s{number}-2", "user_id": users[2], "placement": "discover", "size": 3},
        {"request_id": f"s{number}-3", "user_id": users[0], "placement": "cellar"},
    ]
    records = [(str(one["user_id"]).encode(), msgspec.json.encode({**one, "timestamp": time_ms}), ()) for one in asked]
    return [*records, records[0]]


def requests(users: list[str], number: int, time_ms: int) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """Requests for ads, of some who did not agree to be known, one that makes no sense, and one that is repeated."""
    fields = [
        {"request_id": f"r{number}-{n}", "user_id": user, "timestamp": time_ms, "placement": "top"}
        for n, user in enumerate(users[:4])
    ]
    fields[1]["purposes"], fields[2]["bidfloor"] = [], -1
    records = [(str(found["user_id"]).encode(), msgspec.json.encode(found), ()) for found in fields]
    return [*records, records[0]]


def impressions(users: list[str], number: int, time_ms: int) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """What users were shown, often enough to tire of it, and again with the same id."""
    lists = [
        {"event_id": f"s{number}-{n}", "user_id": user, "timestamp": time_ms, "items": ["item-0", f"item-{n % 9}"]}
        for n, user in enumerate(users * 3)
    ]
    records = [(str(fields["user_id"]).encode(), msgspec.json.encode(fields), ()) for fields in lists]
    return [*records, records[0]]


def campaigns(partition: int, number: int) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """Campaigns of a partition, one of them withdrawn now and then, and one that is refused."""
    here = [cid for n in range(9) if partition_of(cid := f"campaign-{n}", PARTITIONS) == partition]
    creatives = [{"crid": crid, "title": crid, "landing_url": "https://shop.example"} for crid in "ab"]
    fields = {"advertiser": "shop", "bid": 20.0 + number, "budget": 100.0, "creatives": creatives, "pacing": "asap"}
    good = [
        (cid.encode(), msgspec.json.encode({**fields, "model": ("cpm", "cpc")[n % 2]}), ())
        for n, cid in enumerate(here)
    ]
    return [*good, (here[0].encode(), b'{"budget": -1}', ()), *([(here[-1].encode(), None, ())] if number % 10 else [])]


def reactions(
    decisions: list[tuple[Any, Any, Any]], number: int
) -> dict[str, list[tuple[bytes | None, bytes | None, Headers]]]:
    """What comes of the ads of a partition: every second one is seen, every fourth clicked."""
    found = [msgspec.json.decode(value) for _, value, _ in decisions]
    shown = [fields for fields in found if "cid" in fields][::2]
    events: dict[str, list[tuple[bytes | None, bytes | None, Headers]]] = {IMPRESSIONS_TOPIC: [], "events.click.v1": []}
    for n, fields in enumerate(shown):
        common = {"user_id": fields["user_id"], "timestamp": fields["at"], "decision_id": fields["decision_id"]}
        key = fields["user_id"].encode()
        seen = {**common, "event_id": f"seen {number} {n}", "items": ["item-0"]}
        events[IMPRESSIONS_TOPIC].append((key, msgspec.json.encode(seen), ()))
        if n % 2:
            click = {**common, "event_id": f"click {number} {n}", "item_id": "item-0"}
            events["events.click.v1"].append((key, msgspec.json.encode(click), ()))
    return events


def rows(partition: int, number: int) -> list[tuple[bytes | None, bytes | None, Headers]]:
    """Rows for the items of a partition, a tombstone among them, and one that is refused."""
    here = [item for n in range(40) if partition_of(item := f"item-{n}", PARTITIONS) == partition]
    attributes = msgspec.json.encode({"category": f"c{number % 3}", "brand": "Alm", "tags": ["light"]})
    good = [(item.encode(), attributes if n != number % len(here) else None, ()) for n, item in enumerate(here)]
    return [*good, (here[0].encode(), b'{"price": "dear"}', ())]


def test_kafka_and_driver_give_the_same_bytes(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path, PARTITIONS, commit_interval_ms=0, broadcast_interval_ms=0)
    driver = TopologyDriver(settings, keep=COMPARED)
    expected: dict[str, list[list[Any]]] = {topic: [[] for _ in range(PARTITIONS)] for topic in COMPARED}
    with running(settings) as worker:
        wait_until(lambda: worker.runners and not worker.health.unready(), "ready")
        for name, partition in worker.runners:
            processor = worker.runners[name, partition].processor
            assert processor is not None
            driver.processors[name][partition].begin(processor.position.incarnation)

        def feed(topic: str, partition: int, records: list[tuple[bytes | None, bytes | None, Headers]]) -> None:
            at = produce_batch(kafka, topic, partition, records)
            driver.pipe_batch(topic, records, at, partition)
            for name in COMPARED:
                for record in driver.read(name):
                    expected[name][record.partition].append((record.key, record.value, record.headers))
            broadcast = sum(len(log) for name in BROADCAST_TOPICS for log in expected[name])
            wait_until(lambda: worker.feed.applied >= broadcast, f"{broadcast} views")
            wait_until(lambda: not any(worker.lags.now().values()), "no lag")

        for fed in seeded_batches():
            feed(*fed)
        for partition, decisions in enumerate(expected[AD_DECISIONS_TOPIC]):
            for topic, records in reactions(decisions, partition).items():
                feed(topic, partition, records)
        ledgers = [p.store.read([key.decode()])[0] for p in driver.processors["campaigns"] for key in CAMPAIGN_KEYS]
        assert sum(ledger.clicks for ledger in ledgers if ledger is not None) > 3
    for name in COMPARED:
        found = [
            [(r.key, r.value, tuple(r.headers)) for r in records if r.key != b"\x00marker"]
            for records in read_topic(kafka, name)
        ]
        assert found == expected[name], name
    with consuming(settings) as consumer:
        absent = why_not(settings, consumer, "u1", "nowhere")
        (home, _) = why_not(settings, consumer, "u1", "item-0")
        with pytest.raises(NearstreamError, match="user 'nobody' is not known"):
            why_not(settings, consumer, "nobody", "item-0")
    assert [part.stage for part in absent] == ["unknown", "unknown"]
    assert home.stage in ("shown", "rank")
    slates = [msgspec.json.decode(value) for records in expected["recommendations.v1"] for _, value, _ in records]
    assert {item["source"] for slate in slates for item in slate["items"]} >= {
        "together",
        "recent",
        "trending",
        "content",
    }
    versions = [slate["model_version"] for slate in slates]
    assert versions[0] == "covisitation"
    assert versions[-1].startswith("softmax-")
    assert sum(map(len, expected["dead-letters.v1"])) == 41
    assert sum(map(len, expected["internal.events"])) == 4


@pytest.mark.parametrize("change", ["another order", "another item"])
def test_the_comparison_can_fail(change: str) -> None:
    def outputs(items: list[str]) -> list[bytes | None]:
        driver = TopologyDriver()
        for at, item in zip(range(1_700_000_000_000, 1_700_000_009_000, 1000), items, strict=False):
            driver.pipe("events.click.v1", b"u", event(at, "u", item, at), at)
        return [record.value for record in driver.read("recommendations.v1")]

    other = ["b", "a", "c"] if change == "another order" else ["a", "d", "c"]
    assert outputs(["a", "b", "c"]) != outputs(other)
