"""Preparing events for sending: filling them in, and checking them as a worker would before they are sent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec

from processors.common.errors import FieldError
from processors.events.event import EVENT_TOPICS
from processors.events.event_types import id_field, take_topic
from processors.events.reader import RecordReader
from processors.events.record import Refusal
from processors.events.repair import IntakeSettings


@dataclass(frozen=True)
class Outgoing:
    """An event that may be sent.

    Parameters
    ----------
    topic, value
        Where it goes, and its JSON.
    user_id, event_id
        The ids that the JSON names; :obj:`None` for one that it does not name.
    repairs
        What a worker would repair, as ``field:what``.
    where
        ``line N:`` for a line of input, else empty.
    """

    topic: str
    user_id: str | None
    event_id: str | None
    value: bytes
    repairs: tuple[str, ...] = ()
    where: str = ""


@dataclass(frozen=True)
class Refused:
    """An event that a worker would refuse, why, and which line of input it is."""

    why: str
    where: str = ""


class Preparer:
    """Turns what a user types or pipes into events.

    Parameters
    ----------
    settings
        Limits that a worker applies to events.
    topic
        Topic of events that name none.
    raw
        Send everything as it is, without filling in or checking anything.

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
        """Prepare an event given by its fields and its type."""
        return self._prepare({"type": kind, **fields})

    def line(self, line: bytes, number: int) -> Outgoing | Refused:
        """Prepare an event given as a line of JSON, the ``number``-th of the input."""
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
    """Return an event's fields from options, without those not given; a time in digits becomes a number.

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
