"""The tools on a real Kafka: what one sends, another shows."""

import json
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner, Result

from processors.common.hashing import partition_of
from processors.events.event import EVENT_TOPICS
from state.position import Position
from state.rocks import RocksStore
from streams.cli import app
from streams.cli.transaction_probe import fencing_problem
from streams.engine.topology import topic_specs
from streams.settings.sections import Settings
from streams.worker.topic_identity import compare_topic_ids
from tests.support import delete_topics, fresh_settings, read_topic

Nearstream = Callable[..., Result]


@pytest.fixture(scope="module")
def settings(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Topics that are new and empty, with a state directory that can be made."""
    return fresh_settings(kafka, tmp_path_factory.mktemp("cli") / "state")


@pytest.fixture(scope="module")
def nearstream(settings: Settings) -> Nearstream:
    """Runs a command with these settings."""
    env = {
        "NEARSTREAM_KAFKA__BROKERS": settings.kafka.brokers,
        "NEARSTREAM_KAFKA__GROUP": settings.kafka.group,
        "NEARSTREAM_WORKER__STATE_DIR": settings.worker.state_dir,
        "NEARSTREAM_WORKER__WEB_PORT": "0",
    }

    def run(*args: str, stdin: str | bytes | None = None, **variables: str) -> Result:
        result = CliRunner().invoke(app, args, input=stdin, env={**env, **variables})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def user() -> str:
    return f"user-{uuid4().hex[:8]}"


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_what_is_sent_is_seen_by_tail(nearstream: Nearstream, user: str) -> None:
    (sent,) = lines(nearstream("send", "click", "--user", user, "--item", "tent-1", "--price", "129", "--json"))
    tail = ["tail", "events.click.v1", "--user", user, "--from-beginning", "--limit", "1", "--json"]
    (seen,) = lines(nearstream(*tail))
    assert {name: seen[name] for name in ("topic", "partition", "offset", "key")} == {
        "topic": "events.click.v1",
        "partition": sent["partition"],
        "offset": sent["offset"],
        "key": user,
    }
    assert seen["value"] == {
        "event_id": sent["event_id"],
        "timestamp": seen["value"]["timestamp"],
        "user_id": user,
        "item_id": "tent-1",
        "price": 129.0,
        "action": "click",
    }


def test_an_event_goes_to_the_partition_of_its_user(nearstream: Nearstream) -> None:
    users = [f"shopper-{n}" for n in range(8)]
    stdin = "".join(f'{{"type": "view", "user_id": "{user}", "item_id": "i"}}\n' for user in users)
    sent = lines(nearstream("send", "--json", stdin=stdin))
    assert [event["partition"] for event in sent] == [partition_of(user, 4) for user in users]


def test_a_refused_line_is_named_and_the_others_are_sent(nearstream: Nearstream, user: str) -> None:
    good = f'{{"user_id": "{user}", "item_id": "i"}}\n'
    result = nearstream("send", "cart", "--json", stdin=good + '{"item_id": "i"}\n' + good)
    assert (result.exit_code, len(lines(result)), result.stderr) == (
        1,
        2,
        "line 2: not sent: missing_field: user_id: missing, expected a non-empty text of at most 256 characters\n",
    )


def test_a_repair_is_told(nearstream: Nearstream, user: str) -> None:
    result = nearstream("send", "click", "--user", user, "--item", "i", "--price=-3")
    assert (result.exit_code, result.stderr) == (0, "repaired: price:clipped\n")


def test_raw_bytes_arrive_as_they_are(nearstream: Nearstream, settings: Settings) -> None:
    raw = b"\xff{not json " + uuid4().hex.encode()
    (sent,) = lines(nearstream("send", "purchase", "--raw", "--json", stdin=raw + b"\n"))
    records = read_topic(settings.kafka.brokers, "events.purchase.v1")[sent["partition"]]
    assert (records[-1].key, records[-1].value) == (None, raw)


def test_tail_without_from_beginning_leaves_out_what_is_there(nearstream: Nearstream, user: str) -> None:
    nearstream("send", "click", "--user", user, "--item", "i")
    result = nearstream("tail", "events.click.v1", "--user", user, "--seconds", "1", "--json")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"no record with the key {user} has come; --from-beginning shows ")


def test_tail_says_that_there_is_nothing(nearstream: Nearstream, user: str) -> None:
    tail = ["tail", "recommendations.v1", "--from-beginning", "--seconds", "1"]
    result = nearstream(*tail, "--user", user)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith(f"no record with the key {user}\n")


def test_tail_ends_at_its_limit(nearstream: Nearstream, user: str) -> None:
    for item in ("a", "b", "c"):
        nearstream("send", "click", "--user", user, "--item", item)
    seen = lines(nearstream("tail", "events.click.v1", "--user", user, "--from-beginning", "--limit", "2", "--json"))
    assert [record["value"]["item_id"] for record in seen] == ["a", "b"]


def test_tail_shows_no_record_of_an_aborted_transaction(nearstream: Nearstream, settings: Settings, user: str) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.kafka.brokers, transactional_id=f"test-{user}")
    producer.init_transactions()
    for value, end in ((b'"aborted"', producer.abort_transaction), (b'"committed"', producer.commit_transaction)):
        producer.begin_transaction()
        producer.send("recommendations.v1", key=user.encode(), value=value, partition=partition_of(user, 4)).get(10)
        end()
    producer.close()
    tail = ["tail", "recommendations.v1", "--user", user, "--from-beginning", "--limit", "1", "--json"]
    assert [record["value"] for record in lines(nearstream(*tail))] == ["committed"]


def test_a_topic_that_is_not_there_is_named(nearstream: Nearstream) -> None:
    result = nearstream("tail", "clicks")
    assert (result.exit_code, "clicks is not there, and is none of Nearstream's: did you mean" in result.stderr) == (
        1,
        True,
    )


def test_topics_are_shown_with_their_state(nearstream: Nearstream) -> None:
    (shown,) = lines(nearstream("topics", "--json"))
    found = {topic["name"]: (topic["state"], topic["partitions"], topic["cleanup_policy"]) for topic in shown["topics"]}
    assert {name: found[name] for name in ("events.click.v1", "recommendations.v1")} == {
        "events.click.v1": ("ok", 4, "delete"),
        "recommendations.v1": ("ok", 4, "compact"),
    }


def test_topics_with_other_partitions_are_wrong(nearstream: Nearstream) -> None:
    result = nearstream("topics", NEARSTREAM_TOPICS__PARTITIONS="5")
    assert "events.click.v1: partitions is 4, expected 5\n" in result.stderr


def test_doctor_finds_kafka_ready_and_warns_of_events_that_wait(nearstream: Nearstream, user: str) -> None:
    nearstream("send", "click", "--user", user, "--item", "i")
    result = nearstream("doctor", "--json")
    checks = {check["name"]: check["status"] for check in lines(result)[0]["checks"]}
    assert (result.exit_code, checks) == (
        0,
        {
            "settings": "ok",
            "brokers": "ok",
            "topics": "ok",
            "transactions": "ok",
            "state": "ok",
            "changelog": "ok",
            "worker": "ok",
            "lag": "warn",
        },
    )


def test_doctor_fails_topics_with_other_partitions(nearstream: Nearstream) -> None:
    result = nearstream("doctor", NEARSTREAM_TOPICS__PARTITIONS="5")
    assert (result.exit_code, "events.click.v1: partitions is 4, expected 5" in result.stdout) == (1, True)


def test_doctor_finds_a_store_that_is_ahead_of_its_changelog(nearstream: Nearstream, tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "users-3", Position)
    store.commit([], 99)
    store.close()
    result = nearstream("doctor", NEARSTREAM_WORKER__STATE_DIR=str(tmp_path))
    found = "users-3 has read internal.changelog.users[3] up to 99, but that ends at 0"
    assert (result.exit_code, found in result.stdout) == (1, True)


def test_doctor_finds_a_state_directory_of_other_changelogs(nearstream: Nearstream, tmp_path: Path) -> None:
    compare_topic_ids(tmp_path, {"internal.changelog.users": str(uuid4())}, ["internal.changelog.users"])
    result = nearstream("doctor", NEARSTREAM_WORKER__STATE_DIR=str(tmp_path))
    found = f"internal.changelog.users is not the topic that {tmp_path} was made from"
    assert (result.exit_code, found in result.stdout) == (1, True)


def test_the_transaction_probe_leaves_no_record(nearstream: Nearstream, settings: Settings) -> None:
    before = nearstream("topics", "--json").stdout
    assert fencing_problem(settings, "events.click.v1") is None
    assert nearstream("topics", "--json").stdout == before


@pytest.fixture
def stream(tmp_path: Path) -> tuple[Path, list[str]]:
    """An event file of ten users of its own over two seconds, and the ids of its events."""
    name = f"stream-{uuid4().hex[:8]}"
    kinds = ("view", "click", "cart", "purchase")
    rows = [f"{name}-{n % 10},i{n},{kinds[n % 4]},{1_700_000_000 + n / 20}," for n in range(40)]
    path = tmp_path / f"{name}.csv"
    path.write_text("\n".join(["user_id,item_id,event_type,timestamp,price", *rows]))
    return path, [f"{name}:{line}" for line in range(2, 42)]


def replayed(settings: Settings, path: Path) -> list[dict[str, Any]]:
    """The file's events as they are in Kafka, partition by partition."""
    events = []
    for topic in EVENT_TOPICS:
        for partition, records in enumerate(read_topic(settings.kafka.brokers, topic)):
            for record in records:
                if record.key and record.key.decode().startswith(path.stem):
                    events.append({**json.loads(record.value), "topic": topic, "partition": partition})
    return events


def test_replay_sends_every_event_once(
    nearstream: Nearstream, settings: Settings, stream: tuple[Path, list[str]]
) -> None:
    path, ids = stream
    nearstream("replay", str(path))
    assert Counter(event["event_id"] for event in replayed(settings, path)) == Counter(ids)


def test_a_second_replay_repeats_the_ids_unless_new_ones_are_asked_for(
    nearstream: Nearstream, settings: Settings, stream: tuple[Path, list[str]]
) -> None:
    path, ids = stream
    said = nearstream("replay", str(path)).stdout
    (again,) = lines(nearstream("replay", str(path), "--new-ids", "--json"))
    suffix = again["id_suffix"]
    sent = Counter(event["event_id"] for event in replayed(settings, path))
    assert ("--new-ids makes a file count once more" in said, suffix != "") == (True, True)
    assert sent == Counter([*ids, *(f"{event_id}{suffix}" for event_id in ids)])


def test_replay_keeps_times_and_puts_users_where_they_belong(
    nearstream: Nearstream, settings: Settings, stream: tuple[Path, list[str]]
) -> None:
    path, _ = stream
    nearstream("replay", str(path), "--limit", "1")
    user = f"{path.stem}-0"
    assert replayed(settings, path) == [
        {
            "event_id": f"{path.stem}:2",
            "user_id": user,
            "item_id": "i0",
            "timestamp": 1_700_000_000_000,
            "action": "view",
            "topic": "events.browse.v1",
            "partition": partition_of(user, 4),
        }
    ]


def test_replay_keeps_the_order_within_a_partition(
    nearstream: Nearstream, settings: Settings, stream: tuple[Path, list[str]]
) -> None:
    path, _ = stream
    nearstream("replay", str(path))
    events = replayed(settings, path)
    together = [(a, b) for a, b in pairwise(events) if (a["topic"], a["partition"]) == (b["topic"], b["partition"])]
    assert [a["timestamp"] < b["timestamp"] for a, b in together] == [True] * len(together)


def test_replay_reports_its_figures(nearstream: Nearstream, stream: tuple[Path, list[str]]) -> None:
    path, _ = stream
    (figures,) = lines(nearstream("replay", str(path), "--limit", "30", "--json"))
    assert {name: figures[name] for name in ("file", "events", "shift_ms")} == {
        "file": str(path),
        "events": 30,
        "shift_ms": 0,
    }
    assert figures["events_per_s"] == pytest.approx(30 / figures["seconds"], rel=0.05)


def test_replay_keeps_the_pace_that_is_asked_for(nearstream: Nearstream, stream: tuple[Path, list[str]]) -> None:
    path, _ = stream
    (figures,) = lines(nearstream("replay", str(path), "--speed", "2", "--json"))
    assert 1.95 / 2 <= figures["seconds"] < 3.9


def test_replay_now_ends_at_the_present(
    nearstream: Nearstream, settings: Settings, stream: tuple[Path, list[str]]
) -> None:
    path, _ = stream
    before = time.time() * 1000
    nearstream("replay", str(path), "--now")
    times = [event["timestamp"] for event in replayed(settings, path)]
    assert (max(times) - min(times), before <= max(times) + 1 <= time.time() * 1000 + 1) == (1950, True)


def test_replay_does_not_claim_an_event_that_kafka_refused(nearstream: Nearstream, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    event = {"type": "view", "user_id": "u", "item_id": "i", "timestamp": 5, "notes": "x" * 2_000_000}
    path.write_text(json.dumps(event))
    result = nearstream("replay", str(path))
    assert (result.exit_code, "answered with an error: [Error 10] MessageSizeTooLargeError" in result.stderr) == (
        1,
        True,
    )


def test_replay_skips_a_bad_line_and_names_it(nearstream: Nearstream, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    rows = ["u,i,view,1"] * 9
    path.write_text("\n".join(["user_id,item_id,event_type,timestamp", *rows, "u,i,view,soon\n"]))
    result = nearstream("replay", str(path), "--json")
    assert (result.exit_code, json.loads(result.stdout)["events"], json.loads(result.stdout)["unread"]) == (0, 9, 1)
    assert result.stderr.startswith("bad.csv: 1 line not read for timestamp: line 11: 'soon', expected ISO-8601")


def test_replay_fails_if_much_cannot_be_read_or_there_is_no_event(nearstream: Nearstream, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("user_id,item_id,event_type,timestamp\nu,i,view,1\nu,i,view,soon\n")
    result = nearstream("replay", str(path))
    assert (result.exit_code, result.stdout.startswith("1 events in ")) == (1, True)
    assert (
        "error: bad.csv: 1 of 2 lines cannot be read, expected a tenth at most; the others were sent" in result.stderr
    )
    path.write_text("user_id,item_id,event_type,timestamp\n")
    result = nearstream("replay", str(path))
    assert (result.exit_code, result.stderr, "event ids" in result.stdout) == (
        1,
        "error: bad.csv: no event in it\n",
        False,
    )


# Last, because it takes the topics away


READING = {
    "profile ada": "internal.changelog.users",
    "recommend ada": "",
    "why-not tent --user ada": "",
    "why events.click.v1/3/1207/home": "recommendations.v1",
    "campaigns list": "",
    "campaigns report": "internal.changelog.campaigns",
    "campaigns lift": "internal.changelog.campaigns",
    "campaigns why-not spring": "decision-log.v1",
    "campaigns pause spring": "",
    "campaigns forecast --campaign spring": "",
    "tail recommendations.v1 --from-beginning": "recommendations.v1",
}
"""Commands that read topics, and the topic of which each says that it is missing."""


def test_a_topic_that_is_missing_is_named_at_once_by_all_that_read(nearstream: Nearstream, settings: Settings) -> None:
    wrong = nearstream("profile", "ada", NEARSTREAM_TOPICS__PARTITIONS="400")
    assert "has 4 partitions, and none with the number " in wrong.stderr
    delete_topics(settings)
    started = time.monotonic()
    for command, topic in READING.items():
        result = nearstream(*command.split())
        assert (result.exit_code, result.stdout) == (1, ""), command
        assert result.stderr.startswith(f"error: topic {topic}"), command
        assert result.stderr.endswith(" is missing: `nearstream topics --create` creates it, and so does a worker\n")
    assert time.monotonic() - started < 5.0 * len(READING)


def test_missing_topics_are_named_by_doctor_and_made_by_topics(nearstream: Nearstream, settings: Settings) -> None:
    delete_topics(settings)
    unsent = nearstream("send", "click", "--user", "u", "--item", "i")
    missing = nearstream("doctor")
    created = nearstream("topics", "--create", "--json")
    assert unsent.stderr.startswith("error: topic events.click.v1 is missing: ")
    n = len(topic_specs(settings))
    assert (missing.exit_code, f"{n} of {n} are missing: events.browse.v1, " in missing.stdout) == (1, True)
    assert [topic["state"] for topic in lines(created)[0]["topics"]] == ["ok"] * n
