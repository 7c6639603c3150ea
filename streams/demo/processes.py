"""The processes of a demo, its broker and its worker, and the settings that connect them."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from processors.common.errors import NearstreamError
from streams.broker import ApacheKafka, LocalBroker, Tansu
from streams.broker.process import ChildProcess, free_port
from streams.kafka.errors import file_tail
from streams.settings.sections import PREFIX, KafkaSettings, Settings

_READY_WITHIN_S = 120.0  # kernels may have to be compiled
_STOP_WITHIN_S = 5.0
_SESSION_TIMEOUT_S = 6
_KAFKA_FETCH_MS = KafkaSettings().fetch_max_wait_ms
_TANSU_FETCH_MS = 10
"""Tansu holds a fetch that finds nothing for as long as it may, whatever arrives meanwhile."""


class DemoFailed(NearstreamError):
    """The demo could not go on. The message says why, with the end of the worker's log."""


def make_broker(kafka: bool) -> LocalBroker:
    """Make the broker that the demo starts itself: Apache Kafka, or the embedded one."""
    return ApacheKafka() if kafka else Tansu()


def own_broker_settings(settings: Settings, broker: LocalBroker) -> Settings:
    """Return settings for a broker of the demo's own; those for reaching other brokers are dropped."""
    guarantee = "exactly_once" if isinstance(broker, ApacheKafka) else "at_least_once"
    return msgspec.structs.replace(
        settings,
        kafka=KafkaSettings(
            brokers=broker.bootstrap,
            fetch_max_wait_ms=_KAFKA_FETCH_MS if isinstance(broker, ApacheKafka) else _TANSU_FETCH_MS,
            session_timeout_s=_SESSION_TIMEOUT_S,
        ),
        topics=msgspec.structs.replace(settings.topics, replication=1),
        worker=msgspec.structs.replace(settings.worker, processing_guarantee=guarantee),
    )


def demo_worker_settings(settings: Settings, directory: Path) -> Settings:
    """Return settings of the demo's worker, with a state directory of its own and a web port that is free."""
    worker = msgspec.structs.replace(
        settings.worker, state_dir=str(directory / "state"), web_host="127.0.0.1", web_port=free_port()
    )
    return msgspec.structs.replace(settings, worker=worker)


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which :func:`streams.settings.loading.load_settings` gives these settings.

    Examples
    --------
    >>> from streams.settings.loading import load_settings
    >>> settings = Settings(kafka=KafkaSettings(brokers="a:1", sasl_password='say "7"'))
    >>> variables = environment(settings, {"PATH": "/bin", "NEARSTREAM_TOPICS__PARTITIONS": "9"})
    >>> variables["NEARSTREAM_KAFKA__BROKERS"], variables["PATH"], load_settings(environment=variables) == settings
    ('"a:1"', '/bin', True)
    """
    variables = {name: value for name, value in inherited.items() if not name.startswith(PREFIX)}
    _flatten(msgspec.to_builtins(settings), PREFIX.rstrip("_") + "_", variables)
    return variables


def _flatten(tree: Mapping[str, object], prefix: str, into: dict[str, str]) -> None:
    for name, value in tree.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{name.upper()}__", into)
        elif value is not None:
            into[f"{prefix}{name.upper()}"] = _toml(value)


def _toml(value: object) -> str:
    """Write a value as inline TOML.

    Examples
    --------
    >>> _toml([{"name": "home", "only_new": False, "size": 20}])
    '[{name = "home", only_new = false, size = 20}]'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items() if part is not None) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class DemoWorker:
    """A worker in a process of its own, stopped when its context ends.

    Parameters
    ----------
    settings
        Settings from :func:`demo_worker_settings`.
    directory
        Directory for the worker's log.
    """

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._port = settings.worker.web_port
        # -P: a folder named `streams` or `state` where the user happens to be must not be imported.
        self._process = ChildProcess(
            [sys.executable, "-P", "-m", "streams.cli", "worker"],
            directory / "worker.log",
            environment=environment(settings, os.environ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stop(_STOP_WITHIN_S)

    @property
    def metrics_url(self) -> str:
        """Where it serves its metrics."""
        return f"http://127.0.0.1:{self._port}/metrics"

    @property
    def log_tail(self) -> str:
        """The end of its log."""
        return file_tail(self._process.log)

    def check(self) -> None:
        """Make sure that the worker runs.

        Raises
        ------
        DemoFailed
            If it has ended.
        """
        code = self._process.exit_code
        if code is not None:
            raise DemoFailed(f"the worker ended (exit code {code}). The end of its log:\n{self.log_tail}")

    def wait_until_ready(self) -> None:
        """Wait until the worker has its partitions and a complete read model.

        Raises
        ------
        DemoFailed
            If it ends, or is not ready within two minutes.
        """
        deadline = time.monotonic() + _READY_WITHIN_S
        problems = "it does not answer"
        while problems:
            self.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"the worker did not get ready: {problems}. The end of its log:\n{self.log_tail}")
            time.sleep(0.05)
            problems = self._problems()

    def _problems(self) -> str:
        # http.client and not urllib.request: that one would ask a proxy for 127.0.0.1.
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        finally:
            connection.close()
        return "" if answer.status == 200 else body
