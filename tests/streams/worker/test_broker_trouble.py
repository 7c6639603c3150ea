"""Brokers that go, come back, or are other ones than before, under a worker on Kafka."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest

from streams.broker import ApacheKafka
from streams.kafka.clients import REQUEST_MS
from tests.chaos.network import kafka_behind
from tests.load import send_clicks, wait_drained
from tests.oracle import account
from tests.support import WorkerProcess, fresh_settings


def readiness(worker: WorkerProcess) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.web_port()}/readyz", timeout=5) as answer:
            return answer.status, json.load(answer)["problems"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["problems"]


def wait_unready(worker: WorkerProcess, seconds: float = 15) -> dict[str, str]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status, problems = readiness(worker)
        if status == 503:
            return problems
        time.sleep(0.2)
    raise AssertionError(f"still ready: {worker.tail()}")


@pytest.mark.kafka
@pytest.mark.unmeasured
def test_a_broker_that_is_killed_and_comes_back(kafka_tools: None, tmp_path: Path) -> None:
    with ApacheKafka() as broker:
        settings = fresh_settings(broker.bootstrap, tmp_path / "state")
        with WorkerProcess(settings, tmp_path / "worker.log") as worker:
            worker.wait_ready()
            send_clicks(broker.bootstrap, 0, settings.topics.partitions)
            broker.kill()
            problems = wait_unready(worker)
            assert "no answer from Kafka" in problems["brokers"]
            time.sleep(2 * REQUEST_MS / 1000)  # longer than the clients try to publish what was on its way
            broker.start()
            worker.wait_ready(30)
            send_clicks(broker.bootstrap, 50, settings.topics.partitions)
            wait_drained(worker)
            lines = worker.log.read_text().splitlines()
            assert len(lines) < 40, "the log is flooded"
            assert any("answers again" in line for line in lines)
            assert worker.stop() == 0, worker.tail()
        found = account(broker.bootstrap, settings)
        assert len(found.found_ids) > 20
        found.check()


@pytest.mark.kafka
def test_a_worker_ends_soon_when_asked_while_the_brokers_are_gone(kafka_tools: None, tmp_path: Path) -> None:
    with ApacheKafka() as broker:
        settings = fresh_settings(broker.bootstrap, tmp_path / "state")
        with WorkerProcess(settings, tmp_path / "worker.log") as worker:
            worker.wait_ready()
            broker.kill()
            wait_unready(worker)
            assert worker.stop(seconds=12) == 0, worker.tail()


@pytest.mark.kafka
def test_changelogs_made_anew_are_not_mixed_with_old_stores(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path / "state")
    with WorkerProcess(settings, tmp_path / "first.log") as worker:
        worker.wait_ready()
        assert worker.stop() == 0
    fresh_settings(kafka, tmp_path / "state")
    with WorkerProcess(settings, tmp_path / "second.log") as worker:
        assert worker.wait(30) == 1
        assert "it was recreated" in worker.tail()
        assert "Traceback" not in worker.tail()


@pytest.mark.kafka
@pytest.mark.unmeasured
def test_connections_whose_other_end_went_without_a_word_are_made_anew(kafka_tools: None, tmp_path: Path) -> None:
    broker, (network,) = kafka_behind(1, seed=0)
    with broker, network:
        settings = fresh_settings(broker.bootstrap, tmp_path / "state")
        behind = msgspec.structs.replace(settings.kafka, brokers=f"127.0.0.1:{network.port}")
        with WorkerProcess(msgspec.structs.replace(settings, kafka=behind), tmp_path / "worker.log") as worker:
            worker.wait_ready()
            send_clicks(broker.bootstrap, 0, settings.topics.partitions)
            assert network.leave_half_open() > 3
            send_clicks(broker.bootstrap, 50, settings.topics.partitions)
            wait_drained(worker, 90)
            worker.wait_ready(30)
            assert any("answers again" in line for line in worker.log.read_text().splitlines())
        account(broker.bootstrap, settings).check()
