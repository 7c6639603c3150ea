"""Decode the JSON object of a record that anybody may have written: bounded in size and depth, or refused."""

import math
import re
from datetime import datetime
from typing import Annotated, Any

import msgspec

from processors.common.bounds import MAX_MS, Id
from processors.common.errors import NearstreamError
from processors.common.time import zone_of

MAX_DEPTH = 32
"""Levels that objects and lists may be nested."""

MAX_PURPOSES = 32
"""Purposes that a record may list."""

Purposes = Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_PURPOSES)]
"""What a user agreed to, in a record that needs no repair."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time that says its time zone."""

_TOO_DEEP = f"value: nested too deeply, expected at most {MAX_DEPTH} levels"
_ZONELESS = "utc_assumed"
ZONELESS = f"timestamp:{_ZONELESS}"
"""Note of a record whose time came without a time zone."""

_A_TIME = "expected ISO-8601 or epoch milliseconds"
_DIGITS = re.compile(r"\d{9,15}")


class Refused(NearstreamError):
    """A record cannot be used. Readers of records catch this and return a refusal, which becomes a dead letter.

    Parameters
    ----------
    reason
        Reason code, such as ``not_json``.
    message
        Text that names field, value and expectation.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def quoted(value: object) -> str:
    """Return a value as Python writes it, for a message: cut to 64 characters, so that it cannot flood a log."""
    text = repr(value)
    return text if len(text) <= 64 else text[:61] + "..."


def decode_object(raw: bytes | None, max_bytes: int) -> dict[str, Any]:
    """Decode a record's value, which must be a JSON object.

    Parameters
    ----------
    raw
        The record's value; :obj:`None` for a tombstone.
    max_bytes
        Longer values are refused without decoding them.

    Raises
    ------
    Refused
        With ``empty_value``, ``too_large``, ``invalid_utf8``, ``too_deep``, ``not_json`` or ``not_an_object``.

    Examples
    --------
    >>> decode_object(b'{"price": 3}', 100)
    {'price': 3}
    >>> decode_object(b"[3]", 100)
    Traceback (most recent call last):
    ...
    processors.events.json_object.Refused: value: [3], expected a JSON object
    """
    if not raw:
        raise Refused("empty_value", "value: empty, expected a JSON object")
    if len(raw) > max_bytes:
        raise Refused("too_large", f"value: {len(raw)} bytes, expected at most {max_bytes}")
    try:
        raw.decode()
        fields = msgspec.json.decode(raw)
    except UnicodeDecodeError as error:
        raise Refused("invalid_utf8", f"value: byte {error.start} is not UTF-8") from error
    except RecursionError as error:
        raise Refused("too_deep", _TOO_DEEP) from error
    except msgspec.MsgspecError as error:
        raise Refused("not_json", f"value: {quoted(raw)} is not JSON: {error}") from error
    if _is_deeper(fields, MAX_DEPTH):
        # The decoder's own limit depends on the depth of the caller's stack; what is refused must not depend on that.
        raise Refused("too_deep", _TOO_DEEP)
    if not isinstance(fields, dict):
        raise Refused("not_an_object", f"value: {quoted(fields)}, expected a JSON object")
    return fields


def _is_deeper(value: object, levels: int) -> bool:
    """Tell whether objects and lists are nested more than ``levels`` deep."""
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in inner)


def as_number(value: object) -> float | None:
    """Read a number, or a text that is one; return :obj:`None` for anything else, NaN and infinity among it.

    A whole number is returned as it is and may be too large for a float: check its range before converting it.

    Examples
    --------
    >>> as_number("89.5"), as_number(True), as_number("nan")
    (89.5, None, None)
    """
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_time(value: object, name: str, repairs: list[str], timezone: str | None = None) -> int:
    """Read a time, ISO-8601 or epoch milliseconds, as milliseconds since the epoch.

    Parameters
    ----------
    value
        What the field holds.
    name
        Name of the field, for notes and messages.
    repairs
        Gets a note if the text has no time zone, or if it is a text of digits.
    timezone
        IANA name of the time zone of a text without one; :obj:`None` for UTC, of which it is not certain then.

    Raises
    ------
    Refused
        With ``wrong_type`` or ``bad_timestamp``.

    Examples
    --------
    >>> as_time("2024-05-01T10:00:00Z", "timestamp", []), as_time("1714557600000", "timestamp", [])
    (1714557600000, 1714557600000)
    >>> as_time("2024-05-01T18:00:00", "timestamp", [], "Asia/Shanghai")
    1714557600000
    """
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
        repairs.append(f"{name}:text_to_number")
    if isinstance(value, str):
        moment = _moment(value)
        if moment is None:
            raise Refused("bad_timestamp", f"{name}: {quoted(value)}, {_A_TIME}")
        if moment.tzinfo is None:
            repairs.append(f"{name}:{_ZONELESS if timezone is None else 'zone_of_settings'}")
            moment = moment.replace(tzinfo=zone_of(timezone or "UTC"))
        return round(moment.timestamp() * 1000)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused("wrong_type", f"{name}: {quoted(value)}, {_A_TIME}")
    if abs(value) > MAX_MS:
        raise Refused("bad_timestamp", f"{name}: {quoted(value)}, {_A_TIME}")
    return round(value)


def _moment(text: str) -> datetime | None:
    """Parse a time as strict decoding does, else by all that ISO-8601 allows; :obj:`None` if neither can."""
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
