"""What a worker knows of brokers that do not answer."""

import logging

import pytest
from aiokafka.errors import KafkaConnectionError

from streams.settings.sections import Settings
from streams.worker.broker_probe import BrokerProbe
from tests.streams.worker.fakes import Clock


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
