"""Topics on a real broker: created once, as they should be, and told apart from those that are not."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, KafkaAdminClient

from processors.common.errors import ConfigurationError
from streams.broker import BrokerUnavailable, Tansu
from streams.engine.topology import TopicSpec, topic_specs
from streams.kafka import admin, connection_check
from streams.kafka.admin import TopicMissing, partition_counts
from streams.kafka.topics import Difference, TopicReport, TopicState, describe_topics, ensure_topics
from streams.settings.sections import KafkaSettings, Settings, TopicSettings


def settings_for(bootstrap: str, partitions: int = 3, replication: int = 1) -> Settings:
    topics = TopicSettings(partitions=partitions, replication=replication)
    return Settings(kafka=KafkaSettings(brokers=bootstrap), topics=topics)


@pytest.fixture
def name(kafka: str) -> Iterator[str]:
    """A topic name of the test's own; the topic is deleted in the end."""
    name = f"topic-{uuid4().hex[:8]}"
    yield name
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_topics([name], raise_errors=False)
    admin.close()


def test_a_missing_topic_is_created(kafka: str, name: str) -> None:
    report = ensure_topics(settings_for(kafka), [TopicSpec(name)])
    assert report == TopicReport(created=(name,), existing=(), differences=())


def test_a_topic_is_created_as_its_spec_says(kafka: str, name: str) -> None:
    spec = TopicSpec(name, retention_ms=3_600_000, max_message_bytes=5_000_000)
    ensure_topics(settings_for(kafka), [spec])
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    (topic,) = admin.describe_topics([name])
    configs = admin.describe_configs([ConfigResource("TOPIC", name)])["topic"][name]
    admin.close()
    found = {key: configs[key]["value"] for key in spec.config()}
    assert (len(topic["partitions"]), found) == (
        3,
        {
            "cleanup.policy": "delete",
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": "3600000",
            "max.message.bytes": "5000000",
        },
    )


def test_every_partition_has_a_leader_when_the_call_returns(kafka: str, name: str) -> None:
    ensure_topics(settings_for(kafka, partitions=12), [TopicSpec(name)])
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    (topic,) = admin.describe_topics([name])
    admin.close()
    assert [partition["leader_id"] >= 0 for partition in topic["partitions"]] == [True] * 12


def test_a_second_call_finds_it(kafka: str, name: str) -> None:
    ensure_topics(settings_for(kafka), [TopicSpec(name)])
    report = ensure_topics(settings_for(kafka), [TopicSpec(name)])
    assert report == TopicReport(created=(), existing=(name,), differences=())


def test_workers_that_start_together_create_it_once(kafka: str, name: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(ensure_topics, settings_for(kafka), [TopicSpec(name)]) for _ in range(4)]
    assert sorted(call.result().created for call in calls) == [(), (), (), (name,)]


def test_another_partition_count_is_an_error_that_names_setting_and_topic(kafka: str, name: str) -> None:
    ensure_topics(settings_for(kafka), [TopicSpec(name)])
    with pytest.raises(ConfigurationError) as caught:
        ensure_topics(settings_for(kafka, partitions=5), [TopicSpec(name)])
    assert str(caught.value).startswith(f"topics.partitions: is 5, but topic {name} has 3.")


def test_nothing_is_created_beside_a_topic_with_another_partition_count(kafka: str, name: str) -> None:
    ensure_topics(settings_for(kafka), [TopicSpec(name)])
    other = f"{name}-other"
    with pytest.raises(ConfigurationError):
        ensure_topics(settings_for(kafka, partitions=5), [TopicSpec(name), TopicSpec(other)])
    assert describe_topics(settings_for(kafka), [TopicSpec(other)]) == [TopicState(other, "missing")]


def test_another_cleanup_policy_is_reported(kafka: str, name: str) -> None:
    ensure_topics(settings_for(kafka), [TopicSpec(name)])
    report = ensure_topics(settings_for(kafka), [TopicSpec(name, compacted=True)])
    assert report.differences == (Difference(name, "cleanup.policy", "compact", "delete"),)


def test_another_timestamp_type_is_reported(kafka: str, name: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics({name: {"num_partitions": 3, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    report = ensure_topics(settings_for(kafka), [TopicSpec(name)])
    assert report.differences == (Difference(name, "message.timestamp.type", "LogAppendTime", "CreateTime"),)


def test_too_many_replicas_are_an_error_that_names_the_setting(kafka: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^topics.replication: {name}: "):
        ensure_topics(settings_for(kafka, replication=100), [TopicSpec(name)])


def test_a_described_topic_says_how_many_records_it_has_at_most(kafka: str, name: str) -> None:
    settings = settings_for(kafka)
    ensure_topics(settings, [TopicSpec(name)])
    producer = KafkaProducer(bootstrap_servers=kafka)
    for partition in (0, 2, 2):
        producer.send(name, b"value", partition=partition).get(10)
    producer.close()
    assert describe_topics(settings, [TopicSpec(name)]) == [
        TopicState(
            name=name,
            state="ok",
            partitions=3,
            replication=1,
            cleanup_policy="delete",
            timestamp_type="LogAppendTime",
            offsets=((0, 1), (0, 0), (0, 2)),
            records_at_most=3,
        )
    ]


def test_a_topic_with_other_partitions_and_policy_is_described_as_wrong(kafka: str, name: str) -> None:
    ensure_topics(settings_for(kafka), [TopicSpec(name)])
    (state,) = describe_topics(settings_for(kafka, partitions=5), [TopicSpec(name, compacted=True)])
    assert (state.state, state.differences) == (
        "wrong",
        (Difference(name, "partitions", "5", "3"), Difference(name, "cleanup.policy", "compact", "delete")),
    )


def test_the_embedded_broker_gets_all_topics() -> None:
    with Tansu() as broker:
        settings = settings_for(broker.bootstrap)
        ensure_topics(settings)
        states = describe_topics(settings)
    assert [(state.name, state.state) for state in states] == [(spec.name, "ok") for spec in topic_specs(settings)]


def test_partitions_of_an_unknown_topic_are_an_error_that_says_where_to_look(kafka: str) -> None:
    with pytest.raises(TopicMissing, match=r"^topic no-such-topic is not there, .* `nearstream topics` lists"):
        partition_counts(KafkaSettings(brokers=kafka), ["no-such-topic"])


def test_an_address_where_nothing_listens_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "KafkaAdminClient", None)
    with pytest.raises(
        BrokerUnavailable, match=r"^Kafka at 127\.0\.0\.1:1 does not answer: Connection refused\. Is it"
    ):
        ensure_topics(settings_for("127.0.0.1:1"))


def test_a_listener_that_is_no_kafka_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_check, "_WITHIN_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        brokers = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerUnavailable, match=f"^Kafka at {brokers} does not answer: nothing came"):
            ensure_topics(settings_for(brokers))


@pytest.mark.parametrize("brokers", ["", "kafka:port", "kafka 9092"])
def test_addresses_that_are_none_name_the_setting(brokers: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        describe_topics(settings_for(brokers))
    assert str(caught.value) == f"kafka.brokers: {brokers!r}, expected host:port, several separated by commas"
