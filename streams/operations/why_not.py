"""Answers to "why is this item not shown to that user", from the topics of a running system."""

from __future__ import annotations

import time

from kafka import KafkaConsumer, TopicPartition

from processors.common.errors import NearstreamError
from processors.common.hashing import partition_of
from processors.common.topics import BROADCAST_TOPICS, changelog_topic
from processors.ranking.why_not import WhyNot
from processors.users.profile import Profile
from state.store import ChangelogRecord, MemoryStore
from streams.engine.topology import build_topology
from streams.kafka.consumer import read_all
from streams.settings.sections import Settings


def why_not(settings: Settings, consumer: KafkaConsumer, user: str, item: str) -> list[WhyNot]:
    """Say, per placement, which stage would keep an item out of a user's slates now.

    Reads the broadcast topics and the part of the changelog that the user is in: as much as a worker reads when it
    starts.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.
    user, item
        Ids of the user and of the item.

    Raises
    ------
    NearstreamError
        If no event of the user has been applied, or the topics cannot be read in time.
    """
    topology = build_topology(settings)
    partitions = range(settings.topics.partitions)
    for record in read_all(consumer, [TopicPartition(topic, p) for topic in BROADCAST_TOPICS for p in partitions]):
        if record.key is not None and not record.key.startswith(b"\x00"):
            topology.broadcast(record.topic, record.key, record.value)
    store: MemoryStore[Profile] = MemoryStore(Profile)
    home = TopicPartition(changelog_topic("users"), partition_of(user, settings.topics.partitions))
    records = read_all(consumer, [home])
    store.restore([ChangelogRecord(record.key, record.value) for record in records], len(records))
    (profile,) = store.read([user])
    if profile is None:
        raise NearstreamError(f"user {user!r} is not known: no event of theirs has been applied")
    return topology.users.why_not(profile, item, int(time.time() * 1000))
