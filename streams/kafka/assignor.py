"""Which worker of the group gets which partitions: as few as possible move when one comes or goes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import msgspec
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class StickyPartitions(RangePartitionAssignor):  # type: ignore[misc]  # the library has no types
    """Gives partition *p* of every topic to the same worker, and leaves partitions where they are as far as it can.

    The planes need all topics of a partition in one place, which Kafka's own sticky assignment does not give. Each
    worker says which partitions it has; the numbers of partitions of any two differ by one at most.

    It goes by the name of Kafka's range assignment, so that workers of before can be in the group: they say nothing of
    what they have, and place partitions by range while one of them leads.

    aiokafka keeps what a member has in the class: make a subclass for each consumer.
    """

    name = "range"
    version = 0
    owned: frozenset[int] = frozenset()

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Assign the partitions of all topics to the members; called at one of them, the leader."""
        topics = sorted({topic for metadata in members.values() for topic in metadata.subscription})
        partitions = {topic: cluster.partitions_for_topic(topic) or set() for topic in topics}
        placed = place(set().union(*partitions.values()), {member: _owned(members[member]) for member in members})
        return {
            member: ConsumerProtocolMemberAssignment(
                cls.version,
                [
                    (topic, sorted(placed[member] & partitions[topic]))
                    for topic in topics
                    if topic in metadata.subscription
                ],
                b"",
            )
            for member, metadata in members.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> Any:
        """Return what this member says when it joins."""
        return ConsumerProtocolMemberMetadata(cls.version, list(topics), msgspec.json.encode(sorted(cls.owned)))

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        """Remember what this member has now."""
        cls.owned = frozenset(number for _, numbers in assignment.assignment for number in numbers)


def place(partitions: Collection[int], owned: Mapping[str, Collection[int]]) -> dict[str, set[int]]:
    """Place partitions on members so that nobody has two more than another, and as few as possible move.

    Deterministic, so that every leader decides the same.

    Parameters
    ----------
    owned
        What each member has so far; of two that claim the same partition, the one with more of them keeps it.

    Examples
    --------
    >>> place(range(4), {"a": {0, 1, 2, 3}, "b": ()})
    {'a': {0, 1}, 'b': {2, 3}}
    >>> place(range(4), {"a": {1, 3}, "c": (), "b": {0, 2}})
    {'a': {1, 3}, 'b': {0}, 'c': {2}}
    """
    members = sorted(owned, key=lambda member: (-len(set(owned[member])), member))
    share, over = divmod(len(partitions), len(members))
    quotas = {member: share + (number < over) for number, member in enumerate(members)}
    free, placed = set(partitions), dict[str, set[int]]()
    for member in members:
        placed[member] = set(sorted(free & set(owned[member]))[: quotas[member]])
        free -= placed[member]
    rest = iter(sorted(free))
    for member in members:
        for _ in range(quotas[member] - len(placed[member])):
            placed[member].add(next(rest))
    return dict(sorted(placed.items()))


def _owned(metadata: Any) -> list[int]:
    """Return what a member says it has; nothing if it says nothing that can be read."""
    try:
        return msgspec.json.decode(bytes(metadata.user_data), type=list[int])
    except (msgspec.DecodeError, TypeError):
        return []
