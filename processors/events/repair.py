"""Reading what apps send: strictly where nothing needs repair, else with every repair there is, else a refusal.

The strict reader decodes straight into a schema (a third of a microsecond). Whatever it declines goes to the reader
that repairs. A message is refused only when it cannot be attributed (who, what, when, which event). A bad optional
field costs that field, never the message.
"""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from processors.common.bounds import MAX_ID_CHARACTERS, EpochMs, Milliseconds, Positive
from processors.common.time import zone_of
from processors.events.event import DEFAULT_ACTIONS, Context, Event, EventKind
from processors.events.json_object import MAX_PURPOSES, Refused, as_number, as_time, decode_object, shown

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
    "bad_items": "an impression lists no items, or more than 100",
    "bad_floor": "the floor of a request for an ad is no amount of money",
    "bad_timestamp": "the timestamp is neither ISO-8601 nor epoch milliseconds",
    "timestamp_ancient": "the timestamp is before intake.earliest_ms",
    "timestamp_future": "the timestamp is further ahead than intake.max_future_ms",
    "bad_record_time": "the record's own time is not between 1970 and the year 9999",
    "wrong_partition": "a forwarded record does not belong to the partition it is on",
    "no_origin": "a record on the topic of forwarded events does not say which event topic it came from",
    "bad_signals": "a record on the topic of item signals is not one",
}
"""Every reason code a dead letter can carry, and what it means."""

MAX_EXTRA_FIELDS = 32
MAX_AMOUNT = 1e9
MAX_AGE = 150

Clean = TypeVar("Clean")


class IntakeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits of the intake.

    Parameters
    ----------
    max_event_bytes
        Larger records are refused unread.
    future_tolerance_ms
        Clock skew that is taken as it is.
    max_future_ms
        Between the tolerance and this, a timestamp is set back to the append time; beyond it the event is refused.
    late_after_ms
        An event older than this at its append time counts as late (a repair note; nothing is refused for being late).
    earliest_ms
        Timestamps before this are refused; the default is the year 1990.
    """

    max_event_bytes: Positive = 262_144
    future_tolerance_ms: Milliseconds = 300_000
    max_future_ms: Milliseconds = 86_400_000
    late_after_ms: Milliseconds = 3_600_000
    earliest_ms: EpochMs = 631_152_000_000


def check_time(time_ms: int, at_ms: int, settings: IntakeSettings) -> tuple[int, tuple[str, ...]]:
    """Judge an event's time against its append time.

    Returns
    -------
    tuple
        The time to use and the repairs made.

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
    """Read records of one kind: strictly first, with repairs if that fails.

    For a message that both accept, ``accept`` and ``repair`` must give the same.

    Parameters
    ----------
    wire
        The schema with nothing to repair; anything else fails to decode. It has the fields ``timestamp`` and
        ``context``.
    accept
        ``accept(wire, time_ms, repairs)``: the clean message.
    repair
        ``repair(raw, at_ms, settings)``: the clean message, repaired where that is possible; raises
        :class:`processors.events.json_object.Refused`.
    usable
        Whether what was decoded needs no repair, beyond what the schema says.
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
        """Read a record's value.

        Parameters
        ----------
        raw
            The value as it came.
        at_ms
            When the record was appended (milliseconds since the epoch), against which its own time is judged.
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
                if (wire.context is None or is_tidy(wire.context)) and self._usable(wire):
                    said = wire.timestamp
                    time_ms = said if isinstance(said, int) else round(said.timestamp() * 1000)
                    return self._accept(wire, *check_time(time_ms, at_ms, settings))
        return self._repair(raw, at_ms, settings)


def repair_event(raw: bytes | None, kind: EventKind, at_ms: int, settings: IntakeSettings) -> Event:
    """Clean event of a record's value, repaired where that is possible.

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
    repairs: list[str] = []
    required: dict[str, Any] = {name: required_id(fields, name, repairs) for name in ("event_id", "user_id", "item_id")}
    time_ms, notes = check_time(required_time(fields, repairs), at_ms, settings)
    repairs.extend(notes)
    unknown = _unknown_context(fields.get("context"))
    optional: dict[str, Any] = {name: read(fields.pop(name, None), name, repairs) for name, read in OPTIONAL.items()}
    if unknown:
        fields["context"] = unknown
    action = optional.pop("action") or DEFAULT_ACTIONS[kind]
    if len(fields) > MAX_EXTRA_FIELDS:
        repairs.append("extra:cut")
        fields = dict(list(fields.items())[:MAX_EXTRA_FIELDS])
    return Event(
        **required, time_ms=time_ms, kind=kind, action=action, **optional, repairs=tuple(repairs), extra=fields
    )


def required_id(fields: dict[str, Any], name: str, repairs: list[str]) -> str:
    """The id in a field, which is taken out of the fields; raises as :func:`as_id`."""
    return as_id(fields.pop(name, None), name, repairs)


def as_id(value: object, name: str, repairs: list[str]) -> str:
    """The value of a field as an id; a whole number becomes a text, and is noted.

    Raises
    ------
    Refused
        With ``missing_field``, ``wrong_type``, ``id_too_long`` or ``empty_id``.

    Examples
    --------
    >>> as_id(7, "user_id", [])
    '7'
    """
    expected = f"expected a non-empty text of at most {MAX_ID_CHARACTERS} characters"
    if value is None:
        raise Refused("missing_field", f"{name}: missing, {expected}")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
        repairs.append(f"{name}:number_to_text")
    if not isinstance(value, str):
        raise Refused("wrong_type", f"{name}: {shown(value)}, {expected}")
    if len(value) > MAX_ID_CHARACTERS:
        raise Refused("id_too_long", f"{name}: {len(value)} characters, {expected}")
    if not value:
        raise Refused("empty_id", f"{name}: {shown(value)}, {expected}")
    return value


def required_time(fields: dict[str, Any], repairs: list[str]) -> int:
    """The time in the field ``timestamp``, which is taken out; raises as ``as_time`` of the JSON reader does."""
    value = fields.pop("timestamp", None)
    if value is None:
        raise Refused("missing_field", "timestamp: missing, expected ISO-8601 or epoch milliseconds")
    return as_time(value, "timestamp", repairs)


def _text(value: object, name: str, repairs: list[str]) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
        repairs.append(f"{name}:number_to_text")
    if not isinstance(value, str) or not value or len(value) > MAX_ID_CHARACTERS:
        repairs.append(f"{name}:dropped")
        return None
    return value


def _amount(value: object, name: str, repairs: list[str]) -> float | None:
    if value is None:
        return None
    amount = as_number(value)
    if amount is None:
        repairs.append(f"{name}:dropped")
        return None
    if isinstance(value, str):
        repairs.append(f"{name}:text_to_number")
    if not 0 <= amount <= MAX_AMOUNT:
        repairs.append(f"{name}:clipped")
    return float(min(max(amount, 0.0), MAX_AMOUNT))


def _age(value: object, name: str, repairs: list[str]) -> int | None:
    if value is None:
        return None
    years = as_number(value)
    if years is None or not 0 <= years <= MAX_AGE:
        repairs.append(f"{name}:dropped")
        return None
    if isinstance(value, str):
        repairs.append(f"{name}:text_to_number")
    if years != int(years):
        repairs.append(f"{name}:rounded_down")
    return int(years)


def _context(value: object, name: str, repairs: list[str]) -> Context | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        repairs.append(f"{name}:dropped")
        return None
    known = {key: _text(value.get(key), f"{name}.{key}", repairs) for key in Context.__struct_fields__}
    zone = known["time_zone"]
    if zone is not None and zone_of(zone) is None:
        repairs.append(f"{name}.time_zone:dropped")
        known["time_zone"] = None
    return Context(**known)


def _purposes(value: object, name: str, repairs: list[str]) -> tuple[str, ...] | None:
    """What was agreed to. Where that cannot be read, nothing was."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_PURPOSES:
        repairs.append(f"{name}:none_taken")
        return ()
    texts = [part for part in value if isinstance(part, str) and 0 < len(part) <= MAX_ID_CHARACTERS]
    if len(texts) < len(value):
        repairs.append(f"{name}:dropped")
    return tuple(texts)


def is_tidy(context: Context) -> bool:
    """Whether every text of a context would be taken as it is."""
    texts = msgspec.structs.astuple(context)
    known = context.time_zone is None or zone_of(context.time_zone) is not None
    return known and all(text is None or 0 < len(text) <= MAX_ID_CHARACTERS for text in texts)


def _unknown_context(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {}
    return {key: part for key, part in value.items() if key not in Context.__struct_fields__}


OPTIONAL: dict[str, Callable[[object, str, list[str]], Any]] = {
    **dict.fromkeys(("action", "session_id", "currency", "category", "brand", "channel"), _text),
    **dict.fromkeys(("recommendation_id", "decision_id", "anonymous_id"), _text),
    **dict.fromkeys(("price", "quantity"), _amount),
    "context": _context,
    "purposes": _purposes,
    "age": _age,
}
"""How each optional field is read: what cannot be repaired is left out, and noted."""
