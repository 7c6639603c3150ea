"""Answers to "why is this item not shown to that user", from the topics of a running system."""

from __future__ import annotations

import time

from kafka import KafkaConsumer

from processors.ranking.why_not import WhyNot
from streams.operations.present import known_profile, read_topology
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
    topology = read_topology(settings, consumer)
    profile = known_profile(settings, consumer, user)
    return topology.users.why_not(profile, item, int(time.time() * 1000))
