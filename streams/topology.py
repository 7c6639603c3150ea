"""The production wiring: which planes there are, and which topics they need."""

from dataclasses import dataclass
from typing import Any

from processors.dead_letters import DEAD_LETTERS_TOPIC
from processors.events import EVENT_TOPICS, FORWARDED_TOPIC
from processors.item_index import ItemIndex
from processors.items_plane import BROADCAST_TOPIC, ItemsPlane
from processors.plane import Plane
from processors.signals import SIGNALS_TOPIC
from processors.users_plane import RECOMMENDATIONS_TOPIC, UsersPlane
from streams.settings import Settings

DAY_MS = 86_400_000


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


def changelog_topic(plane: str) -> str:
    """Changelog topic of a plane."""
    return f"internal.changelog.{plane}"


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Every topic Nearstream reads or writes."""
    retention = settings.topics.retention_hours * 3_600_000
    largest = settings.topics.max_message_bytes
    return [
        *(TopicSpec(name, retention_ms=retention) for name in EVENT_TOPICS),
        TopicSpec(FORWARDED_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(RECOMMENDATIONS_TOPIC, compacted=True),
        TopicSpec(DEAD_LETTERS_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(SIGNALS_TOPIC, retention_ms=retention, max_message_bytes=largest),
        TopicSpec(BROADCAST_TOPIC, compacted=True),
        TopicSpec(changelog_topic("users"), compacted=True),
        TopicSpec(changelog_topic("items"), compacted=True),
    ]


@dataclass(frozen=True)
class Topology:
    """The planes of one process around one read model.

    Parameters
    ----------
    index
        Read model of items; kept current by whoever runs the topology.
    planes
        In the order in which a record flows through them.
    """

    index: ItemIndex
    users: UsersPlane
    items: ItemsPlane

    @property
    def planes(self) -> tuple[Plane[Any], ...]:
        """All planes, in the order in which a record flows through them."""
        return self.users, self.items


def build_topology(settings: Settings) -> Topology:
    """Planes wired for production."""
    index = ItemIndex(settings.items.published_neighbours, settings.read_model.max_items)
    largest = settings.topics.max_message_bytes
    users = UsersPlane(settings.users, index, settings.topics.partitions, largest)
    return Topology(index, users, ItemsPlane(settings.items, largest))
