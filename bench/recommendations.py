"""Reading recommendations as an app would: committed records only."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.cluster import log_ends
from bench.worker_process import BenchmarkFailed
from processors.common.topics import RECOMMENDATIONS_TOPIC
from processors.ranking.messages import CausedBy
from streams.kafka.clients import client_arguments
from streams.kafka.upstream.stopping import stop_client
from streams.settings.sections import Settings


class Answer(msgspec.Struct):
    """What the benchmarks need of a recommendation."""

    user_id: str
    placement: str
    caused_by: CausedBy


class Slates(msgspec.Struct):
    """What was counted on the recommendations topic.

    Parameters
    ----------
    messages
        Recommendations, all placements.
    users
        Number of distinct users they are for.
    placements
        How many messages each placement got.
    """

    messages: int
    users: int
    placements: dict[str, int]


def committed_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Make a consumer outside every group that sees committed records only."""
    return AIOKafkaConsumer(
        **client_arguments(settings.kafka),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 * 2**20,
    )


async def read_all(settings: Settings, topic: str) -> AsyncIterator[Any]:
    """Yield every committed record of a topic, up to its end as it is now; partition by partition in order."""
    ends = await log_ends(settings, [topic])
    consumer = committed_consumer(settings)
    left = {TopicPartition(*log): end for log, end in ends.items() if end > 0}
    consumer.assign(list(left) or [TopicPartition(topic, 0)])
    await consumer.start()
    try:
        while left:
            for records in (await consumer.getmany(timeout_ms=200, max_records=5000)).values():
                for record in records:
                    yield record
            for tp in list(left):
                if await consumer.position(tp) >= left[tp]:
                    del left[tp]
    finally:
        await stop_client(consumer)


async def count_slates(settings: Settings, users: int, events: int, topic: str = RECOMMENDATIONS_TOPIC) -> Slates:
    """Count what was recommended, with a consumer of its own.

    Parameters
    ----------
    users, events
        Number of users and of events that were fed. Every user must have got a slate for every placement, and no event
        more than one of each.

    Raises
    ------
    BenchmarkFailed
        If that is not so.
    """
    decode = msgspec.json.Decoder(Answer).decode
    placements: Counter[str] = Counter()
    served: set[tuple[str, str]] = set()
    async for record in read_all(settings, topic):
        if record.value is None:  # a user who has expired
            continue
        answer = decode(record.value)
        placements[answer.placement] += 1
        served.add((answer.user_id, answer.placement))
    for placement, messages in placements.items():
        got = sum(1 for _, name in served if name == placement)
        if got != users or not users <= messages <= events:
            raise BenchmarkFailed(
                f"{events} events of {users} users gave {messages} recommendations for {placement} to {got} users"
            )
    if not placements:
        raise BenchmarkFailed(f"{events} events gave no recommendation")
    return Slates(placements.total(), len({user for user, _ in served}), dict(placements))
