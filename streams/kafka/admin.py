"""Ask the brokers about their topics, with errors that say what to do next."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from difflib import SequenceMatcher
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import AuthorizationError, KafkaError, for_code

from processors.common.errors import NearstreamError
from streams.engine.topology import topic_specs
from streams.kafka.clients import client_arguments
from streams.kafka.connection_check import require_connection, unanswered
from streams.kafka.errors import BrokerRefused
from streams.kafka.tokens import BlockingTokenFile
from streams.settings.sections import KafkaSettings, Settings

logger = logging.getLogger(__name__)

BOOTSTRAP_TIMEOUT_MS = 10_000
"""Milliseconds after which brokers that have not answered at all count as unreachable."""

RECONNECT_MS = 1_000
"""Most milliseconds until a tool connects again to brokers that were away: kafka-python would let it wait for 30 s."""

_UNKNOWN_TOPIC = 3
_SIMILAR = 0.65
_NO_GROUP = "Dead"


class TopicMissing(NearstreamError):
    """A topic that is needed is missing. The message says how to create it, or what name may have been meant.

    Parameters
    ----------
    topic
        Its name.

    Examples
    --------
    >>> print(TopicMissing("events.click.v1"))
    topic events.click.v1 is missing: `nearstream topics --create` creates it, and so does a worker
    >>> print(TopicMissing("clicks"))
    topic clicks is not there, and is none of Nearstream's: did you mean events.click.v1? `nearstream topics` lists them
    """

    def __init__(self, topic: str) -> None:
        names = [spec.name for spec in topic_specs(Settings())]
        if topic in names:
            what = "is missing: `nearstream topics --create` creates it, and so does a worker"
        else:
            near = " or ".join(_near(topic, names))
            meant = f"did you mean {near}? " if near else ""
            what = f"is not there, and is none of Nearstream's: {meant}`nearstream topics` lists them"
        super().__init__(f"topic {topic} {what}")
        self.topic = topic


def _near(name: str, names: Sequence[str]) -> list[str]:
    """Return at most two names that are similar to a name as a whole or in a part of it, the most similar first.

    Examples
    --------
    >>> topics = ["events.click.v1", "dead-letters.v1"]
    >>> _near("dead_letter", topics), _near("click", topics), _near("nosuch.v1", topics)
    (['dead-letters.v1'], ['events.click.v1'], [])
    """
    stem = name.removesuffix(".v1")

    def similarity(known: str) -> float:
        forms = (known, known.removesuffix(".v1"), *known.split(".")[:-1])
        return float(stem in known) or max(SequenceMatcher(None, stem, form).ratio() for form in forms)

    return [known for known in sorted(names, key=similarity, reverse=True)[:2] if similarity(known) >= _SIMILAR]


@contextmanager
def administration(kafka: KafkaSettings) -> Iterator[KafkaAdminClient]:
    """Open an admin client of kafka-python, and close it when the context is left.

    Raises
    ------
    BrokerUnavailable
        For every error of the brokers, or of the connection to them, inside the context too.
    """
    with plain_errors(kafka), closing(KafkaAdminClient(**tool_arguments(kafka))) as admin:
        yield admin


def tool_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the keyword arguments of clients that give up after 10 s without an answer, at once if nobody listens.

    For commands that a person waits for. It connects to the brokers to find out.

    Raises
    ------
    ConfigurationError
        If ``kafka.brokers`` names no addresses, or a setting of the connection makes no sense.
    BrokerUnavailable
        If none of them takes the connection.

    Examples
    --------
    >>> tool_arguments(KafkaSettings(brokers="kafka:port"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    processors.common.errors.ConfigurationError: kafka.brokers: 'kafka:port', expected host:port, ...
    """
    require_connection(kafka)
    arguments = client_arguments(kafka)
    if "sasl_oauth_token_provider" in arguments:
        arguments["sasl_oauth_token_provider"] = BlockingTokenFile(str(kafka.sasl_oauth_token_file))
    return {**arguments, "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS, "reconnect_backoff_max_ms": RECONNECT_MS}


@contextmanager
def plain_errors(kafka: KafkaSettings) -> Iterator[None]:
    """Turn kafka-python's errors inside the context into a ``BrokerUnavailable`` that says what to do next.

    Examples
    --------
    >>> with plain_errors(KafkaSettings()):
    ...     raise KafkaError("out of order")
    Traceback (most recent call last):
    ...
    streams.kafka.errors.BrokerRefused: Kafka at 127.0.0.1:9092 answered with an error: KafkaError: out of order
    """
    at = f"Kafka at {kafka.brokers}"
    try:
        yield
    except AuthorizationError as error:
        raise BrokerRefused(f"{at} {not_allowed(kafka, error)}") from error
    except KafkaError as error:
        if not error.retriable:
            raise BrokerRefused(f"{at} answered with an error: {error}") from error
        raise unanswered(kafka, error) from error


_RIGHTS = {
    "Topic": "READ, WRITE and DESCRIBE on Nearstream's topics, and CREATE where some are missing",
    "Group": "READ on the group",
    "TransactionalId": "WRITE and DESCRIBE on transactional ids that begin with the group's name",
    "Cluster": "DESCRIBE, and CREATE where topics are missing, on the cluster",
}
"""What a worker must be allowed, by the beginning of the names of the errors in both libraries."""


def not_allowed(kafka: KafkaSettings, error: Exception) -> str:
    """Say what right the brokers missed, of an error of either library.

    Examples
    --------
    >>> from aiokafka.errors import GroupAuthorizationFailedError
    >>> not_allowed(KafkaSettings(sasl_username="shop"), GroupAuthorizationFailedError("nearstream"))
    "does not allow this (nearstream): user 'shop' needs READ on the group"
    """
    rights = next((right for name, right in _RIGHTS.items() if type(error).__name__.startswith(name)), "more rights")
    user = f"user {kafka.sasl_username!r}" if kafka.sasl_username else "the user"
    return f"does not allow this ({', '.join(map(str, error.args)) or type(error).__name__}): {user} needs {rights}"


def group_clients(kafka: KafkaSettings) -> list[str] | None:
    """Return the client ids of the group's members.

    A worker asks before it joins, also to make sure that it may see the group: a client that may not join waits for
    ever, and says nothing. Who may read a group may see it; who may see but not read it is not found out here.

    Returns
    -------
    list of str or None
        One per member; empty if there is none, and :obj:`None` if the brokers cannot tell now.

    Raises
    ------
    BrokerRefused
        If the user may not see it.
    """
    with administration(kafka) as admin:
        try:
            found = admin.describe_groups([kafka.group])
        except AuthorizationError:
            raise
        except (KafkaError, ValueError) as error:  # a new broker has no coordinator yet; Tansu answers oddly
            logger.debug("group %s cannot be described: %r", kafka.group, error)
            return None
    group = found.get(kafka.group, {})
    members = [member["client_id"] for member in group.get("members", ())]
    # A coordinator that is being moved to another broker answers with an error and without members, and one of Kafka 4
    # with an error, too, where there is no such group.
    is_told = members or not group.get("error") or group.get("group_state") == _NO_GROUP
    return members if is_told else None


def existing_topics(admin: KafkaAdminClient, names: Sequence[str]) -> dict[str, Any]:
    """Return the metadata of those topics that exist, by name, in the order of the names.

    Raises
    ------
    KafkaError
        If the brokers do not say of one whether it exists.
    """
    metadata = {}
    for topic in admin.describe_topics(list(names)):
        if topic["error_code"] == 0 or topic["partitions"]:
            metadata[topic["name"]] = topic
        elif topic["error_code"] != _UNKNOWN_TOPIC:
            raise for_code(topic["error_code"])(topic["name"])
    return {name: metadata[name] for name in names if name in metadata}


def partition_counts(kafka: KafkaSettings, topics: Sequence[str]) -> dict[str, int]:
    """Return the number of partitions of each topic.

    Raises
    ------
    TopicMissing
        If one does not exist.
    BrokerUnavailable
        If the brokers cannot be reached.
    """
    with administration(kafka) as admin:
        metadata = existing_topics(admin, topics)
    for name in topics:
        if name not in metadata:
            raise TopicMissing(name)
    return {name: len(metadata[name]["partitions"]) for name in topics}
