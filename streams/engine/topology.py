"""The production wiring: which planes there are, and which topics they need."""

from dataclasses import dataclass
from typing import Any

from processors.common.time import DAY_MS, HOUR_MS
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    AUDIENCES_TOPIC,
    BROADCAST_TOPICS,
    CAMPAIGN_SIGNALS_TOPIC,
    CAMPAIGNS_TOPIC,
    CATALOG_TOPIC,
    DEAD_LETTERS_TOPIC,
    DECISION_LOG_TOPIC,
    FORWARDED_TOPIC,
    RECOMMENDATIONS_TOPIC,
    REPORTS_TOPIC,
    RULES_TOPIC,
    SIGNALS_TOPIC,
    TRAINING_TOPIC,
    changelog_topic,
)
from processors.events.event import EVENT_TOPICS
from processors.items.index import ItemIndex
from processors.planes.base import Plane
from processors.planes.campaigns import CampaignsPlane
from processors.planes.items import ItemsPlane
from processors.planes.models import ModelsPlane
from processors.planes.read_models import ReadModelTable, read_models
from processors.planes.users import UsersPlane
from streams.settings.sections import Settings


@dataclass(frozen=True)
class TopicSpec:
    """How a topic is to be created; ``None`` leaves a figure to the broker."""

    name: str
    compacted: bool = False
    retention_ms: int | None = None
    max_message_bytes: int | None = None

    def config(self) -> dict[str, str]:
        """Topic configuration as Kafka names it.

        Examples
        --------
        >>> TopicSpec("t", compacted=True).config()["cleanup.policy"]
        'compact'
        """
        config = {
            "cleanup.policy": "compact" if self.compacted else "delete",
            # The append time is the time that events are judged by and latency is measured from.
            "message.timestamp.type": "LogAppendTime",
        }
        if self.compacted:
            # A store that was away must still find the deletions it missed.
            config["delete.retention.ms"] = str(30 * DAY_MS)
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        if self.max_message_bytes is not None:
            config["max.message.bytes"] = str(self.max_message_bytes)
        return config


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Every topic Nearstream reads or writes."""
    retention = settings.topics.retention_hours * HOUR_MS
    largest = settings.topics.max_message_bytes
    return [
        *(TopicSpec(name, retention_ms=retention) for name in EVENT_TOPICS),
        TopicSpec(CATALOG_TOPIC, compacted=True),
        TopicSpec(AUDIENCES_TOPIC, compacted=True),
        TopicSpec(FORWARDED_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(RULES_TOPIC, compacted=True),
        TopicSpec(CAMPAIGNS_TOPIC, compacted=True),
        TopicSpec(RECOMMENDATIONS_TOPIC, compacted=True),
        TopicSpec(AD_DECISIONS_TOPIC, retention_ms=retention),
        TopicSpec(DECISION_LOG_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(REPORTS_TOPIC, compacted=True),
        TopicSpec(CAMPAIGN_SIGNALS_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(DEAD_LETTERS_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(SIGNALS_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(TRAINING_TOPIC, retention_ms=retention, max_message_bytes=largest),
        *(TopicSpec(topic, compacted=True, max_message_bytes=largest) for topic in BROADCAST_TOPICS),
        *(
            TopicSpec(changelog_topic(plane), compacted=True, max_message_bytes=largest)
            for plane in ("users", "items", "campaigns", "models")
        ),
    ]


@dataclass(frozen=True)
class Topology:
    """The planes of one process around its read models.

    Parameters
    ----------
    index
        Read model of items.
    read_models
        Finds the read model that a broadcast record is for.
    users, items, campaigns, models
        The planes.
    """

    index: ItemIndex
    read_models: ReadModelTable
    users: UsersPlane
    items: ItemsPlane
    campaigns: CampaignsPlane
    models: ModelsPlane

    @property
    def planes(self) -> tuple[Plane[Any], ...]:
        """All planes, in the order in which a record flows through them."""
        return self.users, self.items, self.campaigns, self.models

    def broadcast(self, topic: str, key: bytes, value: bytes | None) -> None:
        """Hand a record of a broadcast topic to the read model it is for.

        Whoever runs the topology does so between two steps of its planes
        (:meth:`processors.planes.read_models.ReadModelTable.apply`).
        """
        self.read_models.apply(topic, key, value)


def build_topology(settings: Settings) -> Topology:
    """Planes wired for production."""
    items = settings.items
    index = ItemIndex(items.published_neighbours, settings.read_model.max_items, embedding_size=items.embedding_size)
    largest = settings.topics.max_message_bytes
    partitions = settings.topics.partitions
    money = settings.money
    users = UsersPlane(settings.users, index, partitions, largest, money)
    return Topology(
        index=index,
        read_models=ReadModelTable(read_models(users.read, users.ads)),
        users=users,
        items=ItemsPlane(items, partitions, largest, money),
        campaigns=CampaignsPlane(money.currency, partitions, largest),
        models=ModelsPlane(settings.models, largest),
    )
