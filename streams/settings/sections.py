"""Settings: one TOML file, environment variables over it, and errors that name the setting.

``NEARSTREAM_<SECTION>__<NAME>`` sets ``name`` in ``[section]``; deeper sections take one more ``__`` each, as in
``NEARSTREAM_USERS__PROFILE__RECENT_ITEMS=80``. Values of the environment are read as TOML values, and as text where
they are none or the setting is a text.
"""

import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from processors.common.bounds import Bytes, MessageBytes, Milliseconds, Port, Positive, Replicas, SeriesOrNone, WaitMs
from processors.common.errors import ConfigurationError
from processors.items.state import ItemSettings
from processors.models.state import ModelsSettings
from processors.planes.base import DEFAULT_MAX_MESSAGE_BYTES
from processors.planes.users import UsersSettings
from state.rocks import RocksSettings
from streams.settings.paths import is_text, kind_at, require_known, setting_paths

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
        As in every Kafka client. Give the password by environment, not in the file.
    fetch_max_wait_ms
        How long a broker may hold a fetch that finds nothing; the floor of the latency on some brokers.
    session_timeout_s
        After this long without a sign of life a worker's partitions go to the others.
    """

    brokers: str = "127.0.0.1:9092"
    group: str = "nearstream"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: str | None = None
    ssl_cafile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile: str | None = None
    fetch_max_wait_ms: WaitMs = 10
    session_timeout_s: Positive = 10

    def __repr__(self) -> str:
        return f"KafkaSettings(brokers={self.brokers!r}, group={self.group!r}, ...)"


class TopicSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How topics are created. ``partitions`` is the same for all and must not change once there is state."""

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
        Time between the transactions of a users partition: longer gathers larger micro-batches.
    broadcast_interval_ms
        The same for the other planes; an item is broadcast at most once in it, a campaign in four of them.
    batch_max_records
        Records of a micro-batch, at most.
    step_ms
        How long computing a micro-batch may take, as far as can be foretold from the last ones: meanwhile the worker
        answers nobody, neither the brokers nor Prometheus.
    buffer_bytes
        Events that wait for a partition before its topics are paused; a micro-batch takes a quarter of it at most, or
        one fetch that is larger.
    web_host, web_port
        Where ``/metrics``, ``/healthz`` and ``/readyz`` are served; port 0 takes a free one.
    campaign_metrics
        Campaigns, those that have spent most, whose ids may appear in metrics.
    stalled_after_s
        ``/healthz`` fails if a partition with lag makes no progress for this long.
    """

    state_dir: str = "nearstream-data"
    processing_guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    commit_interval_ms: Milliseconds = 50
    broadcast_interval_ms: Milliseconds = 250
    batch_max_records: Positive = 2000
    step_ms: WaitMs = 2000
    buffer_bytes: Bytes = 32 * 2**20
    web_host: str = "127.0.0.1"
    web_port: Port = 6066
    campaign_metrics: SeriesOrNone = 0
    stalled_after_s: Positive = 60


class ReadModelSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds of the read models."""

    max_items: Positive = 200_000


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings, by section."""

    kafka: KafkaSettings = KafkaSettings()
    topics: TopicSettings = TopicSettings()
    worker: WorkerSettings = WorkerSettings()
    store: RocksSettings = RocksSettings()
    users: UsersSettings = UsersSettings()
    items: ItemSettings = ItemSettings()
    models: ModelsSettings = ModelsSettings()
    read_model: ReadModelSettings = ReadModelSettings()


def broker_addresses(brokers: str) -> list[tuple[str, int]]:
    """Hosts and ports of ``kafka.brokers``.

    Raises
    ------
    ConfigurationError
        If that names no addresses.

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


def load_settings(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Settings of a file and the environment.

    Parameters
    ----------
    file
        TOML; by default the one that ``NEARSTREAM_SETTINGS`` names, if any.
    environment
        By default that of the process.

    Raises
    ------
    ConfigurationError
        With the name of the variable, or of the file and the setting: for a missing file, bad TOML, an unknown name, a
        wrong type or range, and a variable that is a setting's name but for its underscores.

    Examples
    --------
    >>> load_settings(environment={"NEARSTREAM_TOPICS__PARTITIONS": "8"}).topics.partitions
    8
    >>> load_settings(environment={"NEARSTREAM_TOPICS__PARTITIONS": "many"})
    Traceback (most recent call last):
    ...
    processors.common.errors.ConfigurationError: NEARSTREAM_TOPICS__PARTITIONS: Expected `int`, got `str`
    """
    variables = os.environ if environment is None else environment
    named = variables.get(f"{PREFIX}SETTINGS")
    file = file or (Path(named) if named else None)
    tree = _read_toml(file)
    given: dict[str, str] = {}
    for variable in sorted(variables):
        path = _path(variable)
        if path:
            _put(tree, path, variables[variable], variable)
            given[".".join(path)] = variable
    try:
        _require_finite(tree)
        settings = msgspec.convert(tree, Settings)
        broker_addresses(settings.kafka.brokers)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_with_source(_readable(str(error)), given, file)) from error
    except ConfigurationError as error:
        raise ConfigurationError(_with_source(str(error), given, file)) from error
    return settings


def _read_toml(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
        require_known(tree, Settings)
    except OSError as error:
        raise ConfigurationError(f"settings file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ConfigurationError) as error:
        raise ConfigurationError(f"settings file {file}: {error}") from error
    return tree


def _path(variable: str) -> tuple[str, ...]:
    """Path of the setting that an environment variable gives; empty if it gives none.

    Examples
    --------
    >>> _path("NEARSTREAM_USERS__PROFILE__RECENT_ITEMS"), _path("NEARSTREAM_TEST_BROKERS")
    (('users', 'profile', 'recent_items'), ())
    >>> _path("NEARSTREAM_KAFKA_BROKERS")
    Traceback (most recent call last):
    ...
    processors.common.errors.ConfigurationError: NEARSTREAM_KAFKA_BROKERS: the setting is ...
    """
    if not variable.startswith(PREFIX):
        return ()
    name = variable.removeprefix(PREFIX).lower()
    meant = _PATHS.get(re.sub("_+", "_", name))
    if meant and "__".join(meant) != name:
        right = f"{PREFIX}{'__'.join(meant).upper()}"
        raise ConfigurationError(f"{variable}: the setting is called {right}, with two underscores after each section")
    return tuple(name.split("__")) if "__" in name else ()


_PATHS = {"_".join(path): path for path in setting_paths(Settings)}
"""Paths of all settings by their names with single underscores. A name beyond these may be anybody's: Kubernetes, for
one, sets ``NEARSTREAM_KAFKA_PORT`` where a service is called ``nearstream-kafka``."""


def _put(tree: dict[str, Any], path: tuple[str, ...], text: str, variable: str) -> None:
    try:
        value = _value(text, kind_at(Settings, path))
        require_known(value, Settings, path)
    except ConfigurationError as error:
        raise ConfigurationError(f"{variable}: {error}") from error
    *sections, name = path
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[name] = value


def _value(text: str, kind: Any) -> object:
    """Value of an environment variable for a setting of a type.

    Examples
    --------
    >>> _value("8", int), _value("8", str), _value('"8"', str), _value("many", int)
    (8, '8', '8', 'many')
    """
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if is_text(kind) and not isinstance(value, str) else value


def _require_finite(value: object, path: str = "") -> None:
    """TOML knows infinity and nan, and every comparison with nan is false: no range would keep it out."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(f"{path}: {value} is not a finite number")
    if isinstance(value, dict):
        for name, part in value.items():
            _require_finite(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for at, part in enumerate(value):
            _require_finite(part, f"{path}[{at}]")


def _readable(message: str) -> str:
    """The message of msgspec with the setting's name in front.

    Examples
    --------
    >>> _readable("Expected `int`, got `str` - at `$.topics.partitions`")
    'topics.partitions: Expected `int`, got `str`'
    """
    what, _, where = message.rpartition(" - at `$.")
    return f"{where.rstrip('`')}: {what}" if what else message


def _with_source(message: str, given: Mapping[str, str], file: Path | None) -> str:
    """A message that begins with a setting's name, with the variable in its place or the file before it.

    Examples
    --------
    >>> _with_source("topics.partitions: wrong", {"topics.partitions": "NEARSTREAM_TOPICS__PARTITIONS"}, None)
    'NEARSTREAM_TOPICS__PARTITIONS: wrong'
    >>> _with_source("topics.partitions: wrong", {}, Path("n.toml"))
    'settings file n.toml: topics.partitions: wrong'
    """
    for path, variable in sorted(given.items(), reverse=True):
        if message.startswith((f"{path}:", f"{path}.", f"{path}[")):
            return variable + message.removeprefix(path)
    return f"settings file {file}: {message}" if file else message
