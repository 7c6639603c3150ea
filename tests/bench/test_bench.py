"""Every benchmark runs for real on tiny input, and its figures agree with each other. How fast is nobody's business."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from bench.answers import Appended, Received, answers_to
from bench.burst import run_burst
from bench.idiomatic_faust import Event
from bench.idiomatic_logic import learn, most_popular, new_item, new_profile, pair, trend, view, visit
from bench.idiomatic_messages import Cause, recommendation
from bench.idiomatic_rank import slates
from bench.latency import run_latency
from bench.load import simulated
from bench.memory import run_memory
from bench.peer_engine import PeerPlan
from bench.restore import run_restore
from bench.throughput import run_throughput
from bench.worker_process import BenchmarkFailed
from processors.common.errors import NearstreamError
from processors.common.topics import DEAD_LETTERS_TOPIC
from processors.items.state import ItemSettings
from processors.items.voices import VoiceSettings
from processors.planes.users_settings import UsersSettings
from processors.ranking.messages import Recommendation
from processors.users.influence import InfluenceSettings
from streams.cli.bench import app
from streams.cli.common import GlobalOptions
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings, TopicSettings, WorkerSettings
from tests.support import delete_topics, fresh_settings, read_topic

EVENTS = 300


@pytest.fixture
def empty(kafka: str, tmp_path: Path) -> str:
    """Brokers on which Nearstream's topics are there and empty."""
    fresh_settings(kafka, tmp_path)
    return kafka


@pytest.mark.kafka
def test_throughput_with_the_peer(kafka_tools: None) -> None:
    result = run_throughput(events=EVENTS, users=50, items=100, peer=PeerPlan(events=120, warm=100))
    assert (result.warm_events, result.data, result.guarantee) == (100, "simulator", "exactly_once")
    assert result.events == EVENTS - 100
    assert result.broker.startswith("Apache Kafka ")
    assert 2 * result.users <= result.recommendations <= 2 * EVENTS
    assert result.events_per_s == pytest.approx(result.events / result.wall_s, rel=0.1)
    assert result.events_per_cpu_s == pytest.approx(result.events / result.cpu_s, rel=0.1)
    assert result.peak_rss_mb > 50
    peer = result.peer
    assert peer is not None
    assert (peer.engine, peer.events, peer.warm_events, peer.recommendations) == ("faust", 120, 100, 440)
    assert (peer.store, peer.guarantee, peer.differing) == ("memory", "at_least_once", None)
    assert result.ratio == pytest.approx(result.events_per_cpu_s / peer.events_per_cpu_s, rel=0.1, abs=0.06)


def test_throughput_of_a_file_as_json(empty: str, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    rows = [f"u{n % 7},i{n % 11},view,{1_700_000_000 + n}" for n in range(60)]
    file.write_text("\n".join(["user_id,item_id,event_type,timestamp", *rows]))
    options = ["throughput", "--data", str(file), "--events", "50", "--json"]
    done = CliRunner().invoke(app, options, obj=GlobalOptions(brokers=empty), catch_exceptions=False)
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    result: dict[str, Any] = json.loads(line)
    assert {"wall_s", "cpu_s", "events_per_s", "events_per_cpu_s", "peak_rss_mb"} <= result.keys()
    assert (result["events"], result["users"], result["items"]) == (50, 7, 11)
    assert (result["data"], result["broker"]) == ("events.csv", empty)


@pytest.mark.unmeasured
def test_a_hundred_thousand_malformed_records_are_refused_one_by_one_and_cost_no_event(empty: str) -> None:
    result = run_throughput(events=1_000, users=200, items=100, brokers=empty, malformed=100_000)
    assert (result.events, result.malformed, result.refused) == (1_000, 100_000, 100_000)
    assert sum(map(len, read_topic(empty, DEAD_LETTERS_TOPIC))) == 100_000
    assert result.records_per_cpu_s == pytest.approx(101.0 * result.events_per_cpu_s, rel=0.01)


def test_no_peer_is_measured_with_malformed_records() -> None:
    with pytest.raises(NearstreamError, match="--malformed: no peer"):
        run_throughput(events=100, peer=PeerPlan(), malformed=1)


def test_brokers_that_hold_events_are_refused(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path)
    run_throughput(events=20, users=5, items=100, brokers=kafka)
    with pytest.raises(NearstreamError, match=r"holds records already \(.*events\.browse\.v1"):
        run_throughput(events=20, users=5, items=100, brokers=kafka)
    delete_topics(settings)


def test_latency(empty: str) -> None:
    result = run_latency(
        rate=50.0, seconds=3.0, warmup_s=1.0, brokers=empty, history=200, users=50, items=100, campaigns=4
    )
    assert 0 < result.decisions < result.events
    assert 0 < result.decision_p50_ms <= result.decision_p99_ms <= result.decision_max_ms
    assert 100 <= result.events <= 200
    assert 30 < result.rate < 70
    assert 0 < result.p50_ms <= result.p90_ms <= result.p99_ms <= result.max_ms
    assert result.batch_events >= 1
    assert result.publish_ms > 0
    assert (result.broker, result.guarantee) == (empty, "exactly_once")


def test_burst(empty: str) -> None:
    result = run_burst(rate=20.0, times=10.0, burst_s=3.0, calm_s=2.0, brokers=empty, history=200, users=50, items=100)
    assert result.events == 40 + 600 + 40
    assert 10 < result.rate < 40 < 100 < result.burst_rate < 300
    assert 0 <= result.excess <= result.most_waiting <= 2 * result.events
    assert 0 <= result.caught_up_s <= result.caught_up_bound_s + 10
    assert result.applied_per_s > 0
    assert result.memory_ratio == pytest.approx(result.peak_rss_mb / result.rss_mb, abs=0.01)
    assert (result.looks >= 5, result.unhealthy_looks) == (True, 0)


def test_memory(empty: str) -> None:
    result = run_memory(events=2_000, users=100, items=200, brokers=empty)
    assert (result.events, result.read_model_items > 50) == (2_000, True)
    assert 50 < result.users <= 100
    assert len(result.rss_mb_tenths) == 10
    assert result.growth_mb == pytest.approx(result.rss_mb_end - result.rss_mb_half, abs=0.11)
    assert result.store_memory_mb_end > 0
    assert result.growth_beyond_stores_mb == pytest.approx(
        result.growth_mb - result.store_memory_mb_end + result.store_memory_mb_half, abs=0.31
    )
    assert result.rss_mb_end <= result.peak_rss_mb + 1
    assert result.state_mb > 0


def test_restore(empty: str) -> None:
    result = run_restore(records=12_000, users=300, through_kafka=True, brokers=empty)
    assert result.records == 12_000
    assert result.keys == 12_000 - 12 + 1, "every record but the positions has a key of its own"
    assert result.value_bytes > 200
    assert result.records_per_s == pytest.approx(12_000 / result.wall_s, rel=0.1)
    assert result.kafka_records_per_s is not None


def test_an_event_is_answered_by_its_own_message_or_the_first_later_one_of_its_user() -> None:
    def place(topic: str, offset: int) -> tuple[str, int, int]:
        return topic, 0, offset

    events = [
        Appended("u", place("a", 1), 100, 100),
        Appended("u", place("b", 1), 101, 101),
        Appended("u", place("a", 2), 102, 102),
        Appended("v", place("a", 3), 103, 103),
    ]
    answers = [
        ("v", Received(place("a", 3), 150.0)),
        ("u", Received(place("b", 1), 160.0)),
        ("u", Received(place("a", 2), 170.0)),
    ]
    assert [answer.at_ms for answer in answers_to(events, answers).values()] == [160.0, 160.0, 170.0, 150.0]
    with pytest.raises(BenchmarkFailed, match="of u was not answered"):
        answers_to(events, answers[:2])


def test_the_idiomatic_logic_keeps_what_the_planes_keep() -> None:
    """Both see every event alone and at once, and count all alike. Rounding of weights may swap neighbours, no more."""
    driver = TopologyDriver(
        Settings(
            topics=TopicSettings(partitions=1),
            worker=WorkerSettings(broadcast_interval_ms=0),
            items=ItemSettings(publish_within_ms=0, voices=VoiceSettings(repeat_power=0.0)),
            users=UsersSettings(influence=InfluenceSettings(past_items=0)),
        )
    )
    profiles: dict[str, Any] = {}
    items: dict[str, Any] = {}
    for at, (topic, user, value) in enumerate(simulated(EVENTS, users=20, items=100), 1_700_000_600_000):
        driver.pipe(topic, user.encode(), value, at=at)
        _fold(profiles.setdefault(user, new_profile()), items, Event(**_known(json.loads(value))))
    driver.flush()
    for user, profile in profiles.items():
        (kept,) = driver.processors["users"][0].store.read([user])
        assert kept is not None
        assert list(profile["items"]) == kept.item_ids
        assert len(slates(profile, lambda _: [], most_popular(items))) == 2
    same = total = 0
    for name, item in items.items():
        published = driver.topology.index.view(name)
        assert published is not None
        assert trend(item) == pytest.approx(published.trends[1])
        names = [other for other, _, _ in view(item)]
        total += len(names)
        same += sum(a == b for a, b in zip(names, published.neighbours, strict=True))
    assert total > 200
    assert same / total > 0.99


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in Event._options.fields}


def _fold(profile: dict[str, Any], items: dict[str, Any], event: Any) -> None:
    preceding = learn(profile, event) or []
    item = items.setdefault(event.item_id, new_item())
    visit(item, event.timestamp, event.category, event.brand, event.price)
    pair(item, [(name, -distance) for distance, name in enumerate(preceding, 1)], event.timestamp)
    for distance, name in enumerate(preceding, 1):
        pair(items[name], [(event.item_id, distance)], event.timestamp)


def test_the_idiomatic_messages_are_recommendations() -> None:
    event = Event(event_id="e", user_id="u", item_id="tent", timestamp=1_700_000_000_000)
    cause = Cause("events.click.v1", partition=2, offset=7, time_s=1_700_000_000.5)
    profile = new_profile()
    learn(profile, event)
    (home, _) = slates(profile, lambda _: [("lamp", 1.0, 0.0)], [])
    found = msgspec.convert(recommendation(event, cause, "home", home), Recommendation, strict=True)
    assert (found.recommendation_id, found.caused_by.topic) == ("events.click.v1/2/7/home", "events.click.v1")
    assert [(item.item_id, item.source) for item in found.items] == [("lamp", "together"), ("tent", "recent")]
