"""aiokafka connects to a broker that is away again and again without a rest, from every client of a process.

A worker has a producer for each of its partitions. While their only broker was away for a minute, two workers tried to
connect 360 times a second; each took 0.12 of a core for it, with what is here 0.02. A client waits before it tries
again, for twice as long each time, as Kafka's own clients do (``reconnect.backoff.ms``, ``reconnect.backoff.max.ms``).

``tests/streams/kafka/upstream/test_reconnect_rest.py`` fails when aiokafka rests by itself.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from aiokafka.client import AIOKafkaClient, ConnectionGroup

LEAST_S, MOST_S = 0.05, 0.5
"""Seconds between two attempts to connect to a broker: after the first that failed, and at most."""

_connect = AIOKafkaClient._get_conn


class _Rest(NamedTuple):
    """When a broker may be connected to again."""

    until: float
    seconds: float


def install() -> None:
    """Have all clients of this process rest between two attempts."""
    AIOKafkaClient._get_conn = _connect_after_rest


async def _connect_after_rest(
    client: Any, node_id: Any, *, group: Any = ConnectionGroup.DEFAULT, **options: Any
) -> Any:
    """Return the connection to a broker, made if there is none; :obj:`None` if it cannot be made.

    Waits for the broker's rest to end, unless another broker that does not rest could be asked instead.
    """
    rests: dict[Any, _Rest] = client.__dict__.setdefault("reconnect_rests", {})
    time = asyncio.get_running_loop().time
    while not _connected(client, node_id, group) and node_id in rests and (rest_s := rests[node_id].until - time()) > 0:
        others = [broker.nodeId for broker in client.cluster.brokers()]
        if any(other not in rests or rests[other].until <= time() for other in others):
            return None
        await asyncio.sleep(rest_s)
    connection = await _connect(client, node_id, group=group, **options)
    if connection is not None:
        rests.pop(node_id, None)
    elif client.cluster.broker_metadata(node_id) is not None:
        seconds = min(2.0 * rests[node_id].seconds, MOST_S) if node_id in rests else LEAST_S
        rests[node_id] = _Rest(time() + seconds, seconds)
    return connection


def _connected(client: Any, node_id: Any, group: Any) -> bool:
    connection = client._conns.get((node_id, group))
    return connection is not None and connection.connected()
