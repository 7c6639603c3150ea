"""What a worker says and refuses before it starts."""

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


def test_other_differences_of_topics_are_logged(found: list[Difference], caplog: pytest.LogCaptureFixture) -> None:
    found += [POLICY]
    with pytest.raises(InterruptedError):
        process.prepare(Settings())
    assert caplog.messages == ["recommendations.v1: cleanup.policy is delete, expected compact"]
