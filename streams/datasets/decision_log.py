"""Nearstream's own log for off-policy evaluation: ad decisions with their clicks, from files or a system's topics.

The auction decides which campaign is shown, by no chance of its own, so the log says nothing of other campaigns: an
action is a creative of the campaign that won, and decisions whose campaign has but one creative say nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from kafka import KafkaConsumer, TopicPartition

from processors.ads.messages import LoggedDecision
from processors.common.errors import FeedbackError, FieldError
from processors.common.topics import CLICKS_TOPIC, DECISION_LOG_TOPIC, IMPRESSIONS_TOPIC
from processors.evaluation.feedback import Feedback
from processors.events.event import DISMISSED
from processors.events.event_types import take_topic
from streams.datasets.files import ShowProgress, count_events, opened, show_nothing
from streams.datasets.open_bandit import Log
from streams.kafka.consumer import read_all
from streams.settings.sections import Settings


class Outcomes:
    """Which ad decisions were seen by their users, and which were clicked, by decision id.

    Examples
    --------
    >>> outcomes = Outcomes()
    >>> outcomes.note("events.click.v1", {"user_id": "ada", "decision_id": "d1"})
    >>> outcomes.seen, outcomes.clicked
    (set(), {'d1'})
    """

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.clicked: set[str] = set()

    def note(self, topic: str, fields: dict[str, Any]) -> None:
        """Take note of an event.

        Ignored are events of other topics, those without the id of a decision, and clicks that dismiss the ad.

        Parameters
        ----------
        topic
            Topic of the event.
        fields
            The event by field.
        """
        decision_id = fields.get("decision_id")
        if not isinstance(decision_id, str) or fields.get("action") == DISMISSED:
            return
        if topic == IMPRESSIONS_TOPIC:
            self.seen.add(decision_id)
        elif topic == CLICKS_TOPIC:
            self.clicked.add(decision_id)


def read_decisions(log: Path, outcomes: Path, campaign: str | None = None, show: ShowProgress = show_nothing) -> Log:
    """Read decisions and outcomes from two files of JSON lines.

    A line holds a message, or a whole record as ``nearstream tail --json`` prints it.

    Parameters
    ----------
    log
        Messages of ``decision-log.v1``.
    outcomes
        Impressions and clicks, each with its ``topic`` or ``type``.
    campaign
        Id of a campaign: only decisions that it won are read.
    show
        Shows how far the files are read.

    Raises
    ------
    FeedbackError, EventFileError
        At the first line that makes no sense; the message names file, line, field and value.
    """
    found = Outcomes()
    for where, fields in _lines(outcomes, show):
        try:
            topic, value = _unpacked(fields)
            found.note(topic or take_topic(value), value)
        except FieldError as error:
            raise FeedbackError(f"{where}: {error}") from error
    decisions = ((where, _unpacked(fields)[1]) for where, fields in _lines(log, show))
    return joined(decisions, found, campaign)


def read_topics(
    consumer: KafkaConsumer, settings: Settings, campaign: str | None = None, show: ShowProgress = show_nothing
) -> Log:
    """Read decisions and outcomes from a running system's topics; records that are no JSON object are passed over.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.
    campaign
        Id of a campaign: only decisions that it won are read.
    show
        Shows how far the topics are read.

    Raises
    ------
    FeedbackError
        If no decision is left that an evaluation could use.
    NearstreamError
        If the topics cannot be read in time.
    """
    found = Outcomes()
    for topic in (IMPRESSIONS_TOPIC, CLICKS_TOPIC):
        for _, fields in _records(consumer, topic, settings, show):
            found.note(topic, fields)
    return joined(_records(consumer, DECISION_LOG_TOPIC, settings, show), found, campaign)


def joined(decisions: Iterable[tuple[str, dict[str, Any]]], outcomes: Outcomes, campaign: str | None = None) -> Log:
    """Join decisions with their outcomes into a log.

    Only decisions that were seen or clicked count. If ``outcomes`` holds no impression at all, the apps do not report
    them, and every decision counts.

    Parameters
    ----------
    decisions
        Where each decision was read, for error messages, and its message.
    outcomes
        Which decisions were seen and clicked.
    campaign
        Id of a campaign: only decisions that it won count.

    Raises
    ------
    FeedbackError
        If a decision makes no sense, or none is left.
    """
    known: dict[str, LoggedDecision] = {}
    for where, fields in decisions:
        decision = _decision(where, fields)
        known.setdefault(decision.decision_id, decision)
    won = [one for one in known.values() if one.cid is not None and campaign in (None, one.cid)]
    chosen = [one for one in won if one.creatives]
    touched = outcomes.seen | outcomes.clicked
    seen = [one for one in chosen if one.decision_id in touched] if outcomes.seen else chosen
    rows = sorted(seen, key=lambda one: (one.at, one.decision_id))
    counts = {"decisions": len(known), "shown": len(won), "with_a_choice": len(chosen), "rows": len(rows)}
    counts["clicked"] = sum(one.decision_id in outcomes.clicked for one in rows)
    if not rows or touched.isdisjoint(one.decision_id for one in rows):
        counted = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in counts.items())
        raise FeedbackError(f"nothing to evaluate by: {counted}; outcomes are known of {len(touched):,} decisions")
    return _log(rows, outcomes, counts)


def _log(rows: list[LoggedDecision], outcomes: Outcomes, counts: dict[str, int]) -> Log:
    names = sorted({f"{one.cid}/{creative.crid}" for one in rows for creative in one.creatives})
    if len(names) * len(rows) > _MOST_CELLS:
        raise FeedbackError(f"{len(rows):,} decisions, {len(names):,} creatives: too many at once; expected --campaign")
    numbers = {name: number for number, name in enumerate(names)}
    at = np.array([row for row, one in enumerate(rows) for _ in one.creatives])
    of = np.array([numbers[f"{one.cid}/{creative.crid}"] for one in rows for creative in one.creatives])
    shape = (len(rows), len(names))
    available, logging, predicted = np.zeros(shape, np.bool_), np.zeros(shape), np.zeros(shape)
    available[at, of] = True
    logging[at, of] = [creative.propensity for one in rows for creative in one.creatives]
    predicted[at, of] = [creative.p_click for one in rows for creative in one.creatives]
    actions = np.array([numbers[f"{one.cid}/{one.crid}"] for one in rows])
    feedback = Feedback(
        actions=actions,
        rewards=np.array([float(one.decision_id in outcomes.clicked) for one in rows]),
        propensities=logging[np.arange(len(rows)), actions],
        n_actions=len(names),
        available=available,
        logging=logging,
        predicted=predicted,
    )
    return Log(feedback, tuple(names), [one.decision_id for one in rows], counts)


def _decision(where: str, fields: dict[str, Any]) -> LoggedDecision:
    try:
        found = msgspec.convert(fields, LoggedDecision)
    except msgspec.ValidationError as error:
        raise FeedbackError(f"{where}: {error}") from error
    if not found.creatives or found.cid is None:
        return found
    shares = {one.crid: one.propensity for one in found.creatives}
    problem = None
    if len(shares) != len(found.creatives):
        problem = FieldError("creatives", [one.crid for one in found.creatives], "each once")
    elif found.crid not in shares:
        problem = FieldError("crid", found.crid, f"one of creatives, {', '.join(shares)}")
    elif not all(0.0 <= share <= 1.0 for share in shares.values()) or abs(sum(shares.values()) - 1.0) > _TOLERANCE:
        problem = FieldError("creatives", list(shares.values()), "propensities from 0 to 1 with the sum 1")
    elif not shares[found.crid]:
        problem = FieldError("propensity", shares[found.crid], "above 0, as what was shown could be shown")
    elif not all(0.0 <= one.p_click <= 1.0 for one in found.creatives):
        problem = FieldError("p_click", [one.p_click for one in found.creatives], "probabilities")
    if problem is not None:
        raise FeedbackError(f"{where}: {problem}")
    return found


def _lines(file: Path, show: ShowProgress) -> Iterator[tuple[str, dict[str, Any]]]:
    with opened(file) as raw:
        for number, line in show(enumerate(raw, 1), count_events(file), file.name):
            if line.isspace():
                continue
            where = f"{file}, line {number}"
            try:
                fields = msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                raise FeedbackError(f"{where}: {error}") from error
            if not isinstance(fields, dict):
                raise FeedbackError(f"{where}: {FieldError('line', fields, 'a JSON object')}")
            yield where, fields


def _unpacked(fields: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Return topic and message of a line that holds a whole record; otherwise no topic and the line as it is."""
    value, topic = fields.get("value"), fields.get("topic")
    return (topic, value) if isinstance(value, dict) and isinstance(topic, str) else (None, fields)


def _records(
    consumer: KafkaConsumer, topic: str, settings: Settings, show: ShowProgress
) -> Iterator[tuple[str, dict[str, Any]]]:
    count = settings.topics.partitions
    for partition in show(range(count), count, topic):
        for record in read_all(consumer, [TopicPartition(topic, partition)]):
            try:
                fields = msgspec.json.decode(record.value or b"null")
            except (msgspec.DecodeError, UnicodeError, RecursionError):
                continue
            if isinstance(fields, dict):
                yield f"{topic}[{partition}], offset {record.offset}", fields


_TOLERANCE = 1e-6
_MOST_CELLS = 2 * 10**7
