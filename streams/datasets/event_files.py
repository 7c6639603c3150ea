"""Event files: CSV of the public data sets, and JSON lines of native events, plain or gzip.

A CSV file starts with the header ``user_id,item_id,event_type,timestamp,price,category``: columns in any order, price
and category may be missing, timestamps are Unix seconds. A line of a JSON file is a native event (see
:mod:`processors.events.reader`) that also says its ``topic``, or its ``event_type`` (or ``type``).
"""

import csv
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

import msgspec

from processors.common.bounds import MAX_MS
from processors.common.errors import FieldError
from processors.common.topics import IMPRESSIONS_TOPIC, REQUESTS_TOPIC
from processors.events.event_types import EVENT_TYPES, id_field, take_topic
from streams.datasets.files import EventFileError, is_csv, opened

COLUMNS = ("user_id", "item_id", "event_type", "timestamp", "price", "category")
"""Columns of an event file in CSV; the first four are required."""

_REQUIRED = 4
# Seconds beyond this would be the year 5138; milliseconds taken for seconds are always beyond it.
_MAX_SECONDS = 1e11


class FileEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of a file, as it goes to Kafka.

    Parameters
    ----------
    topic
        One of :data:`processors.events.event.EVENT_TOPICS`.
    key
        The user id.
    value
        Native event as JSON.
    time_ms
        When it happened, milliseconds since the epoch.
    """

    topic: str
    key: bytes
    value: bytes
    time_ms: int


class _Native(msgspec.Struct, omit_defaults=True):
    event_id: str
    user_id: str
    item_id: str
    timestamp: int
    action: str
    price: float | None = None
    category: str | None = None


def read_events(path: Path, limit: int | None = None) -> Iterator[FileEvent]:
    """Yield the events of a file, in its order.

    Parameters
    ----------
    path
        File whose name ends in one of :data:`streams.datasets.files.FORMATS`. An event without ``event_id`` gets one
        made of the file's name and the line, so that a second replay repeats the ids of the first.
    limit
        Stop after so many events.

    Raises
    ------
    EventFileError
        At the first line that is no event.
    """
    read = _csv_events if is_csv(path) else _json_events
    with opened(path) as file:
        yield from islice(read(path, file), limit)


def _csv_events(path: Path, file: IO[bytes]) -> Iterator[FileEvent]:
    rows = csv.reader(_text_lines(file), strict=True)
    prefix, encode = f"{_stem(path)}:", msgspec.json.Encoder().encode
    try:
        header = [name.removeprefix("\ufeff").strip() for name in next(rows, [])]
        pick, width = _picker(header), len(header)
        for row in rows:
            if len(row) != width:
                if not row:
                    continue
                raise FieldError("line", f"{len(row)} columns", f"{width} as in the header")
            row.append("")
            user, item, kind, stamp, price, category = pick(row)
            topic = EVENT_TYPES.get(kind)
            if topic is None or topic == REQUESTS_TOPIC:
                raise FieldError("event_type", kind, f"one of {', '.join(EVENT_TYPES)}")
            if not user or not item:
                raise FieldError("item_id" if user else "user_id", "", "a non-empty id")
            time_ms = round(_seconds(stamp) * 1000)
            # Rating data sets keep the rating in the column of the price.
            amount = _price(price) if price and kind != "rate" else None
            native = _Native(f"{prefix}{rows.line_num}", user, item, time_ms, kind, amount, category or None)
            yield FileEvent(topic, user.encode(), encode(native), time_ms)
    except (FieldError, csv.Error) as error:
        raise EventFileError(f"{path}, line {max(rows.line_num, 1)}: {error}") from error
    except UnicodeDecodeError as error:
        raise EventFileError(f"{path}, line {rows.line_num + 1}: byte {error.start} is not UTF-8") from error


def _picker(header: list[str]) -> Any:
    """Return a function that picks a row's fields in the order of :data:`COLUMNS`.

    For columns that the file lacks it picks the last field, so a row must have an empty field at its end.
    """
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        raise FieldError("column", unknown[0], f"the columns {','.join(COLUMNS)}")
    missing = [name for name in COLUMNS[:_REQUIRED] if name not in header]
    if missing:
        raise FieldError("header", ",".join(header), f"a column {missing[0]}")
    return itemgetter(*(header.index(name) if name in header else len(header) for name in COLUMNS))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if 0 <= seconds < _MAX_SECONDS:
        return seconds
    hint = ", not milliseconds" if seconds >= _MAX_SECONDS else ""
    raise FieldError("timestamp", text, f"seconds since 1970{hint}")


def _price(text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if math.isfinite(price):
        return price
    raise FieldError("price", text, "a finite number or nothing")


def _json_events(path: Path, file: IO[bytes]) -> Iterator[FileEvent]:
    prefix, number = f"{_stem(path)}:", 0
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    try:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            fields = decode(line)
            if not isinstance(fields, dict):
                raise FieldError("line", fields, "a JSON object")
            topic = take_topic(fields)
            fields.setdefault(id_field(topic), f"{prefix}{number}")
            if topic != REQUESTS_TOPIC and (topic != IMPRESSIONS_TOPIC or "items" not in fields):
                _id(fields, "item_id")
            yield FileEvent(topic, _id(fields, "user_id").encode(), encode(fields), _time_ms(fields.get("timestamp")))
    except (FieldError, msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise EventFileError(f"{path}, line {number}: {error}") from error


def _id(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not value or isinstance(value, bool) or not isinstance(value, str | int):
        raise FieldError(name, value, "a non-empty text")
    return str(value)


def _time_ms(stamp: object) -> int:
    """Return the milliseconds since the epoch of a timestamp as a native event has it.

    Examples
    --------
    >>> _time_ms("2023-11-14T22:13:20.123Z"), _time_ms(1_700_000_000_123)
    (1700000000123, 1700000000123)
    """
    if isinstance(stamp, str):
        try:
            moment = datetime.fromisoformat(stamp)
        except ValueError:
            pass
        else:
            return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    elif isinstance(stamp, int | float) and not isinstance(stamp, bool) and abs(stamp) <= MAX_MS:
        return round(stamp)
    raise FieldError("timestamp", stamp, "ISO-8601 or milliseconds since 1970, up to the year 9999")


def _text_lines(file: Iterable[bytes]) -> Iterator[str]:
    return map(bytes.decode, file)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0]
