"""Expiry by a worker on Kafka is what the replay of the topics says, byte by byte."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from processors.common.time import DAY_MS
from processors.common.topics import RECOMMENDATIONS_TOPIC
from streams.settings.sections import Settings
from tests.load import send_clicks, wait_drained
from tests.oracle import account
from tests.support import WorkerProcess, fresh_settings, read_topic


def expiring(settings: Settings, seconds: float) -> Settings:
    days = seconds * 1000 / DAY_MS
    profile = msgspec.structs.replace(settings.users.profile, expire_after_days=days)
    ads = msgspec.structs.replace(
        settings.users.ads, click_credit_ms=500, purchase_credit_ms=500, view_credit_ms=500, refund_ms=500
    )
    users = msgspec.structs.replace(settings.users, profile=profile, ads=ads)
    return msgspec.structs.replace(
        settings, users=users, items=msgspec.structs.replace(settings.items, expire_after_days=days)
    )


@pytest.mark.kafka
@pytest.mark.unmeasured
def test_a_worker_deletes_what_a_replay_deletes_though_it_is_killed(kafka: str, tmp_path: Path) -> None:
    settings = expiring(fresh_settings(kafka, tmp_path / "state"), seconds=2.0)
    with WorkerProcess(settings, tmp_path / "worker.log") as worker:
        worker.wait_ready()
        send_clicks(kafka, 0, settings.topics.partitions)
        wait_drained(worker)
        worker.kill()
        time.sleep(3)
        worker.start()
        worker.wait_ready()
        for n in range(1, 5):  # the same few come back, some of them after they have expired
            send_clicks(kafka, 50 * n, settings.topics.partitions, events=3)
            time.sleep(2.5)
        wait_drained(worker)
    account(kafka, settings).check()
    slates = [record for log in read_topic(kafka, RECOMMENDATIONS_TOPIC) for record in log]
    assert any(record.value is None for record in slates), "nobody has expired: the run says nothing"
