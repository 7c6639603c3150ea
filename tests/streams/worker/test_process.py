"""What a worker says and refuses before it starts."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from processors.common.errors import ConfigurationError
from streams.kafka.clients import member_name
from streams.kafka.errors import BrokerRefused, BrokerUnavailable
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
    monkeypatch.setattr(process, "group_clients", lambda _: [])
    monkeypatch.setattr(process, "check_topic_ids", stop)
    return differences


@pytest.mark.parametrize(
    ("members", "served"),
    [([], False), (["nearstream-0"], True), (["nearstream-0", "own"], False), (["own"], False), (None, None)],
)
def test_a_predecessor_that_is_still_a_member_is_no_other_worker(
    monkeypatch: pytest.MonkeyPatch, members: list[str] | None, served: bool | None
) -> None:
    own = member_name(Settings())
    found = members and [own if name == "own" else name for name in members]
    monkeypatch.setattr(process, "group_clients", lambda _: found)
    assert process.served_by_others(Settings()) is served


def test_brokers_that_go_away_before_it_joins_do_not_end_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Exception] = [
        BrokerUnavailable("does not answer"),
        ConfigurationError("kafka.ssl_certfile: cannot be loaded"),
        BrokerRefused("is not allowed"),
    ]

    def ask(_: object) -> list[str]:
        raise answers.pop(0)

    monkeypatch.setattr(process, "group_clients", ask)
    assert process.served_by_others(Settings()) is None
    assert process.served_by_others(Settings()) is None, "a certificate is being replaced"
    with pytest.raises(BrokerRefused):
        process.served_by_others(Settings())


def test_the_name_of_a_member_follows_from_its_host_and_state_directory(tmp_path: Path) -> None:
    def name(folder: str) -> str:
        worker = msgspec.structs.replace(Settings().worker, state_dir=str(tmp_path / folder))
        return member_name(msgspec.structs.replace(Settings(), worker=worker))

    assert name("a") == name("b/../a") != name("b")


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
