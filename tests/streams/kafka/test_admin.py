"""Who is in a group, as a worker asks before it joins."""

from uuid import uuid4

from kafka import KafkaConsumer

from streams.engine.topology import TopicSpec
from streams.kafka.admin import group_clients
from streams.kafka.topics import ensure_topics
from streams.settings.sections import KafkaSettings, Settings


def test_the_members_of_a_group_are_known_by_their_client_ids(kafka: str) -> None:
    name = f"members-{uuid4().hex[:8]}"
    settings = KafkaSettings(brokers=kafka, group=name)
    assert group_clients(settings) == []
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
