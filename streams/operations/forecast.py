"""Forecasts of what campaigns could reach, from the decision log, the users' profiles and the read models."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from kafka import KafkaConsumer, TopicPartition

from processors.ads.campaign_view import CampaignView
from processors.ads.forecast import Forecast, Sample, forecast_of, forecasting
from processors.ads.messages import LoggedDecision
from processors.common.hashing import partition_of
from processors.common.topics import DECISION_LOG_TOPIC, changelog_topic
from processors.users.profile import Profile
from state.store import ChangelogRecord, MemoryStore
from streams.kafka.consumer import read_all
from streams.operations.present import read_topology
from streams.settings.sections import Settings


def read_forecasts(settings: Settings, consumer: KafkaConsumer, views: Mapping[str, CampaignView]) -> list[Forecast]:
    """Say what campaigns could reach, each as if it were added to those that ran.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.
    views
        The campaigns, by id.

    Raises
    ------
    NearstreamError
        If the topics cannot be read in time.
    """
    users = msgspec.structs.replace(settings.users, ads=forecasting(settings.users.ads))
    sample = _sample(settings, consumer)
    profiles = _profiles(settings, consumer, {logged.user_id for logged in sample.decisions if logged.user_id})
    server = read_topology(msgspec.structs.replace(settings, users=users), consumer).users.ads
    for cid in list(server.campaigns.known):
        server.campaigns.apply(cid, None)
    return [forecast_of(cid, view, sample, profiles, server) for cid, view in views.items()]


def _sample(settings: Settings, consumer: KafkaConsumer) -> Sample:
    """Read the decisions that the log still has, or those of some users."""
    sample, decode = Sample(), msgspec.json.Decoder(LoggedDecision).decode
    for partition in range(settings.topics.partitions):
        records = read_all(consumer, [TopicPartition(DECISION_LOG_TOPIC, partition)])
        sample.add(decode(record.value) for record in records if record.value)
    return sample


def _profiles(settings: Settings, consumer: KafkaConsumer, users: set[str]) -> dict[str, Profile]:
    """Read the profiles of some users, as far as they are known."""
    found = dict[str, Profile]()
    for partition in range(settings.topics.partitions):
        store: MemoryStore[Profile] = MemoryStore(Profile)
        records = read_all(consumer, [TopicPartition(changelog_topic("users"), partition)])
        store.restore([ChangelogRecord(record.key, record.value) for record in records], len(records))
        here = sorted(user for user in users if partition_of(user, settings.topics.partitions) == partition)
        found.update((user, profile) for user, profile in zip(here, store.read(here), strict=True) if profile)
    return found
