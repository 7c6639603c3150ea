"""Events on their way out: filled in, and checked with the worker's own intake before they are sent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from processors.events.event import EVENT_TOPICS
from processors.events.reader import RecordReader
from processors.events.record import Refusal
from processors.events.repair import IntakeSettings
from streams.datasets.event_files import FieldError, id_field, take_topic


@dataclass(frozen=True)
class Outgoing:
    """An event that may be sent. ``where`` is ``line N:`` for a line of input."""

    topic: str
    user_id: str | None
    event_id: str | None
    value: bytes
    repairs: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Refused:
    """An event that a worker would refuse, and why."""

    why: str
    where: str = ""


class Preparer:
    """Makes events of what users type and pipe.

    Parameters
    ----------
    settings
        Limits of the intake.
    topic
        Topic of events that name none.
    raw
        Leave everything as it is, and check nothing.

    Examples
    --------
    >>> preparer = Preparer(IntakeSettings(), "events.click.v1")
    >>> preparer.line(b'{"user_id": "u1"}', 3).why
    'missing_field: item_id: missing, expected a non-empty text of at most 256 characters'
    >>> preparer.line(b'{"user_id": "u1", "item_id": "i1", "event_id": "e1"}', 4).topic
    'events.click.v1'
    """

    def __init__(self, settings: IntakeSettings, topic: str | None = None, raw: bool = False) -> None:
        self._intake = RecordReader(settings)
        self._topic, self._raw = topic, raw

    def event(self, fields: dict[str, Any], kind: str) -> Outgoing | Refused:
        """An event given by its fields."""
        return self._prepare({"type": kind, **fields})

    def line(self, line: bytes, number: int) -> Outgoing | Refused:
        """An event given as a line of JSON."""
        where = f"line {number}: "
        try:
            fields = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return self._as_it_is(line, {}, where) if self._raw else Refused(f"not_json: {error}", where)
        if not isinstance(fields, dict):
            return (
                self._as_it_is(line, {}, where)
                if self._raw
                else Refused("not_an_object: a JSON object is expected", where)
            )
        return self._as_it_is(line, fields, where) if self._raw else self._prepare(fields, where)

    def _as_it_is(self, line: bytes, fields: dict[str, Any], where: str) -> Outgoing | Refused:
        try:
            topic = take_topic(dict(fields), self._topic)
        except FieldError as error:
            return Refused(f"{error}; or name a TYPE on the command line", where)
        return Outgoing(topic, _text(fields.get("user_id")), _text(fields.get(id_field(topic))), line, where=where)

    def _prepare(self, fields: dict[str, Any], where: str = "") -> Outgoing | Refused:
        now = time.time_ns() // 1_000_000
        try:
            topic = take_topic(fields, self._topic)
        except FieldError as error:
            return Refused(str(error), where)
        if not self._raw:
            fields = {id_field(topic): str(uuid4()), "timestamp": now, **fields}
        value = msgspec.json.encode(fields)
        if self._raw:
            return Outgoing(topic, _text(fields.get("user_id")), _text(fields.get(id_field(topic))), value, where=where)
        event = self._intake.read(value, EVENT_TOPICS[topic], now)
        if isinstance(event, Refusal):
            return Refused(f"{event.reason}: {event.message}", where)
        return Outgoing(topic, event.user_id, event.event_id, value, event.repairs, where)


def event_fields(options: dict[str, Any]) -> dict[str, Any]:
    """Fields of an event from options, those not given left out; a time in digits is a number.

    Examples
    --------
    >>> event_fields({"user_id": "u1", "timestamp": "1700000000000", "price": None})
    {'user_id': 'u1', 'timestamp': 1700000000000}
    """
    fields = {name: value for name, value in options.items() if value is not None}
    if str(fields.get("timestamp", "")).isdecimal():
        fields["timestamp"] = int(fields["timestamp"])
    return fields


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
