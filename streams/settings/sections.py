"""Settings: one TOML file, environment variables over it, and errors that name the setting.

``NEARSTREAM_<SECTION>__<NAME>`` sets ``name`` in ``[section]``; deeper sections take one more ``__`` each, as in
``NEARSTREAM_USERS__PROFILE__RECENT_ITEMS=80``. Values of the environment are read as TOML values, and as text where
they are none or the setting is a text.
"""

import re
from typing import Literal

import msgspec

from processors.common.bounds import (
    Bytes,
    Interval,
    MessageBytes,
    Port,
    Positive,
    Replicas,
    SecondsOrNone,
    SeriesOrNone,
    SessionSeconds,
    WaitMs,
)
from processors.common.errors import ConfigurationError
from processors.common.money import MoneySettings
from processors.items.state import ItemSettings
from processors.models.state import ModelsSettings
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES
from processors.planes.users_settings import UsersSettings
from state.rocks import RocksSettings

PREFIX = "NEARSTREAM_"
_DEFAULT_PORT = 9092
_ADDRESS = re.compile(r"(\[[\w:.%]+\]|[^:\s]+)(?::(\d{1,5}))?")


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach the brokers.

    Parameters
    ----------
    brokers
        ``host:port``, several separated by commas; the port is 9092 where there is none.
    group
        Consumer group of the workers; also the prefix of their transactional ids.
    security_protocol, sasl_mechanism, sasl_username, sasl_password, ssl_cafile, ssl_certfile, ssl_keyfile
        Security settings with the meaning they have in every Kafka client. Give the password by environment, not in
        the file.
    ssl_keyfile_password
        Password of the key file, if it has one; by environment, too.
    sasl_oauth_token_file
        For OAUTHBEARER: a file that holds the token, and that whoever issues tokens keeps up to date. It is read again
        for every connection.
    wait_s
        Seconds for which a worker that starts waits for brokers that do not answer before it exits; 0 for as long as
        it takes.
    fetch_max_wait_ms
        Milliseconds that a broker may hold a fetch that finds nothing. Apache Kafka answers as soon as there is
        something, so that a longer time only spares it and the worker empty answers; on brokers that hold the fetch all
        the same, such as Tansu, it is the floor of the latency.
    session_timeout_s
        Seconds without a heartbeat after which a worker's partitions go to the others: most of the time that they are
        silent after a crash. A worker that is frozen for longer comes back as a new member, and loses nothing. Brokers
        allow no less than 6 unless their ``group.min.session.timeout.ms`` says so, and no more than 1,800.
    """

    brokers: str = "127.0.0.1:9092"
    group: str = "nearstream"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    ssl_keyfile_password: str | None = None
    sasl_oauth_token_file: str | None = None
    fetch_max_wait_ms: WaitMs = 100
    session_timeout_s: SessionSeconds = 6
    wait_s: SecondsOrNone = 0

    def __repr__(self) -> str:
        return f"KafkaSettings(brokers={self.brokers!r}, group={self.group!r}, ...)"


class TopicSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How topics are created.

    Parameters
    ----------
    partitions
        Number of partitions, the same for all topics. It must not change once there is state: keys would move to
        partitions that do not hold their states.
    replication
        Copies of each partition on the brokers.
    retention_hours
        How long topics that are not compacted keep their records.
    max_message_bytes
        Largest record that is accepted or published.
    """

    partitions: Positive = 4
    replication: Replicas = 1
    retention_hours: Positive = 168
    max_message_bytes: MessageBytes = DEFAULT_MAX_MESSAGE_BYTES


class WorkerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a worker runs.

    Parameters
    ----------
    state_dir
        Where the partition stores live. Each worker has its own: workers that share one hand partitions over well
        enough, but one that hangs keeps its stores locked, and the others end when they are to take them over.
    processing_guarantee
        ``exactly_once``, or ``at_least_once`` for brokers without transactions.
    commit_interval_ms
        Least time between the transactions of a users partition, in milliseconds: a longer one gathers larger
        micro-batches. A busy partition takes up to four times as long (:mod:`streams.worker.pacing`).
    broadcast_interval_ms
        Least time between the transactions of the other planes, in milliseconds, likewise. An item is broadcast at
        most once in this time, a campaign at most once in four times as long.
    batch_max_records
        Most records of a micro-batch.
    step_ms
        How long computing a micro-batch may take, in milliseconds, as far as the last ones allow a forecast: meanwhile
        the worker answers nobody, neither the brokers nor Prometheus.
    buffer_bytes
        Bytes of events that may wait for a partition before its topics are paused. A micro-batch takes a quarter of
        this at most, or a single fetch if that is larger.
    web_host, web_port
        Where ``/metrics``, ``/healthz`` and ``/readyz`` are served; port 0 takes a free one.
    campaign_metrics
        How many campaigns may appear in metrics by their ids, each with a dozen series: those that have spent most. 0
        names none.
    stalled_after_s
        Seconds after which ``/healthz`` fails if a partition with lag has made no progress.
    standby
        Whether to keep copies of the partitions that other workers run, so that one that dies is replaced without
        reading its changelogs from the beginning. Each worker then stores what all of them store, and has as many
        stores open, each with the memory that ``store`` allows.
    """

    state_dir: str = "nearstream-data"
    processing_guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    commit_interval_ms: Interval = 50
    broadcast_interval_ms: Interval = 250
    batch_max_records: Positive = 4000
    step_ms: WaitMs = 2000
    buffer_bytes: Bytes = 32 * 2**20
    web_host: str = "127.0.0.1"
    web_port: Port = 6066
    campaign_metrics: SeriesOrNone = 0
    stalled_after_s: Positive = 60
    standby: bool = False


class ReadModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of the read models. ``max_items`` is how many items every worker holds in memory at most."""

    max_items: Positive = 200_000


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings, by section."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    worker: WorkerSettings = WorkerSettings()
    store: RocksSettings = RocksSettings()
    money: MoneySettings = MoneySettings()
    users: UsersSettings = UsersSettings()
    items: ItemSettings = ItemSettings()
    models: ModelsSettings = ModelsSettings()
    read_model: ReadModelSettings = ReadModelSettings()


def broker_addresses(brokers: str) -> list[tuple[str, int]]:
    """Parse ``kafka.brokers`` into hosts and ports.

    Raises
    ------
    ConfigurationError
        If the text is no list of addresses.

    Examples
    --------
    >>> broker_addresses("kafka-1, kafka-2:9093")
    [('kafka-1', 9092), ('kafka-2', 9093)]
    >>> broker_addresses("kafka:port")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    processors.common.errors.ConfigurationError: kafka.brokers: 'kafka:port', expected host:port, ...
    """
    parsed = [_ADDRESS.fullmatch(address.strip()) for address in brokers.split(",") if address.strip()]
    addresses = [(found[1].strip("[]"), int(found[2] or _DEFAULT_PORT)) for found in parsed if found]
    if not addresses or None in parsed or not all(0 < port < 2**16 for _, port in addresses):
        raise ConfigurationError(f"kafka.brokers: {brokers!r}, expected host:port, several separated by commas")
    return addresses
