"""The production wiring: which planes there are, and which topics they need."""

from dataclasses import dataclass
from typing import Any

from processors.ads.campaign_view import decode_campaign_view
from processors.common.time import DAY_MS, HOUR_MS
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    BROADCAST_CAMPAIGNS_TOPIC,
    BROADCAST_MODELS_TOPIC,
    BROADCAST_RULES_TOPIC,
    BROADCAST_TOPICS,
    CAMPAIGN_SIGNALS_TOPIC,
    CAMPAIGNS_TOPIC,
    CATALOG_TOPIC,
    DEAD_LETTERS_TOPIC,
    DECISION_LOG_TOPIC,
    FORWARDED_TOPIC,
    RECOMMENDATIONS_TOPIC,
    RULES_TOPIC,
    SIGNALS_TOPIC,
    TRAINING_TOPIC,
    changelog_topic,
)
from processors.events.event import EVENT_TOPICS
from processors.items.index import ItemIndex
from processors.items.view import decode_view
from processors.models.click_model import decode_clicks
from processors.models.context_popularity import CONTEXTS, decode_contexts
from processors.models.interest_groups import GROUPS, decode_groups
from processors.models.serving_weights import decode_model
from processors.planes.base import Plane
from processors.planes.campaigns import CampaignsPlane
from processors.planes.items import ItemsPlane
from processors.planes.models import CLICKS, EXPOSURE, PURCHASES, ModelsPlane
from processors.planes.users import UsersPlane
from processors.ranking.rule_index import decode_exposure, decode_rule
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
        TopicSpec(FORWARDED_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(RULES_TOPIC, compacted=True),
        TopicSpec(CAMPAIGNS_TOPIC, compacted=True),
        TopicSpec(RECOMMENDATIONS_TOPIC, compacted=True),
        TopicSpec(AD_DECISIONS_TOPIC, retention_ms=retention),
        TopicSpec(DECISION_LOG_TOPIC, retention_ms=retention, max_message_bytes=largest),
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
    users, items, campaigns, models
        The planes.
    """

    index: ItemIndex
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

        Whoever runs the topology does so between two steps of its planes.
        """
        if topic == BROADCAST_MODELS_TOPIC and key == GROUPS.encode():
            self.users.read.groups.apply(decode_groups(value))
        elif topic == BROADCAST_MODELS_TOPIC and key == CONTEXTS.encode():
            self.users.read.contexts.apply(decode_contexts(value))
        elif topic == BROADCAST_MODELS_TOPIC and key == EXPOSURE.encode():
            self.users.read.rules.exposure = decode_exposure(value)
        elif topic == BROADCAST_MODELS_TOPIC and key == CLICKS.encode():
            self.users.ads.clicks.apply(decode_clicks(value))
        elif topic == BROADCAST_MODELS_TOPIC and key == PURCHASES.encode():
            self.users.ads.purchases.apply(decode_clicks(value))
        elif topic == BROADCAST_MODELS_TOPIC:
            self.users.read.weights.apply(key.decode(), decode_model(value))
        elif topic == BROADCAST_CAMPAIGNS_TOPIC:
            self.users.ads.campaigns.apply(key.decode(), decode_campaign_view(value))
        elif topic == BROADCAST_RULES_TOPIC:
            self.users.read.rules.apply(key.decode(), decode_rule(value))
        else:
            self.index.apply(key.decode(), decode_view(value))


def build_topology(settings: Settings) -> Topology:
    """Planes wired for production."""
    items = settings.items
    index = ItemIndex(items.published_neighbours, settings.read_model.max_items, embedding_size=items.embedding_size)
    largest = settings.topics.max_message_bytes
    partitions = settings.topics.partitions
    users = UsersPlane(settings.users, index, partitions, largest)
    campaigns = CampaignsPlane(settings.users.ads.currency, partitions, largest)
    return Topology(
        index, users, ItemsPlane(items, partitions, largest), campaigns, ModelsPlane(settings.models, largest)
    )
