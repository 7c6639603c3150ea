"""Settings: one TOML file, environment variables over it, and errors that name the setting.

``NEARSTREAM_<SECTION>__<NAME>`` sets ``name`` in ``[section]``; deeper sections take one more ``__`` each, as in
``NEARSTREAM_USERS__PROFILE__RECENT_ITEMS=80``. Values of the environment are read as TOML values, and as text where
they are none.
"""

import math
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from processors.bounds import Bytes, MessageBytes, Milliseconds, Port, Positive, Replicas, WaitMs
from processors.errors import ConfigurationError
from processors.item_state import ItemSettings
from processors.plane import DEFAULT_MAX_MESSAGE_BYTES
from processors.users_plane import UsersSettings
from state.rocks import RocksSettings

PREFIX = "NEARSTREAM_"


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to reach the brokers.

    Parameters
    ----------
    brokers
        ``host:port``, several separated by commas.
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
        Where the partition stores live.
    processing_guarantee
        ``exactly_once``, or ``at_least_once`` for brokers without transactions.
    commit_interval_ms
        Time between the transactions of a users partition: longer gathers larger micro-batches.
    broadcast_interval_ms
        The same for the other planes; an item is broadcast at most once in it.
    batch_max_records
        Records of a micro-batch, at most.
    buffer_bytes
        Events that wait for a partition before its topics are paused; a micro-batch takes a quarter of it at most, or
        one fetch that is larger.
    web_host, web_port
        Where ``/metrics``, ``/healthz`` and ``/readyz`` are served; port 0 takes a free one.
    stalled_after_s
        ``/healthz`` fails if a partition with lag makes no progress for this long.
    """

    state_dir: str = "nearstream-data"
    processing_guarantee: Literal["exactly_once", "at_least_once"] = "exactly_once"
    commit_interval_ms: Milliseconds = 50
    broadcast_interval_ms: Milliseconds = 250
    batch_max_records: Positive = 2000
    buffer_bytes: Bytes = 32 * 2**20
    web_host: str = "127.0.0.1"
    web_port: Port = 6066
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
    read_model: ReadModelSettings = ReadModelSettings()


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
        With the name of the setting, for a missing file, bad TOML, an unknown name, a wrong type or range.

    Examples
    --------
    >>> load_settings(environment={"NEARSTREAM_TOPICS__PARTITIONS": "8"}).topics.partitions
    8
    >>> load_settings(environment={"NEARSTREAM_TOPICS__PARTITIONS": "many"})
    Traceback (most recent call last):
    ...
    processors.errors.ConfigurationError: topics.partitions: Expected `int`, got `str`
    """
    variables = os.environ if environment is None else environment
    named = variables.get(f"{PREFIX}SETTINGS")
    tree = _read_toml(file or (Path(named) if named else None))
    for name in sorted(variables):
        if name.startswith(PREFIX) and "__" in name:
            _put(tree, name.removeprefix(PREFIX).lower().split("__"), _value(variables[name]), name)
    _require_finite(tree)
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        raise ConfigurationError(_readable(str(error))) from error


def _read_toml(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"settings file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"settings file {file}: {error}") from error


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _put(tree: dict[str, Any], path: list[str], value: object, variable: str) -> None:
    *sections, name = path
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigurationError(f"{variable}: {section} is a setting, not a section")
    tree[name] = value


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
    >>> _readable("Object contains unknown field `brokrs` - at `$.kafka`")
    'kafka: Object contains unknown field `brokrs`'
    """
    what, _, where = message.rpartition(" - at `$.")
    return f"{where.rstrip('`')}: {what}" if what else message
