"""Bring a partition store up to its changelog."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.common.errors import StateError
from processors.common.topics import changelog_topic
from processors.planes.base import Output, Plane
from state.store import MARKER_KEY, ChangelogRecord, PartitionStore
from streams.kafka.clients import start_client
from streams.kafka.consumer import manual_consumer
from streams.kafka.publisher import Publisher
from streams.kafka.upstream.stopping import stop_client
from streams.kafka.upstream.swallowed_cancellations import raise_if_cancelled
from streams.settings.sections import Settings

State = TypeVar("State", bound=msgspec.Struct)

logger = logging.getLogger(__name__)

_CHUNK_RECORDS = 10_000


async def restore(
    settings: Settings,
    plane: Plane[State],
    partition: int,
    store: PartitionStore[State],
    publisher: Publisher,
    progress: Callable[[], None] = lambda: None,
) -> int:
    """Read the changelog of a plane's partition into the store, up to a marker that is appended now.

    Parameters
    ----------
    publisher
        Must have been started: that aborts what its predecessor had in flight, so that nothing that counts can be
        appended behind the marker.
    progress
        Called whenever a part has been read.

    Returns
    -------
    int
        Changelog records read.

    Raises
    ------
    StateError
        If the store knows of more than the changelog holds: the topic was deleted or cut.
    """
    topic = changelog_topic(plane.name)
    appended = await publisher.publish([Output(topic, partition, MARKER_KEY, publisher.name.encode())])
    tp, end = TopicPartition(topic, partition), appended[topic, partition].end
    consumer = manual_consumer(settings)
    consumer.assign([tp])
    await start_client(consumer)
    try:
        begin = _check_begin(store.changelog_offset(), tp, end, settings.worker.state_dir)
        consumer.seek(tp, max(begin, (await consumer.beginning_offsets([tp]))[tp]))
        return await _read_until(consumer, tp, end, store, progress)
    finally:
        await stop_client(consumer)


def _check_begin(begin: int, tp: TopicPartition, end: int, state_dir: str) -> int:
    """Return the offset at which to begin, or raise if the changelog does not reach beyond it."""
    # The marker alone makes a changelog longer than any store that was made from it.
    if begin >= end:
        raise StateError(
            f"{tp.topic}[{tp.partition}] ends at {end}, but the local store has read it up to {begin}: the topic was "
            f"recreated; delete {state_dir} to follow it, or restore the topic"
        )
    return begin


async def _read_until(
    consumer: AIOKafkaConsumer,
    tp: TopicPartition,
    end: int,
    store: PartitionStore[Any],
    progress: Callable[[], None],
) -> int:
    read, logged_at = 0, monotonic()
    while (position := await consumer.position(tp)) < end:
        found = await consumer.getmany(tp, timeout_ms=1000, max_records=_CHUNK_RECORDS)
        raise_if_cancelled()
        records = found.get(tp, [])
        if records:
            await asyncio.to_thread(
                store.restore,
                [ChangelogRecord(record.key, record.value) for record in records],
                records[-1].offset + 1,
            )
            read += len(records)
            progress()
        if monotonic() - logged_at > 5.0:
            logged_at = monotonic()
            logger.info("restoring %s[%s]: %d records, at offset %d of %d", *tp, read, position, end)
    return read
