"""Who is in a group, as a worker asks before it joins."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from kafka import KafkaConsumer
from kafka.errors import CoordinatorNotAvailableError

from streams.engine.topology import TopicSpec
from streams.kafka.admin import group_clients
from streams.kafka.topics import ensure_topics
from streams.settings.sections import KafkaSettings, Settings


def test_the_members_of_a_group_are_known_by_their_client_ids(kafka: str) -> None:
    name = f"members-{uuid4().hex[:8]}"
    settings = KafkaSettings(brokers=kafka, group=name)
    assert not group_clients(settings), "a new broker cannot tell yet"
    ensure_topics(Settings(kafka=settings), [TopicSpec(name)])
    consumer = KafkaConsumer(
        name, bootstrap_servers=kafka, group_id=name, client_id="nearstream-1", session_timeout_ms=6000
    )
    try:
        while not consumer.assignment():
            consumer.poll(100)
        assert group_clients(settings) == ["nearstream-1"]
    finally:
        consumer.close()
    assert group_clients(settings) == []


@pytest.mark.parametrize(
    ("told", "clients"),
    [
        ({"group_state": "Empty", "members": [], "error": None}, []),
        ({"group_state": "Dead", "members": [], "error": "[Error 69] GroupIdNotFoundError"}, []),
        ({"group_state": "", "members": [], "error": "[Error 14] CoordinatorLoadInProgressError"}, None),
        ({"group_state": "", "members": [], "error": "[Error 16] NotCoordinatorError"}, None),
        (CoordinatorNotAvailableError(), None),
    ],
)
def test_a_coordinator_that_moves_cannot_tell_who_is_there(
    monkeypatch: pytest.MonkeyPatch, told: Any, clients: list[str] | None
) -> None:
    def describe(groups: list[str]) -> dict[str, Any]:
        if isinstance(told, Exception):
            raise told
        return dict.fromkeys(groups, told)

    @contextmanager
    def answering(_: object) -> Iterator[Any]:
        yield SimpleNamespace(describe_groups=describe)

    monkeypatch.setattr("streams.kafka.admin.administration", answering)
    assert group_clients(KafkaSettings()) == clients
