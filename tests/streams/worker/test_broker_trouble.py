"""Brokers that go, come back, or are other ones than before; and what a worker says of it."""

import asyncio
import json
import logging
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from processors.common.errors import ConfigurationError, StateError
from processors.common.hashing import partition_of
from streams.broker import ApacheKafka
from streams.kafka.clients import stop_client
from streams.settings.sections import Settings
from streams.worker.broker_probe import BrokerProbe
from streams.worker.http import serve
from streams.worker.logs import RepeatFilter
from streams.worker.metrics import Metrics
from streams.worker.topic_identity import compare_topic_ids
from tests.oracle import account
from tests.streams.worker.test_exactly_once import wait_drained
from tests.support import WorkerProcess, event, fresh_settings, produce_batch


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


def send_clicks(bootstrap: str, first: int, partitions: int, events: int = 50) -> None:
    for n in range(first, first + events):
        user = f"u{n % 7}"
        value = event(n, user, f"i{n % 11}", int(time.time() * 1000))
        produce_batch(bootstrap, "events.click.v1", partition_of(user, partitions), [(user.encode(), value, ())])


@pytest.mark.kafka
def test_a_broker_that_is_killed_and_comes_back(kafka_tools: None, tmp_path: Path) -> None:
    with ApacheKafka() as broker:
        settings = fresh_settings(broker.bootstrap, tmp_path / "state")
        with WorkerProcess(settings, tmp_path / "worker.log") as worker:
            worker.wait_ready()
            send_clicks(broker.bootstrap, 0, settings.topics.partitions)
            broker.kill()
            problems = wait_unready(worker)
            assert "no answer from Kafka" in problems["brokers"]
            time.sleep(5)
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


def test_topic_ids_are_noted_once_and_held_to(tmp_path: Path) -> None:
    compare_topic_ids(tmp_path, {"a": "1"}, ["a"])
    compare_topic_ids(tmp_path, {"a": "1", "b": "2"}, ["a"])
    compare_topic_ids(tmp_path, {}, ["a"])
    with pytest.raises(StateError, match=r"a is not the topic .* to follow it"):
        compare_topic_ids(tmp_path, {"a": "3", "b": "2"}, ["a"])
    with pytest.raises(StateError, match=r"b is not the topic .* start anew: delete .* the changelog topics"):
        compare_topic_ids(tmp_path, {"a": "1", "b": "3"}, ["a"])


async def test_a_port_that_is_taken_names_the_setting() -> None:
    def nothing() -> dict[str, str]:
        return {}

    async def refresh() -> None:
        return

    registry = Metrics().registry
    async with serve("127.0.0.1", 0, registry, nothing, nothing, refresh) as port:
        with pytest.raises(ConfigurationError, match=rf"worker\.web_port: 127\.0\.0\.1:{port} cannot be served"):
            async with serve("127.0.0.1", port, registry, nothing, nothing, refresh):
                pass


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def silent() -> None:
    raise KafkaConnectionError


async def answering() -> None:
    return


async def test_silence_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    contact = BrokerProbe(Settings(), clock)
    with caplog.at_level(logging.INFO):
        for _ in range(20):
            clock.now += 1
            await contact.ask(silent)
        assert contact.problem == "no answer from Kafka at 127.0.0.1:9092 for 20 s"
        assert len(caplog.records) == 1
        await contact.ask(answering)
    assert contact.silent_s == 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def entry(name: str, text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, text, args, None)


def test_what_repeats_itself_is_counted_instead() -> None:
    clock = Clock()
    repeats = RepeatFilter(own=("streams",), after_s=10, clock=clock)
    assert repeats.filter(entry("aiokafka", "node %d is away", 1))
    assert not any(repeats.filter(entry("aiokafka", "node %d is away", n)) for n in range(5))
    assert repeats.filter(entry("aiokafka", "something else"))
    clock.now = 10
    again = entry("aiokafka", "node %d is away", 7)
    assert repeats.filter(again)
    assert again.getMessage() == "node 7 is away (5 more like it left out)"


def test_our_own_entries_are_never_left_out() -> None:
    repeats = RepeatFilter(own=("streams",))
    assert all(repeats.filter(entry("streams.worker.worker", "ready")) for _ in range(3))


class Retrying:
    """A client whose stop passes a cancellation on that nobody asked for."""

    async def stop(self) -> None:
        raise asyncio.CancelledError


async def test_stopping_a_client_that_was_retrying_is_no_cancellation() -> None:
    await stop_client(Retrying())


async def test_a_real_cancellation_while_stopping_goes_through() -> None:
    class Slow:
        async def stop(self) -> None:
            await asyncio.sleep(60)

    task = asyncio.create_task(stop_client(Slow()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
