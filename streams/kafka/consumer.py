"""Consumers outside the group, which read whole partitions."""

from __future__ import annotations

import time

from aiokafka import AIOKafkaConsumer
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from processors.common.errors import NearstreamError
from streams.kafka.admin import TopicMissing
from streams.kafka.clients import REQUEST_MS, client_arguments
from streams.settings.sections import Settings

_POLL_MS = 500
_READ_WITHIN_S = 60.0


def manual_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Return a consumer outside the group, to be assigned partitions by its caller.

    For topics that every worker reads for itself. Under ``exactly_once`` it reads committed records only.
    """
    exactly_once = settings.worker.processing_guarantee == "exactly_once"
    return AIOKafkaConsumer(
        **client_arguments(settings.kafka),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=settings.kafka.fetch_max_wait_ms,
        max_partition_fetch_bytes=4 * 2**20,
        isolation_level="read_committed" if exactly_once else "read_uncommitted",
        request_timeout_ms=REQUEST_MS,
    )


def read_all(consumer: KafkaConsumer, partitions: list[TopicPartition]) -> list[ConsumerRecord]:
    """Return everything that some partitions hold up to now, all of it in memory at once.

    Parameters
    ----------
    consumer
        Not subscribed to anything; whether it reads uncommitted records too is up to it.
    partitions
        What to read, at least one.

    Raises
    ------
    TopicMissing
        If a topic does not exist.
    NearstreamError
        If it has fewer partitions, or cannot be read within a minute.
    """
    _require(consumer, partitions)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    found: list[ConsumerRecord] = []
    deadline = time.monotonic() + _READ_WITHIN_S
    ends = _ends(consumer, partitions, deadline)
    while any(consumer.position(tp) < ends[tp] for tp in partitions):
        if time.monotonic() > deadline:
            raise NearstreamError(f"{partitions[0].topic} and others could not be read within {_READ_WITHIN_S:.0f} s")
        for records in consumer.poll(_POLL_MS).values():
            found.extend(records)
    return found


def _require(consumer: KafkaConsumer, partitions: list[TopicPartition]) -> None:
    """Make sure that some partitions exist: the client would wait for them, and then blame the brokers."""
    there: dict[str, set[int]] = {}
    for topic, number in partitions:
        if topic not in there:
            there[topic] = consumer.partitions_for_topic(topic)
        if not there[topic]:
            raise TopicMissing(topic)
        if number not in there[topic]:
            raise NearstreamError(
                f"topic {topic} has {len(there[topic])} partitions, and none with the number {number}: "
                "topics.partitions must be as when the topics were created; `nearstream doctor` names what differs"
            )


def _ends(consumer: KafkaConsumer, partitions: list[TopicPartition], deadline: float) -> dict[TopicPartition, int]:
    """Return where some partitions end.

    The client stumbles (KeyError) over partitions that it has not heard of yet, as those of a topic that was assigned
    just now, after others.
    """
    while True:
        try:
            ends: dict[TopicPartition, int] = consumer.end_offsets(partitions)
        except KeyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_MS / 1000.0)
        else:
            return ends
