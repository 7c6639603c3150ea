"""Decode a record strictly, else repair it, else refuse it: the procedure, its settings and its reason codes.

Strict decoding goes straight into a schema (a third of a microsecond); whatever it declines is read field by field and
repaired (:mod:`processors.events.event_fields`). A record is refused only when it does not say who, what, when and
which event. A bad optional field costs that field, never the record.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from processors.common.bounds import EpochMs, Id, Importance, Milliseconds, Positive
from processors.events.consent import take_purposes
from processors.events.event import DEFAULT_ACTIONS, Event, EventKind
from processors.events.event_fields import (
    OPTIONAL_FIELDS,
    needs_no_repair,
    required_id,
    required_time,
    take_as_return,
    unknown_context_fields,
)
from processors.events.json_object import Refused, decode_object
from processors.events.order_lines import order_lines

REASONS = {
    "empty_value": "the record has no value; a tombstone is not an event",
    "too_large": "the record is larger than intake.max_event_bytes, or than what can be forwarded",
    "invalid_utf8": "the record is not UTF-8 text",
    "not_json": "the record is not JSON that can be read (NaN, Infinity and 1e400 cannot)",
    "too_deep": "the JSON is nested more than 32 levels deep",
    "not_an_object": "the JSON is not an object",
    "missing_field": "a required field is missing or null",
    "wrong_type": "a required field has the wrong type",
    "empty_id": "a required id is empty",
    "id_too_long": "an id is longer than 256 characters",
    "bad_items": "an impression or an order lists no items, or more than 100",
    "bad_floor": "the floor of a request for an ad is no amount of money, or in a currency without a rate",
    "bad_blocks": "what a request for an ad does not want, badv or bcat, cannot be read",
    "bad_size": "the sizes of a request for an ad, format or w and h, cannot be read",
    "bad_timestamp": "the timestamp is neither ISO-8601 nor epoch milliseconds",
    "timestamp_ancient": "the timestamp is before intake.earliest_ms",
    "timestamp_future": "the timestamp is further ahead than intake.max_future_ms",
    "bad_record_time": "the record's own time is not between 1970 and the year 9999",
    "wrong_partition": "a forwarded record does not belong to the partition it is on",
    "no_origin": "a record on the topic of forwarded events does not say which event topic it came from",
    "bad_signals": "a record on the topic of item signals is not one",
}
"""Every reason code a dead letter can carry, and what it means."""

_ORDERS = frozenset(("click", "purchase"))
"""Kinds of events that may list several items: what is put into a cart, and what is bought."""

_NO_ITEM = "(none)"

MAX_EXTRA_FIELDS = 32
"""Fields unknown to the schema that an event keeps; further ones are cut off."""

Clean = TypeVar("Clean")


class IntakeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits on the records that apps send.

    Parameters
    ----------
    max_event_bytes
        Larger values are refused without decoding them.
    future_tolerance_ms
        How far a timestamp may be ahead of the record's append time and still be kept as it is (clock skew).
    max_future_ms
        Between the tolerance and this, a timestamp is set back to the append time; beyond it the event is refused.
    late_after_ms
        An event older than this at its append time counts as late (a repair note; nothing is refused for being late).
    earliest_ms
        Timestamps before this are refused; the default is the year 1990.
    worst_rating, best_rating
        The scale of ratings; what is beyond it counts as its end.
    timezone
        IANA name of the time zone that times without one are in, such as ``Europe/Berlin``; by default UTC.
    """

    max_event_bytes: Positive = 262_144
    future_tolerance_ms: Milliseconds = 300_000
    max_future_ms: Milliseconds = 86_400_000
    late_after_ms: Milliseconds = 3_600_000
    earliest_ms: EpochMs = 631_152_000_000
    worst_rating: Importance = 1.0
    best_rating: Importance = 5.0
    timezone: Id | None = None

    def liking(self, rating: float) -> float:
        """Return what a rating says: 1 for the best, 0 in the middle, -1 for the worst.

        Examples
        --------
        >>> [IntakeSettings().liking(stars) for stars in (1, 2, 3, 5, 9)]
        [-1.0, -0.5, 0.0, 1.0, 1.0]
        """
        half = (self.best_rating - self.worst_rating) / 2.0
        liking = (rating - self.worst_rating) / half - 1.0 if half else 0.0
        return max(-1.0, min(liking, 1.0))


def check_time(time_ms: int, at_ms: int, settings: IntakeSettings) -> tuple[int, tuple[str, ...]]:
    """Check an event's timestamp against the append time of its record.

    Parameters
    ----------
    time_ms
        The event's own time, milliseconds since the epoch.
    at_ms
        When the record was appended, milliseconds since the epoch.
    settings
        How far the two may differ.

    Returns
    -------
    tuple
        The time to use, and a note for each repair. A late event keeps its time and gets the note ``timestamp:late``.

    Raises
    ------
    Refused
        With ``timestamp_ancient`` or ``timestamp_future``.

    Examples
    --------
    >>> check_time(1_700_000_900_000, 1_700_000_000_000, IntakeSettings())
    (1700000000000, ('timestamp:future_set_to_arrival',))
    """
    ahead = time_ms - at_ms
    if -settings.late_after_ms <= ahead <= settings.future_tolerance_ms:
        return time_ms, ()
    if ahead > settings.max_future_ms:
        raise Refused("timestamp_future", f"timestamp: {time_ms} is {ahead} ms after the record's arrival at {at_ms}")
    if ahead > 0:
        return at_ms, ("timestamp:future_set_to_arrival",)
    if time_ms < settings.earliest_ms:
        hint = "; epoch milliseconds are expected, not seconds" if time_ms > 600_000_000 else ""
        raise Refused("timestamp_ancient", f"timestamp: {time_ms} is before {settings.earliest_ms}{hint}")
    return time_ms, ("timestamp:late",)


class Format(Generic[Clean]):
    """How records of one kind are read: decoded strictly, and repaired only if that fails.

    Parameters
    ----------
    wire
        Schema of a record that needs no repair, with fields ``timestamp`` and ``context``; anything else must fail to
        decode into it.
    accept
        Called as ``accept(wire, time_ms, repairs)``; turns a decoded record into a clean message.
    repair
        Called as ``repair(raw, at_ms, settings)``; reads the same record field by field, repairs what it can, and
        raises :class:`processors.events.json_object.Refused` otherwise. For a record that both can read it must return
        what ``accept`` returns, or what is stored would depend on the way it was read.
    usable
        Tells of a decoded record whether it meets conditions that the schema cannot express. Where it does not, the
        record goes to ``repair``.
    """

    def __init__(
        self,
        wire: type[msgspec.Struct],
        accept: Callable[[Any, int, tuple[str, ...]], Clean],
        repair: Callable[[bytes | None, int, IntakeSettings], Clean],
        usable: Callable[[Any], bool] = lambda wire: True,  # noqa: ARG005  # the default looks at nothing
    ) -> None:
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(wire).decode
        self._accept, self._repair, self._usable = accept, repair, usable

    def read(self, raw: bytes | None, at_ms: int, settings: IntakeSettings) -> Clean:
        """Read a record's value into a clean message.

        Parameters
        ----------
        raw
            The value as it came.
        at_ms
            When the record was appended (milliseconds since the epoch); its timestamp is checked against that.
        settings
            Limits on size and time.

        Raises
        ------
        Refused
            With a reason code and a message that names field, value and expectation.
        """
        if raw is not None and len(raw) <= settings.max_event_bytes:
            try:
                wire = self._decode(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass
            else:
                if (wire.context is None or needs_no_repair(wire.context)) and self._usable(wire):
                    moment = wire.timestamp
                    time_ms = moment if isinstance(moment, int) else round(moment.timestamp() * 1000)
                    return self._accept(wire, *check_time(time_ms, at_ms, settings))
        return self._repair(raw, at_ms, settings)


def repair_event(raw: bytes | None, kind: EventKind, at_ms: int, settings: IntakeSettings) -> Event:
    """Read an event field by field, with repairs. Use it for what strict decoding declines.

    An order that lists its lines becomes the event of the first line, with those of the others in ``more``.

    Parameters
    ----------
    raw, at_ms, settings
        As for :meth:`Format.read`.
    kind
        Kind of the event, which its topic says.

    Raises
    ------
    Refused
        With the reason code and a message that names field, value and expectation.

    Examples
    --------
    >>> event = repair_event(
    ...     b'{"event_id":"e","user_id":7,"item_id":"i","timestamp":"2024-05-01T10:00:00Z","shelf":3}',
    ...     "browse",
    ...     1714557600000,
    ...     IntakeSettings(),
    ... )
    >>> event.user_id, event.repairs, event.extra
    ('7', ('user_id:number_to_text',), {'shelf': 3})
    """
    fields = decode_object(raw, settings.max_event_bytes)
    lines = order_lines(fields) if kind in _ORDERS else []
    if not lines:
        return _event_of(fields, kind, at_ms, settings)
    first, *others = [_event_of(line, kind, at_ms, settings) for line in lines]
    first.more = tuple(others)
    return first


def _event_of(fields: dict[str, Any], kind: EventKind, at_ms: int, settings: IntakeSettings) -> Event:
    """Make an event of the fields of a record or of one line of it."""
    repairs: list[str] = []
    if kind == "purchase":
        take_as_return(fields, repairs)
    if kind == "browse" and fields.get("item_id") is None:
        fields["item_id"] = _NO_ITEM  # a visit to the home page, a search, a category
    required: dict[str, Any] = {name: required_id(fields, name, repairs) for name in ("event_id", "user_id", "item_id")}
    if required["item_id"] is _NO_ITEM:
        required["item_id"] = ""
    time_ms, notes = check_time(required_time(fields, repairs, settings.timezone), at_ms, settings)
    repairs.extend(notes)
    purposes = take_purposes(fields, repairs)
    unknown = unknown_context_fields(fields.get("context"))
    optional: dict[str, Any] = {
        name: read(fields.pop(name, None), name, repairs) for name, read in OPTIONAL_FIELDS.items()
    }
    if unknown:
        fields["context"] = unknown
    action = optional.pop("action") or DEFAULT_ACTIONS[kind]
    extra = _extra(fields, repairs)
    return Event(
        **required,
        time_ms=time_ms,
        kind=kind,
        action=action,
        purposes=purposes,
        **optional,
        repairs=tuple(repairs),
        extra=extra,
    )


def _extra(fields: dict[str, Any], repairs: list[str]) -> dict[str, Any]:
    """Return the fields that the schema does not know, cut to the number that an event keeps."""
    if len(fields) <= MAX_EXTRA_FIELDS:
        return fields
    repairs.append("extra:cut")
    return dict(list(fields.items())[:MAX_EXTRA_FIELDS])
