"""What a worker that starts does about brokers that are away, and about brokers that refuse it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from streams.kafka.connection_check import Problem
from streams.kafka.errors import BrokerRefused, BrokerUnavailable
from streams.settings.sections import KafkaSettings
from streams.worker import broker_wait
from streams.worker.broker_wait import BrokerWait

AWAY = Problem("Connection refused", refused=False)


@pytest.fixture
def problems(monkeypatch: pytest.MonkeyPatch) -> list[Problem | None]:
    """What is found one time after the other, the last again and again."""
    found: list[Problem | None] = []

    async def look(_: KafkaSettings) -> Problem | None:
        return found.pop(0) if len(found) > 1 else found[0]

    monkeypatch.setattr(broker_wait, "connection_problem", look)
    monkeypatch.setattr(broker_wait, "_AGAIN_S", 0.01)
    return found


async def test_what_is_waited_for_is_logged_once_and_shown_until_it_is_there(
    problems: list[Problem | None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    wait, prepared = BrokerWait(KafkaSettings()), list[str | None]()
    problems += [AWAY, AWAY, AWAY, None]
    await wait.over(lambda: prepared.append(wait.waits_for))
    assert [message.partition(". ")[0] for message in caplog.messages] == [
        "Kafka at 127.0.0.1:9092 does not answer: Connection refused",
        "Kafka at 127.0.0.1:9092 answers, after 0 s",
    ]
    assert [str(said).startswith("Kafka at 127.0.0.1:9092 does not answer: ") for said in prepared] == [True]
    assert wait.waits_for is None


async def test_brokers_that_go_again_while_topics_are_made_are_waited_for(problems: list[Problem | None]) -> None:
    problems += [None]
    attempts = iter([BrokerUnavailable("gone"), None])

    def prepare() -> None:
        if (error := next(attempts)) is not None:
            raise error

    await BrokerWait(KafkaSettings()).over(prepare)
    assert next(attempts, "tried twice") == "tried twice"


async def test_who_refuses_is_not_waited_for(problems: list[Problem | None]) -> None:
    problems += [AWAY, Problem("authentication failed", refused=True)]
    with pytest.raises(BrokerRefused, match=r"^Kafka at 127\.0\.0\.1:9092: authentication failed$"):
        await BrokerWait(KafkaSettings()).over(lambda: None)


async def test_the_wait_has_an_end_if_it_is_set(
    problems: list[Problem | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    problems += [AWAY]
    moments = iter(range(0, 100, 2))
    monkeypatch.setattr(broker_wait, "monotonic", lambda: next(moments))
    with pytest.raises(BrokerUnavailable, match="Connection refused"):
        await BrokerWait(KafkaSettings(wait_s=5)).over(lambda: None)
    assert next(moments) == 8
    endless = asyncio.create_task(BrokerWait(KafkaSettings()).over(lambda: None))
    await asyncio.sleep(0.2)
    assert not endless.done()
    endless.cancel()
