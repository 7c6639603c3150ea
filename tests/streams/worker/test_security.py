"""A worker and ``doctor`` on a broker that asks for certificates, passwords and rights."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.settings.sections import Settings, TopicSettings, WorkerSettings
from tests.streams.kafka.secured_broker import PASSWORD, SecuredBroker, secured_broker
from tests.support import WorkerProcess

pytestmark = pytest.mark.kafka

WITHIN_S = 10.0
"""Seconds after which a worker must have said what is wrong, its start not counted."""


@pytest.fixture(scope="module")
def broker(kafka_tools: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    with secured_broker(tmp_path_factory.mktemp("secured")) as found:
        yield found


def worker_of(broker: SecuredBroker, folder: Path, **changes: Any) -> WorkerProcess:
    if listener := changes.pop("listener", None):
        changes["brokers"] = getattr(broker, listener)
    settings = Settings(
        kafka=broker.settings(**changes),
        topics=TopicSettings(partitions=1),
        worker=WorkerSettings(state_dir=str(folder / "state"), web_port=0),
    )
    return WorkerProcess(settings, folder / "worker.log")


def doctor(worker: WorkerProcess) -> dict[str, dict[str, str]]:
    """The checks of ``doctor`` with the settings of a worker that was started, by name."""
    command = [
        sys.executable,
        "-m",
        "streams.cli",
        "--settings",
        str(worker.log.with_suffix(".toml")),
        "doctor",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert PASSWORD not in done.stdout + done.stderr
    return {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def test_a_user_with_the_rights_that_are_asked_for_can_run_a_worker(broker: SecuredBroker, tmp_path: Path) -> None:
    with worker_of(broker, tmp_path) as worker:
        worker.wait_ready()
        checks = doctor(worker)
        assert {name: check["status"] for name, check in checks.items() if name in ("brokers", "topics")} == {
            "brokers": "ok",
            "topics": "ok",
        }
        assert worker.stop() == 0, worker.tail()
    assert PASSWORD not in worker.log.read_text()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"sasl_password": "wrong"}, "authentication failed for user 'shop' (PLAIN)"),
        ({"ssl_cafile": None}, "the certificate of the broker is not trusted"),
        ({"listener": "misnamed"}, "the certificate of the broker is for another host name than 127.0.0.1"),
        ({"listener": "expired"}, "the certificate of the broker has expired"),
        ({"sasl_username": "guest"}, "user 'guest' needs READ, WRITE and DESCRIBE on Nearstream's topics"),
        ({"group": "others"}, "user 'shop' needs"),
    ],
    ids=str,
)
def test_who_is_refused_ends_soon_and_says_why(
    broker: SecuredBroker, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with worker_of(broker, tmp_path, **changes) as worker:
        worker.wait_logged("metrics and health on")
        began = time.monotonic()
        assert worker.wait(60) == 1
        assert time.monotonic() - began < WITHIN_S, worker.tail()
    log = worker.log.read_text()
    assert says in log
    assert PASSWORD not in log
    if changes.get("group") is None:
        failed = [check["message"] for check in doctor(worker).values() if check["status"] == "fail"]
        assert any(says in message for message in failed), failed
