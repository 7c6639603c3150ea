"""The network of the faults does what it is told, so that a fault that did not happen fails."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from streams.broker.process import free_port
from tests.chaos.network import Network


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that sends everything back."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    loop, port = asyncio.new_event_loop(), free_port()
    loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield port
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    for task in asyncio.all_tasks(loop):
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()


async def said(port: int, text: bytes, within_s: float = 5.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        return await asyncio.wait_for(reader.read(100), within_s)
    finally:
        writer.transport.abort()


def test_data_passes_both_ways(echo: int) -> None:
    with Network(free_port(), echo) as network:
        assert asyncio.run(said(network.port, b"hello")) == b"hello"


def test_nothing_passes_while_it_is_cut_and_everything_after(echo: int) -> None:
    async def during() -> bytes:
        network.cut()
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(b"late")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(100), 0.3)
        network.mend()
        answer = await asyncio.wait_for(reader.read(100), 5)
        writer.transport.abort()
        return answer

    with Network(free_port(), echo) as network:
        assert asyncio.run(during()) == b"late"


def test_a_slow_network_is_slow(echo: int) -> None:
    with Network(free_port(), echo) as network:
        network.delay_s = 0.1, 0.2
        begun = time.monotonic()
        assert asyncio.run(said(network.port, b"slow")) == b"slow"
        assert time.monotonic() - begun >= 0.2, "there and back"


def test_connections_are_reset(echo: int) -> None:
    with Network(free_port(), echo) as network:
        network.resets = 1.0
        with pytest.raises(ConnectionResetError):
            asyncio.run(said(network.port, b"x"))


def test_a_half_open_connection_says_nothing_and_new_ones_work(echo: int) -> None:
    async def during() -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(b"one")
        assert await reader.read(100) == b"one"
        left = network.leave_half_open()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(100), 0.3)
        assert await said(network.port, b"three") == b"three"
        writer.transport.abort()
        return left

    with Network(free_port(), echo) as network:
        assert asyncio.run(during()) == 1


def test_a_broker_that_is_gone_is_an_end(echo: int) -> None:
    with Network(free_port(), free_port()) as network:
        with pytest.raises((ConnectionResetError, AssertionError)):
            assert asyncio.run(said(network.port, b"x"))
        assert network.connections == 0
