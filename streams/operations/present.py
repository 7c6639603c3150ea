"""The present of a running system, read from its topics as a worker reads them when it starts."""

from __future__ import annotations

from collections.abc import Iterable

from kafka import KafkaConsumer, TopicPartition

from processors.common.errors import NearstreamError
from processors.common.hashing import partition_of
from processors.common.topics import BROADCAST_ITEMS_TOPIC, BROADCAST_TOPICS, changelog_topic
from processors.items.index import ItemIndex
from processors.users.profile import Profile
from state.store import ChangelogRecord, MemoryStore
from streams.engine.topology import Topology, build_topology
from streams.kafka.consumer import read_all
from streams.settings.sections import Settings


def read_topology(settings: Settings, consumer: KafkaConsumer) -> Topology:
    """Return the planes with their read models as they are published now.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.

    Raises
    ------
    NearstreamError
        If the topics cannot be read in time.
    """
    return _with_broadcasts(settings, consumer, BROADCAST_TOPICS)


def read_items(settings: Settings, consumer: KafkaConsumer) -> ItemIndex:
    """Return the read model of items as it is published now; empty before any worker has made its topic.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.

    Raises
    ------
    NearstreamError
        If the topic cannot be read in time.
    """
    is_there = BROADCAST_ITEMS_TOPIC in consumer.topics()
    return _with_broadcasts(settings, consumer, [BROADCAST_ITEMS_TOPIC] if is_there else []).index


def _with_broadcasts(settings: Settings, consumer: KafkaConsumer, topics: Iterable[str]) -> Topology:
    """Return the planes with what some topics of the read models have now."""
    topology, partitions = build_topology(settings), range(settings.topics.partitions)
    asked = [TopicPartition(topic, p) for topic in topics for p in partitions]
    for record in read_all(consumer, asked) if asked else ():
        if record.key is not None and not record.key.startswith(b"\x00"):
            topology.broadcast(record.topic, record.key, record.value)
    return topology


def read_profile(settings: Settings, consumer: KafkaConsumer, user: str) -> Profile | None:
    """Return a user's profile; :obj:`None` if no event of the user has been applied.

    Reads the part of the changelog that the user is in.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.

    Raises
    ------
    NearstreamError
        If the topic cannot be read in time.
    """
    store: MemoryStore[Profile] = MemoryStore(Profile)
    home = TopicPartition(changelog_topic("users"), partition_of(user, settings.topics.partitions))
    records = read_all(consumer, [home])
    store.restore([ChangelogRecord(record.key, record.value) for record in records], len(records))
    (profile,) = store.read([user])
    return profile


def known_profile(settings: Settings, consumer: KafkaConsumer, user: str) -> Profile:
    """Return a user's profile; parameters and cost as of :func:`read_profile`.

    Raises
    ------
    NearstreamError
        If no event of the user has been applied, or the topic cannot be read in time.
    """
    profile = read_profile(settings, consumer, user)
    if profile is None:
        raise NearstreamError(
            f"user {user!r} is not known: no event of theirs has been applied; `nearstream doctor` tells whether a "
            "worker runs, `nearstream tail dead-letters.v1 --from-beginning` what was refused"
        )
    return profile
