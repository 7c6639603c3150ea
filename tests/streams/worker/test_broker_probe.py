"""What a worker knows of brokers that do not answer."""

import asyncio
import logging
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError

from processors.common.errors import ConfigurationError
from streams.settings.sections import Settings
from streams.worker.broker_probe import BrokerProbe
from tests.streams.worker.fakes import Clock, until


async def silent() -> None:
    raise KafkaConnectionError


async def answering() -> None:
    return


async def test_silence_is_logged_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    probe = BrokerProbe(Settings(), clock)
    probe.begin()
    with caplog.at_level(logging.INFO):
        for _ in range(20):
            clock.now += 1
            await probe.ask(silent)
        assert probe.problem == "no answer from Kafka at 127.0.0.1:9092 for 20 s"
        assert len(caplog.records) == 1
        await probe.ask(answering)
    assert probe.silent_s == 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


class Client:
    """A client whose connecting works and whose questions are answered or not."""

    made, stopped = 0, 0
    answers = True

    def __init__(self, _: Settings) -> None:
        Client.made += 1

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        Client.stopped += 1

    async def end_offsets(self, _: object) -> None:
        if not Client.answers:
            await asyncio.Event().wait()


async def test_connecting_is_no_answer_and_each_silence_gets_a_new_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.worker.broker_probe.manual_consumer", Client)
    for name, seconds in {"_EVERY_S": 0.01, "_ANSWER_WITHIN_S": 0.1, "_CONNECTED_WITHIN_S": 0.1}.items():
        monkeypatch.setattr(f"streams.worker.broker_probe.{name}", seconds)
    monkeypatch.setattr("streams.worker.broker_probe.SILENT_AFTER_S", 0.5)
    probe = BrokerProbe(Settings())
    Client.made, Client.stopped, Client.answers = 0, 0, False
    task = asyncio.create_task(probe.run())
    try:
        await until(lambda: probe.silent_s > 0.5, 20)
        assert Client.made > 1, "it adds up though every client connects"
        Client.answers = True
        await until(lambda: probe.silent_s == 0.0, 20)
        made = Client.made
        await asyncio.sleep(0.1)
        assert Client.made == made, "one that answers stays"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert Client.stopped == Client.made


async def test_a_cancellation_that_comes_together_with_an_answer_is_not_forgotten() -> None:
    answer = asyncio.get_running_loop().create_future()

    async def ask() -> None:
        for _ in range(100):
            await BrokerProbe(Settings()).ask(lambda: answer)

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)
    answer.set_result(None)
    task.cancel()
    await asyncio.wait((task,), timeout=5)
    assert task.cancelled()


async def test_a_token_that_is_being_replaced_does_not_end_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(_: Settings) -> Client:
        raise ConfigurationError("kafka.sasl_oauth_token_file: not there")

    monkeypatch.setattr("streams.worker.broker_probe.manual_consumer", missing)
    monkeypatch.setattr("streams.worker.broker_probe._EVERY_S", 0.01)
    task = asyncio.create_task(BrokerProbe(Settings()).run())
    await asyncio.wait((task,), timeout=0.2)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
