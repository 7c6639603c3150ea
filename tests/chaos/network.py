"""A network between a worker and its broker that can be cut, slowed and broken: a proxy on loopback."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from streams.broker import ApacheKafka
from streams.broker.process import free_port

_CHUNK = 65_536


class Network:
    """Passes connections to a port on to another, and disturbs them as it is told.

    Parameters
    ----------
    port
        Where it listens.
    target
        Where the broker listens.
    seed
        What chance is drawn from.

    Attributes
    ----------
    delay_s
        How long every piece of data takes, at least and at most.
    resets
        Share of the pieces of data at which the connection is reset instead.
    """

    def __init__(self, port: int, target: int, seed: int = 0) -> None:
        self.port, self._target = port, target
        self.delay_s, self.resets = (0.0, 0.0), 0.0
        self._passes = asyncio.Event()
        self._passes.set()
        self._chance = random.Random(seed)
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._half_open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Network:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Let nothing pass any more. Connections stay open, and new ones are taken, as if packets were lost."""
        self._loop.call_soon_threadsafe(self._passes.clear)

    def mend(self) -> None:
        """Let everything pass again, what waits first."""
        self._loop.call_soon_threadsafe(self._passes.set)

    def leave_half_open(self) -> int:
        """Close the broker's side of all connections without telling the worker's side; return how many there were."""
        left: int = self._call(self._leave_half_open())
        return left

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _close(self) -> None:
        self._server.close()
        self._passes.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _leave_half_open(self) -> int:
        for to_worker, to_broker in self._pairs:
            self._half_open.add(to_worker)
            to_broker.transport.abort()
        return len(self._pairs)

    async def _accept(self, from_worker: asyncio.StreamReader, to_worker: asyncio.StreamWriter) -> None:
        await self._passes.wait()
        try:
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            to_worker.transport.abort()
            return
        pair = to_worker, to_broker
        self._pairs.add(pair)
        there = asyncio.create_task(self._pump(from_worker, to_broker, to_worker))
        back = asyncio.create_task(self._pump(from_broker, to_worker, to_worker))
        self._tasks.update((there, back))
        with suppress(asyncio.CancelledError):
            await asyncio.wait((there, back), return_when=asyncio.FIRST_COMPLETED)
            if to_worker in self._half_open:
                # The worker is not told, and what it sends is lost, until it gives up itself.
                await asyncio.wait((there,))
        for task in (there, back):
            task.cancel()
        self._tasks.difference_update((there, back))
        self._pairs.discard(pair)
        self._half_open.discard(to_worker)
        for writer in pair:
            writer.transport.abort()

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, to_worker: asyncio.StreamWriter
    ) -> None:
        """Pass data on in one direction, piece by piece, in order."""
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                await self._passes.wait()
                if self.delay_s[1]:
                    await asyncio.sleep(self._chance.uniform(*self.delay_s))
                if self._chance.random() < self.resets:
                    _reset(to_worker)
                    return
                if to_worker not in self._half_open:
                    target.write(data)
                    await target.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a machine does that has lost it: with RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def kafka_behind(networks: int, seed: int) -> tuple[ApacheKafka, list[Network]]:
    """Make a broker with a listener of its own behind each of some networks; neither is started."""
    broker = ApacheKafka()
    made = [Network(free_port(), free_port(), seed + number) for number in range(networks)]
    plain, controller = broker._properties["listeners"].split(",")
    hidden = [f"W{number}://127.0.0.1:{network._target}" for number, network in enumerate(made)]
    told = [f"W{number}://127.0.0.1:{network.port}" for number, network in enumerate(made)]
    broker._properties |= {
        # The verifier follows every micro-batch of the changelogs: in a long run compaction would take some away.
        "log.cleaner.enable": "false",
        "listeners": ",".join([plain, *hidden, controller]),
        "advertised.listeners": ",".join([plain, *told]),
        "listener.security.protocol.map": ",".join(
            ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT", *(f"W{number}:PLAINTEXT" for number in range(networks))]
        ),
    }
    return broker, made
