"""How often clients try to connect to brokers that are away."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import client as client_module
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import BrokerMetadata

import streams.kafka.clients  # noqa: F401  # it installs the rest
from streams.kafka.upstream import reconnect_rest

AWAY_S = 1.0


class Brokers:
    """Stands for what connects: some hosts are away, and every attempt is noted."""

    def __init__(self, away: set[str]) -> None:
        self.away, self.attempts = away, list[str]()

    async def connect(self, host: str, _port: int, **_: Any) -> Any:
        self.attempts.append(host)
        if host in self.away:
            raise KafkaConnectionError("away")
        return SimpleNamespace(connected=lambda: True)


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Brokers:
    brokers = Brokers(away={"a"})
    monkeypatch.setattr(client_module, "create_conn", brokers.connect)
    return brokers


@pytest.fixture
def long_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rests outlast the test, however slow it is."""
    monkeypatch.setattr(reconnect_rest, "LEAST_S", 300.0)


async def client_of(*hosts: str) -> Any:
    client: Any = AIOKafkaClient(bootstrap_servers="127.0.0.1:1")
    client.cluster._brokers = {n: BrokerMetadata(n, host, 9092, None) for n, host in enumerate(hosts)}
    return client


async def ask_for(client: Any, seconds: float) -> None:
    """Ask for a connection again and again, as aiokafka's producers do."""
    async with asyncio.timeout(seconds):
        ready = False
        while not ready:
            ready = await client.ready(0)
            await asyncio.sleep(0)


async def test_the_only_broker_is_not_asked_without_a_rest(brokers: Brokers) -> None:
    client = await client_of("a")
    with pytest.raises(TimeoutError):
        await ask_for(client, AWAY_S)
    # After 0, 0.05, 0.15, 0.35 and 0.75 s; on a busy machine fewer.
    assert 2 <= len(brokers.attempts) <= 6


async def test_a_broker_that_is_back_is_connected_to_at_once_after_its_rest(brokers: Brokers) -> None:
    client = await client_of("a")
    with pytest.raises(TimeoutError):
        await ask_for(client, AWAY_S)
    brokers.away.clear()
    failed = len(brokers.attempts)
    await ask_for(client, 30 * reconnect_rest.MOST_S)
    assert len(brokers.attempts) == failed + 1
    assert await client.ready(0)
    assert len(brokers.attempts) == failed + 1


async def test_it_rests_shortly_again_after_it_was_connected(brokers: Brokers) -> None:
    client = await client_of("a")
    with pytest.raises(TimeoutError):
        await ask_for(client, AWAY_S)
    brokers.away.clear()
    await ask_for(client, 30 * reconnect_rest.MOST_S)
    brokers.away.add("a")
    client._conns.clear()
    assert not await client.ready(0)
    assert client.reconnect_rests[0].seconds == reconnect_rest.LEAST_S


async def test_one_of_several_brokers_keeps_nobody_waiting(brokers: Brokers, long_rests: None) -> None:
    client = await client_of("a", "b")
    for _ in range(50):
        assert not await client.ready(0)
        assert await client.ready(1)
    assert brokers.attempts == ["a", "b"]


async def test_a_connection_that_there_is_does_not_wait_for_another_to_the_same_broker(
    brokers: Brokers, long_rests: None
) -> None:
    client = await client_of("b")
    assert await client.ready(0)
    brokers.away.add("b")
    assert not await client.ready(0, group=ConnectionGroup.COORDINATION)
    async with asyncio.timeout(30.0):
        assert await client.ready(0)


async def test_a_broker_that_nobody_has_heard_of_gets_no_rest(brokers: Brokers) -> None:
    client = await client_of("b")
    assert not await client.ready(7)
    assert client.reconnect_rests == {}
    assert brokers.attempts == []


async def test_aiokafka_does_not_rest_by_itself(brokers: Brokers) -> None:
    client = await client_of("a")
    for _ in range(100):
        assert await reconnect_rest._connect(client, 0) is None
    assert len(brokers.attempts) == 100
