"""Uploaded audiences: which of the shop's own lists a user is on, as the shop says on ``audiences.v1``.

A record is keyed by the user and names all lists: it takes the place of what was uploaded before. A tombstone takes the
user off all of them. An upload is no message of the user's: it says nothing of purposes, and whether the shop may
upload it is between the two. Whether ads may be chosen by it is the user's to say, at each moment
(:mod:`processors.events.consent`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from processors.common.text import folded
from processors.events.event_fields import as_id
from processors.events.json_object import Refused, as_time, decode_object, quoted
from processors.events.keyed_row import KeyWords, read_row
from processors.events.record import SourceRecord
from processors.events.repair import IntakeSettings, check_time

MAX_LISTS = 64
"""Lists that a user may be on; each profile holds their names."""

_FIELDS = ("audiences", "timestamp", "user_id")
_EXPECTED = f"expected a list of at most {MAX_LISTS} names"

AUDIENCE_REASONS = {
    "missing_key": "the record has no key: nobody knows which user it is of",
    "bad_key": "the key is not UTF-8 text of 1 to 256 characters, none of them U+0000",
    "wrong_partition": "the record is on another partition than its user",
    "key_mismatch": "the value names another user than the key",
    "empty_value": "the value is empty; a tombstone has none at all",
    "too_large": "the value is larger than intake.max_event_bytes",
    "invalid_utf8": "the value is not UTF-8 text",
    "not_json": "the value is not JSON that can be read",
    "too_deep": "the JSON is nested more than 32 levels deep",
    "not_an_object": "the JSON is not an object",
    "unknown_field": "the value has a field that uploads do not have",
    "missing_field": "the value does not say which lists",
    "wrong_type": "a field has the wrong type",
    "too_many": "the user is on more than 64 lists",
    "empty_id": "the name of a list is empty",
    "id_too_long": "the name of a list is longer than 256 characters",
    "bad_timestamp": "the timestamp is neither ISO-8601 nor epoch milliseconds",
    "timestamp_ancient": "the timestamp is before intake.earliest_ms",
    "timestamp_future": "the timestamp is further ahead than intake.max_future_ms",
    "bad_record_time": "the record's own time is not between 1970 and the year 9999",
}
"""Every reason code that the dead letter of an upload can carry, and what it means."""


class AudienceUpload(msgspec.Struct, frozen=True):
    """The lists that a user is on.

    Parameters
    ----------
    user_id
        The user.
    lists
        Names of the lists in their order, each once whatever its case and Unicode form; none after a tombstone.
    time_ms
        When the shop said so, milliseconds since the epoch: the record's timestamp, or else when it was appended.
    repairs
        ``field:what`` for each repair.
    """

    user_id: str
    lists: tuple[str, ...]
    time_ms: int
    repairs: tuple[str, ...] = ()


_KEY_WORDS = KeyWords.of("user")


def read_upload(record: SourceRecord, on: tuple[int, int], settings: IntakeSettings) -> AudienceUpload:
    """Read a record of ``audiences.v1``.

    Parameters
    ----------
    record
        As consumed.
    on
        The partition that it is on, and how many the topic has: an upload must be where the user's events are.
    settings
        Limits on size and time.

    Raises
    ------
    Refused
        With one of :data:`AUDIENCE_REASONS`, and a message that names field, value and expectation.

    Examples
    --------
    >>> from processors.events.record import Record
    >>> record = Record("audiences.v1", 0, 7, 1_700_000_000_000, b"ada", b'{"audiences": ["vip", "VIP", "news"]}')
    >>> read_upload(record, (0, 1), IntakeSettings())
    AudienceUpload(user_id='ada', lists=('news', 'vip'), time_ms=1700000000000, repairs=())
    >>> read_upload(msgspec.structs.replace(record, value=b'{"audience": "vip"}'), (0, 1), IntakeSettings())
    Traceback (most recent call last):
    ...
    processors.events.json_object.Refused: audience: 'vip', expected no other fields than audiences, timestamp, user_id
    """
    user_id, value = read_row(record, _KEY_WORDS, on=on)
    if value is None:
        return AudienceUpload(user_id, (), record.timestamp)
    fields = decode_object(value, settings.max_event_bytes)
    for name, found in fields.items():
        if name not in _FIELDS:
            raise Refused(
                "unknown_field", f"{name[:64]}: {quoted(found)}, expected no other fields than {', '.join(_FIELDS)}"
            )
    repairs: list[str] = []
    if fields.get("user_id") is not None:
        named = as_id(fields["user_id"], "user_id", repairs)
        if named != user_id:
            raise Refused("key_mismatch", f"user_id: {quoted(named)}, expected the record's key {quoted(user_id)}")
    lists, time_ms = _lists(fields, repairs), record.timestamp
    if fields.get("timestamp") is not None:
        said_ms = as_time(fields["timestamp"], "timestamp", repairs)
        time_ms, notes = check_time(said_ms, record.timestamp, settings)
        repairs += [note for note in notes if note != _LATE]
    return AudienceUpload(user_id, lists, time_ms, tuple(repairs))


def _lists(fields: dict[str, Any], repairs: list[str]) -> tuple[str, ...]:
    named = fields.get("audiences")
    if named is None:
        raise Refused("missing_field", f"audiences: missing, {_EXPECTED}")
    if not isinstance(named, list):
        raise Refused("wrong_type", f"audiences: {quoted(named)}, {_EXPECTED}")
    made, distinct = list[str](), dict[str, str]()
    for at, value in enumerate(named):
        name = as_id(value, f"audiences[{at}]", made)
        distinct.setdefault(folded(name), name)
    if len(distinct) > MAX_LISTS:
        raise Refused("too_many", f"audiences: {len(distinct)} names, {_EXPECTED}")
    if made:
        repairs.append("audiences:number_to_text")
    return tuple(sorted(distinct.values()))


_LATE = "timestamp:late"
"""No repair of an upload: what was gathered yesterday is as good."""
