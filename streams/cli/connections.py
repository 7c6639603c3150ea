"""Producer and consumer of the command line's tools, on kafka-python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from kafka import KafkaConsumer, KafkaProducer

from streams.kafka.admin import TopicMissing, partition_counts, plain_errors, tool_arguments
from streams.settings.sections import Settings

_LONGEST_WAIT_MS = 30_000


@contextmanager
def producing(settings: Settings, **options: Any) -> Iterator[KafkaProducer]:
    """Open an idempotent producer that waits for all replicas, and close it in the end.

    Parameters
    ----------
    options
        Further options of kafka-python's producer, such as ``transactional_id``.

    Raises
    ------
    BrokerUnavailable
        For every error of the brokers or on the way to them.
    """
    arguments = {
        **tool_arguments(settings.kafka),
        "acks": "all",
        "allow_auto_create_topics": False,
        "max_request_size": settings.topics.max_message_bytes,
        "request_timeout_ms": _LONGEST_WAIT_MS // 2,
        "delivery_timeout_ms": _LONGEST_WAIT_MS,
        **options,
    }
    with plain_errors(settings.kafka), closing(KafkaProducer(**arguments)) as producer:
        yield producer


@contextmanager
def consuming(settings: Settings) -> Iterator[KafkaConsumer]:
    """Open a consumer of committed records that belongs to no group and commits nothing, and close it in the end.

    Raises
    ------
    TopicMissing
        If what is read inside the context does not exist.
    BrokerUnavailable
        For every error of the brokers or on the way to them.
    """
    arguments = {
        **tool_arguments(settings.kafka),
        "group_id": None,
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
    }
    with plain_errors(settings.kafka), closing(KafkaConsumer(**arguments)) as consumer:
        try:
            yield consumer
        except TopicMissing as missing:
            # Lists of all topics leave out those that the user may not see; asked for by name, the brokers say so.
            partition_counts(settings.kafka, [missing.topic])
            raise
