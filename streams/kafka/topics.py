"""Create topics as :func:`streams.engine.topology.topic_specs` has them, and compare them with those on the brokers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kafka import TopicPartition
from kafka.admin import ConfigResource, KafkaAdminClient, OffsetSpec
from kafka.errors import KafkaError, for_code

from processors.common.errors import ConfigurationError
from streams.engine.topology import TopicSpec, topic_specs
from streams.kafka.admin import administration, existing_topics
from streams.settings.sections import Settings

_READY_TIMEOUT_MS = 30_000
TIMESTAMP_TYPE = "message.timestamp.type"
_COMPARED = ("cleanup.policy", TIMESTAMP_TYPE)
_EXISTS = 36
_SETTING_OF_ERROR = {37: "topics.partitions", 38: "topics.replication", 40: "topics", 44: "topics"}


@dataclass(frozen=True)
class Difference:
    """A property of a topic that is not as it should be.

    Parameters
    ----------
    topic
        Name of the topic.
    what
        ``partitions``, or the name of a topic configuration.
    expected, found
        Its value by the settings, and its value on the brokers.

    Examples
    --------
    >>> print(Difference("recommendations.v1", "cleanup.policy", "compact", "delete"))
    recommendations.v1: cleanup.policy is delete, expected compact
    """

    topic: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found}, expected {self.expected}"


@dataclass(frozen=True)
class TopicReport:
    """What :func:`ensure_topics` did, and what it found and left as it is.

    Parameters
    ----------
    created, existing
        Names of the topics that were created, and of those that existed.
    differences
        Properties that are not as they should be, of both.
    """

    created: tuple[str, ...]
    existing: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class TopicState:
    """A topic as it is on the brokers.

    Parameters
    ----------
    name
        Name of the topic.
    state
        Whether it exists, and is as it should be.
    partitions, replication
        Number of partitions, and replicas of the one that has fewest; both 0 if the topic is missing.
    cleanup_policy, timestamp_type
        Configurations; :obj:`None` if the brokers do not say.
    offsets
        Start and end offset of each partition.
    records_at_most
        Number of offsets between start and end. There may be fewer records: each transaction takes an offset for its
        marker, and compaction removes records but not their offsets.
    differences
        Properties that are not as they should be.
    """

    name: str
    state: Literal["ok", "missing", "wrong"]
    partitions: int = 0
    replication: int = 0
    cleanup_policy: str | None = None
    timestamp_type: str | None = None
    offsets: tuple[tuple[int, int], ...] = ()
    records_at_most: int = 0
    differences: tuple[Difference, ...] = ()


def ensure_topics(settings: Settings, specs: Iterable[TopicSpec] | None = None) -> TopicReport:
    """Create the topics that are missing, and return once the brokers know them and lead every partition.

    Parameters
    ----------
    settings
        Brokers, partitions and replication.
    specs
        Topics; by default every topic of Nearstream.

    Raises
    ------
    ConfigurationError
        If a topic has another number of partitions, or the brokers refuse to create one as it is configured.
        Cleanup policies and timestamp types that differ are reported, not raised.
    BrokerUnavailable
        If the brokers cannot be reached or do not get ready.
    """
    wanted = topic_specs(settings) if specs is None else list(specs)
    names = [spec.name for spec in wanted]
    with administration(settings.kafka) as admin:
        existing = existing_topics(admin, names)
        _check_partitions(existing, settings)
        created = _create(admin, [spec for spec in wanted if spec.name not in existing], settings)
        admin.wait_for_topics(names, timeout_ms=_READY_TIMEOUT_MS)
        # Another worker may have created some of them meanwhile, from other settings.
        metadata = existing_topics(admin, names)
        _check_partitions(metadata, settings)
        configs = _configs(admin, list(metadata))
    differences = [found for spec in wanted for found in _config_differences(spec, configs.get(spec.name, {}))]
    return TopicReport(created, tuple(name for name in metadata if name not in created), tuple(differences))


def describe_topics(settings: Settings, specs: Iterable[TopicSpec] | None = None) -> list[TopicState]:
    """Return every topic as it is on the brokers.

    Parameters
    ----------
    settings
        Brokers and partitions.
    specs
        Topics; by default every topic of Nearstream.

    Raises
    ------
    BrokerUnavailable
        If the brokers cannot be reached.
    """
    wanted = topic_specs(settings) if specs is None else list(specs)
    names = [spec.name for spec in wanted]
    with administration(settings.kafka) as admin:
        metadata = existing_topics(admin, names)
        configs = _configs(admin, list(metadata))
        offsets = _offsets(admin, metadata)
    return [
        _state(spec, settings, metadata[spec.name], configs.get(spec.name, {}), offsets[spec.name])
        if spec.name in metadata
        else TopicState(spec.name, "missing")
        for spec in wanted
    ]


def _check_partitions(metadata: dict[str, Any], settings: Settings) -> None:
    for name, topic in metadata.items():
        count = len(topic["partitions"])
        if count != settings.topics.partitions:
            raise ConfigurationError(
                f"topics.partitions: is {settings.topics.partitions}, but topic {name} has {count}. All topics need "
                f"the same number: set topics.partitions to {count}, or delete the topic if its records may go"
            )


def _create(admin: KafkaAdminClient, specs: Sequence[TopicSpec], settings: Settings) -> tuple[str, ...]:
    if not specs:
        return ()
    shape = {"num_partitions": settings.topics.partitions, "replication_factor": settings.topics.replication}
    response = admin.create_topics(
        {spec.name: {**shape, "configs": spec.config()} for spec in specs}, raise_errors=False
    )
    created = []
    for topic in response["topics"]:
        code, name = topic["error_code"], topic["name"]
        if code == 0:
            created.append(name)
        elif code in _SETTING_OF_ERROR:
            raise ConfigurationError(f"{_SETTING_OF_ERROR[code]}: {name}: {topic.get('error_message')}")
        elif code != _EXISTS:
            raise for_code(code)(f"topic {name} was not created: {topic.get('error_message')}")
    return tuple(created)


def _configs(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return configurations by topic; empty if the brokers do not say."""
    if not names:
        return {}
    try:
        answer = admin.describe_configs(
            [ConfigResource("TOPIC", name, list(_COMPARED)) for name in names], config_filter="all"
        )
    except KafkaError:
        # The embedded broker hangs up, and on others it takes a right that writing does not need.
        return {}
    return {
        name: {key: config["value"] for key, config in configs.items() if config["value"] is not None}
        for name, configs in answer.get("topic", {}).items()
    }


def _config_differences(spec: TopicSpec, found: dict[str, str]) -> list[Difference]:
    wanted = spec.config()
    return [
        Difference(spec.name, key, wanted[key], found[key])
        for key in _COMPARED
        if key in found and found[key] != wanted[key]
    ]


def _offsets(admin: KafkaAdminClient, metadata: dict[str, Any]) -> dict[str, tuple[tuple[int, int], ...]]:
    partitions = {
        name: [TopicPartition(name, number) for number in sorted(p["partition_index"] for p in topic["partitions"])]
        for name, topic in metadata.items()
    }
    flat = [tp for topic in partitions.values() for tp in topic]
    if not flat:
        return {}
    starts = admin.list_partition_offsets(dict.fromkeys(flat, OffsetSpec.EARLIEST))
    ends = admin.list_partition_offsets(dict.fromkeys(flat, OffsetSpec.LATEST))
    return {name: tuple((starts[tp].offset, ends[tp].offset) for tp in topic) for name, topic in partitions.items()}


def _state(
    spec: TopicSpec, settings: Settings, topic: Any, configs: dict[str, str], offsets: tuple[tuple[int, int], ...]
) -> TopicState:
    differences = _config_differences(spec, configs)
    count, wanted = len(topic["partitions"]), settings.topics.partitions
    if count != wanted:
        differences.insert(0, Difference(spec.name, "partitions", str(wanted), str(count)))
    return TopicState(
        name=spec.name,
        state="wrong" if differences else "ok",
        partitions=count,
        replication=min((len(partition["replica_nodes"]) for partition in topic["partitions"]), default=0),
        cleanup_policy=configs.get("cleanup.policy"),
        timestamp_type=configs.get("message.timestamp.type"),
        offsets=offsets,
        records_at_most=sum(end - start for start, end in offsets),
        differences=tuple(differences),
    )
