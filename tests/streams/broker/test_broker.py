"""The brokers Nearstream starts itself: they work, they come back, and they never stay behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from streams.broker import ApacheKafka, BrokerUnavailable, LocalBroker, Tansu, answers
from streams.broker.jars import cached_jars, ensure_jars
from streams.broker.kafka import find_java
from streams.broker.process import free_port, is_listening

every_broker = pytest.mark.parametrize(
    "kind", [pytest.param(ApacheKafka, marks=pytest.mark.kafka), Tansu], indirect=True
)

RECORDS = [f"record {n}".encode() for n in range(100)]


@pytest.fixture
def kind(request: pytest.FixtureRequest) -> type[LocalBroker]:
    chosen: type[LocalBroker] = request.param
    if chosen is ApacheKafka:
        request.getfixturevalue("kafka_tools")
    return chosen


@pytest.fixture
def started(kind: type[LocalBroker]) -> Iterator[LocalBroker]:
    with kind() as broker:
        yield broker


def produce(bootstrap: str, topic: str, records: list[bytes]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for record in records:
        producer.send(topic, record, partition=0)
    producer.flush()
    producer.close()


def consume(bootstrap: str, topic: str, count: int, timeout: float = 20.0) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(topic, 0)])
    values: list[bytes] = []
    deadline = time.monotonic() + timeout
    while len(values) < count and time.monotonic() < deadline:
        for records in consumer.poll(timeout_ms=200).values():
            values += [record.value for record in records]
    consumer.close()
    return values


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def becomes_true(condition: Callable[[], bool], timeout: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@every_broker
def test_what_is_produced_can_be_consumed(started: LocalBroker) -> None:
    produce(started.bootstrap, "round-trip", RECORDS)

    assert consume(started.bootstrap, "round-trip", len(RECORDS)) == RECORDS


@every_broker
def test_nothing_stays_behind_when_the_context_ends(kind: type[LocalBroker]) -> None:
    with kind() as broker:
        pid, directory = broker.pid, broker._directory()
        assert pid is not None
        assert is_running(pid)

    assert (is_running(pid), is_listening(broker.port), broker.pid, directory.exists()) == (
        False,
        False,
        None,
        False,
    )


@every_broker
def test_it_listens_on_loopback_only_where_clients_connect(started: LocalBroker) -> None:
    shown = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    wanted = f":{started.port:04X}"
    listening = [line.split()[1] for line in shown.splitlines() if line.split()[3] == "0A"]

    assert {address for address in listening if address.endswith(wanted)} <= {
        "0100007F" + wanted,
        "0000000000000000FFFF00000100007F" + wanted,
    }


@every_broker
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux kills children with their parent")
def test_it_dies_with_its_parent_and_leaves_nothing(
    kind: type[LocalBroker], tmp_path: Path, ending: signal.Signals
) -> None:
    script = (
        "import time\n"
        f"from streams.broker import {kind.__name__}\n"
        f"broker = {kind.__name__}().start()\n"
        "print(broker.pid, broker.port, flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid, port = (int(word) for word in parent.stdout.readline().split())
        assert (is_running(pid), len(list(tmp_path.glob("nearstream-broker-*")))) == (True, 1)
        parent.send_signal(ending)

    # The process counts as dead while its last threads, and with them the port, still go away.
    assert becomes_true(lambda: not is_running(pid) and not is_listening(port))
    assert becomes_true(lambda: not list(tmp_path.glob("nearstream-broker-*")))


def test_it_outlives_the_thread_that_started_it() -> None:
    broker = Tansu()
    thread = threading.Thread(target=broker.start)
    thread.start()
    thread.join()
    time.sleep(0.2)

    with broker:
        assert answers(broker.bootstrap)


@pytest.mark.slow
@pytest.mark.usefixtures("kafka_tools")
def test_kafka_keeps_its_records_and_its_address_over_kill_and_restart() -> None:
    with ApacheKafka() as broker:
        before = broker.bootstrap
        produce(broker.bootstrap, "kept", RECORDS)
        broker.kill()
        assert not is_listening(broker.port)
        broker.start()
        after_kill = consume(broker.bootstrap, "kept", len(RECORDS))
        broker.restart()

        assert (after_kill, broker.bootstrap) == (RECORDS, before)
        assert consume(broker.bootstrap, "kept", len(RECORDS)) == RECORDS


@pytest.mark.slow
@pytest.mark.usefixtures("kafka_tools")
def test_a_kept_directory_serves_the_next_broker(tmp_path: Path) -> None:
    with ApacheKafka(log_dir=tmp_path) as first:
        produce(first.bootstrap, "kept", RECORDS)

    with ApacheKafka(log_dir=tmp_path) as second:
        assert consume(second.bootstrap, "kept", len(RECORDS)) == RECORDS


@pytest.mark.usefixtures("kafka_tools")
def test_a_kafka_that_ends_while_starting_shows_the_end_of_its_log() -> None:
    broker = ApacheKafka(server_properties={"process.roles": "broker", "num.io.threads": "none"})

    with pytest.raises(BrokerUnavailable, match=r"num\.io\.threads"):
        broker.start()

    assert broker.pid is None


def test_somebody_elses_broker_on_the_port_is_not_taken_for_ours() -> None:
    with Tansu() as other:
        broker = Tansu()
        broker._port = other.port

        with pytest.raises(BrokerUnavailable, match="something listens"):
            broker.start()


def test_without_java_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BrokerUnavailable, match="apt-get install openjdk-17"):
        find_java()


def test_a_java_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "java", """echo 'openjdk version "11.0.2"' >&2""")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(BrokerUnavailable, match="needs Java 17 or newer"):
        find_java()


@pytest.fixture
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("NEARSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    return tmp_path


def program(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


# What a `mvn` does here: put a jar into the directory of -DoutputDirectory=.
FAKE_MAVEN = """
echo run >> "$0.runs"
for word in "$@"; do case $word in -DoutputDirectory=*) out=${word#*=};; esac; done
mkdir -p "$out" && echo jar > "$out/kafka.jar"
"""


def test_without_maven_the_message_says_what_to_install(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(empty_cache / "bin"))

    with pytest.raises(BrokerUnavailable, match="apt-get install maven"):
        ensure_jars("4.1.0")


def test_an_interrupted_download_is_not_taken_for_a_good_one(empty_cache: Path) -> None:
    program(empty_cache / "bin" / "mvn", f"{FAKE_MAVEN}\necho 'Could not transfer artifact'; exit 1")

    with pytest.raises(BrokerUnavailable, match="Could not transfer artifact"):
        ensure_jars("4.1.0")

    assert not cached_jars("4.1.0").exists()


def test_jars_are_downloaded_once_however_many_ask(empty_cache: Path) -> None:
    program(empty_cache / "bin" / "mvn", f"{FAKE_MAVEN}\nsleep 0.3")
    threads = [threading.Thread(target=ensure_jars, args=["4.1.0"]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [jar.name for jar in cached_jars("4.1.0").iterdir()] == ["kafka.jar"]
    assert (empty_cache / "bin" / "mvn.runs").read_text() == "run\n"


def test_a_machine_without_the_embedded_broker_is_told_what_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.broker.tansu.os.access", lambda *_: False)
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")

    with pytest.raises(BrokerUnavailable, match="Start Apache Kafka instead"):
        Tansu().start()


def test_a_listener_that_says_nothing_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert not answers(f"127.0.0.1:{mute.getsockname()[1]}", timeout=0.5)


def test_nobody_answers_where_nobody_listens() -> None:
    assert not answers(f"127.0.0.1:{free_port()}", timeout=0.5)
