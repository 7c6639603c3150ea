"""In which order a micro-batch is published, and what becomes of errors."""

import asyncio
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    ProducerFenced,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)

from processors.common.errors import FencedError, StuckTransactionError
from processors.planes.base import Output
from streams.kafka.publisher import Appended, Publisher
from streams.settings.sections import Settings, WorkerSettings


class SlowPublisher(Publisher):
    """Notes when each log is begun and acknowledged, the first one late."""

    def __init__(self) -> None:
        super().__init__(Settings(worker=WorkerSettings(processing_guarantee="at_least_once")), "users-0")
        self.seen: list[str] = []

    async def _send_log(self, topic: str, partition: int, outputs: list[Output]) -> Appended:
        self.seen.append(f"{topic} sent")
        await asyncio.sleep(0.05 if topic == "slow" else 0)
        self.seen.append(f"{topic} acknowledged")
        return Appended(len(outputs), None)


async def test_without_transactions_the_last_log_waits_for_all_others() -> None:
    """A worker that dies in between does the batch again; the other way round its outputs would be lost."""
    publisher = SlowPublisher()
    outputs = [Output(topic, 0, None, b"") for topic in ("slow", "fast", "changelog", "changelog")]
    appended = await publisher.publish(outputs)
    await publisher.stop()
    assert publisher.seen[-2:] == ["changelog sent", "changelog acknowledged"]
    assert {topic: end for (topic, _), (end, _) in appended.items()} == {"slow": 1, "fast": 1, "changelog": 2}


async def test_a_producer_that_does_not_stop_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = SlowPublisher()
    closed: list[str] = []

    async def never() -> None:
        await asyncio.Event().wait()

    async def close() -> None:
        closed.append("client")

    monkeypatch.setattr("streams.kafka.publisher._STOP_S", 0.05)
    stop, publisher._producer.stop = publisher._producer.stop, never
    with monkeypatch.context() as patch:
        patch.setattr(publisher._producer.client, "close", close)
        await publisher.stop()
    assert closed == ["client"]
    assert "users-0: the producer did not stop" in caplog.text
    await stop()


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (KafkaTimeoutError(), StuckTransactionError),
        (RequestTimedOutError(), StuckTransactionError),
        (ProducerFenced(), FencedError),
        (TopicAuthorizationFailedError(), TopicAuthorizationFailedError),
    ],
)
async def test_what_the_client_gave_up_may_be_tried_again_and_what_was_refused_may_not(
    guarantee: Any, error: KafkaError, raised: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Publisher(Settings(worker=WorkerSettings(processing_guarantee=guarantee)), "users-0")

    async def fail(*_: object) -> None:
        raise error

    async def begin() -> None: ...

    monkeypatch.setattr(publisher._producer, "begin_transaction", begin)
    monkeypatch.setattr(publisher, "_send_log", fail)
    with pytest.raises(raised):
        await publisher.publish([Output("changelog", 0, None, b"")])
    await publisher.stop()


async def test_a_publisher_waits_for_brokers_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    publisher, tries = Publisher(Settings(), "users-0"), 0

    async def start() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise KafkaConnectionError("nobody there")

    monkeypatch.setattr("streams.kafka.clients._AGAIN_S", 0.0)
    monkeypatch.setattr(publisher._producer, "start", start)
    await publisher.start()
    assert tries == 3
    await publisher.stop()
