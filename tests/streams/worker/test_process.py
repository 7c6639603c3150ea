"""What a worker says and refuses before it starts."""

import subprocess
import sys

import pytest

from processors.common.errors import ConfigurationError
from streams.kafka.topics import Difference, TopicReport
from streams.settings.sections import Settings
from streams.worker import process

POLICY = Difference("recommendations.v1", "cleanup.policy", "compact", "delete")
TIMES = Difference("events.click.v1", "message.timestamp.type", "LogAppendTime", "CreateTime")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Difference]:
    """How the topics differ; a worker that gets past them stops there."""
    differences: list[Difference] = []

    def stop(_: Settings) -> None:
        raise InterruptedError

    monkeypatch.setattr(process, "ensure_topics", lambda _: TopicReport((), (), tuple(differences)))
    monkeypatch.setattr(process, "require_group", lambda _: None)
    monkeypatch.setattr(process, "check_topic_ids", stop)
    return differences


def test_topics_whose_times_their_producers_make_are_refused(found: list[Difference]) -> None:
    found += [POLICY, TIMES]
    with pytest.raises(ConfigurationError, match=r"topics: events\.click\.v1: message\.timestamp\.type must be"):
        process.prepare(Settings())


def test_a_worker_that_has_let_go_of_its_partitions_does_not_wait_for_clients() -> None:
    program = (
        "import sys, time; from streams.worker import process\n"
        "process._STOP_WITHIN_S, process._CLIENTS_WITHIN_S = 0.5, 0.1\n"
        "deadline = process.Deadline(); deadline.begin(process.CUT_OFF)\n"
        "if sys.argv[1] == 'let go': deadline.let_go(0)\n"
        "time.sleep(20)"
    )
    ended = {
        how: subprocess.run([sys.executable, "-c", program, how], check=False).returncode for how in ("let go", "no")
    }
    assert ended == {"let go": 0, "no": process.CUT_OFF}


def test_other_differences_of_topics_are_logged(found: list[Difference], caplog: pytest.LogCaptureFixture) -> None:
    found += [POLICY]
    with pytest.raises(InterruptedError):
        process.prepare(Settings())
    assert caplog.messages == ["recommendations.v1: cleanup.policy is delete, expected compact"]
