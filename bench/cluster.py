"""Brokers to measure on, and the settings of a worker that is measured."""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from processors.common.errors import NearstreamError
from streams.broker import KAFKA_VERSION, ApacheKafka
from streams.broker.process import free_port
from streams.engine.topology import topic_specs
from streams.kafka.clients import client_arguments
from streams.kafka.topics import ensure_topics
from streams.kafka.upstream.stopping import stop_client
from streams.settings.loading import load_settings
from streams.settings.sections import Settings


@dataclass(frozen=True)
class Cluster:
    """Brokers, and a directory for the state of what is measured on them.

    Parameters
    ----------
    brokers
        Addresses of the brokers.
    label
        What the brokers are, for the result.
    directory
        Directory for logs and state, removed when the benchmark ends.
    """

    brokers: str
    label: str
    directory: Path

    def environment(self, overrides: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Return the environment of a worker: this process's, with the brokers, a new group and a new state directory.

        Settings of the environment (``NEARSTREAM_WORKER__BATCH_MAX_RECORDS=200``) and of the file that
        ``NEARSTREAM_SETTINGS`` names hold for what is measured as well.
        """
        own = {
            "NEARSTREAM_KAFKA__BROKERS": self.brokers,
            "NEARSTREAM_KAFKA__GROUP": f"bench-{uuid.uuid4().hex[:8]}",
            "NEARSTREAM_WORKER__STATE_DIR": tempfile.mkdtemp(prefix="state-", dir=self.directory),
            # What is fed has event times of its own, and asks for ads all the same.
            "NEARSTREAM_USERS__ADS__LATE_MS": str(10**13),
            "NEARSTREAM_WORKER__WEB_HOST": "127.0.0.1",
            "NEARSTREAM_WORKER__WEB_PORT": str(free_port()),
        }
        return {**os.environ, **own, **{name: str(value) for name, value in (overrides or {}).items()}}


@contextmanager
def use_cluster(brokers: str | None) -> Iterator[Cluster]:
    """Use the brokers named, or start an Apache Kafka on loopback that always ends with the context."""
    with tempfile.TemporaryDirectory(prefix="nearstream-bench-") as directory:
        if brokers is not None:
            yield Cluster(brokers, brokers, Path(directory))
            return
        with ApacheKafka(log_dir=Path(directory) / "kafka") as kafka:
            yield Cluster(kafka.bootstrap, f"Apache Kafka {KAFKA_VERSION}", Path(directory))


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Return the settings as the worker with this environment sees them."""
    return load_settings(environment=environment)


async def create_topics(settings: Settings) -> None:
    """Create the topics, and make sure that nothing is in them: a benchmark counts from zero.

    Raises
    ------
    NearstreamError
        If the brokers hold events already.
    """
    await asyncio.to_thread(ensure_topics, settings)
    ends = await log_ends(settings, [spec.name for spec in topic_specs(settings)])
    filled = sorted({topic for (topic, _), end in ends.items() if end > 0})
    if filled:
        raise NearstreamError(
            f"{settings.kafka.brokers} holds records already ({', '.join(filled)}): a benchmark needs brokers without; "
            "leave --brokers out to have an Apache Kafka of its own started"
        )


async def log_ends(settings: Settings, topics: list[str]) -> dict[tuple[str, int], int]:
    """Return the offset after the last record of each partition of the topics."""
    consumer = AIOKafkaConsumer(**client_arguments(settings.kafka), group_id=None)
    await consumer.start()
    try:
        logs = [TopicPartition(topic, p) for topic in topics for p in range(settings.topics.partitions)]
        return {(tp.topic, tp.partition): end for tp, end in (await consumer.end_offsets(logs)).items()}
    finally:
        await stop_client(consumer)
