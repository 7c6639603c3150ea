"""Event files: CSV of the public data sets, and JSON lines of native events, plain or gzip.

A CSV file starts with the header ``user_id,item_id,event_type,timestamp,price,category``: columns in any order, price
and category may be missing, timestamps are Unix seconds. A line of a JSON file is a native event (see
:mod:`processors.events.reader`) that also says its ``topic``, or its ``event_type`` (or ``type``).
"""

import csv
import gzip
import io
import math
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

import msgspec

from processors.common.errors import NearstreamError
from processors.common.topics import IMPRESSIONS_TOPIC, REQUESTS_TOPIC
from processors.events.event import EVENT_TOPICS

EVENT_TYPES = {
    "browse": "events.browse.v1",
    "view": "events.browse.v1",
    "rate": "events.browse.v1",
    "click": "events.click.v1",
    "cart": "events.click.v1",
    "fav": "events.click.v1",
    "purchase": "events.purchase.v1",
    "impression": IMPRESSIONS_TOPIC,
    "request": REQUESTS_TOPIC,
}
"""Topic of each type of event that a file may name."""

FORMATS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz")
COLUMNS = ("user_id", "item_id", "event_type", "timestamp", "price", "category")
_REQUIRED = 4
# Seconds beyond this would be the year 5138; milliseconds taken for seconds are always beyond it.
_MAX_SECONDS = 1e11


class FieldError(NearstreamError):
    """A field of an event is not what it must be. The message names field, value and expectation."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: {'missing' if value is None else _shown(value)}, expected {expected}")


class EventFileError(NearstreamError):
    """An event file cannot be read. The message names file, line, and what is wrong there."""


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
    """Events of a file, in its order.

    Parameters
    ----------
    path
        File whose name ends as one of :data:`FORMATS`. An event without ``event_id`` gets one made of the file's name
        and the line, so that a second replay repeats the ids of the first.
    limit
        Stop after so many events.

    Raises
    ------
    EventFileError
        At the first line that is no event.
    """
    read = _csv_events if _is_csv(path) else _json_events
    with opened(path) as file:
        yield from islice(read(path, file), limit)


def count_events(path: Path) -> int:
    """Number of events of a file, from its line ends alone: empty lines count.

    Raises
    ------
    EventFileError
        If the file cannot be read.
    """
    lines, last = 0, b"\n"
    header = _is_csv(path)
    with opened(path) as file:
        while block := file.read(2**20):
            lines += block.count(b"\n")
            last = block[-1:]
    return max(lines + (last != b"\n") - header, 0)


def take_topic(fields: dict[str, Any], default: str | None = None) -> str:
    """Topic that a JSON event names, which is taken out of it; a type stays in it as ``action``.

    Parameters
    ----------
    fields
        The event; changed.
    default
        Topic of events that name none.

    Raises
    ------
    FieldError
        If it names none and there is no default, or one that is not known.

    Examples
    --------
    >>> fields = {"type": "cart", "user_id": "u1"}
    >>> take_topic(fields), fields
    ('events.click.v1', {'user_id': 'u1', 'action': 'cart'})
    """
    topic, name = fields.pop("topic", None), "event_type" if "event_type" in fields else "type"
    kind = fields.get(name)
    if isinstance(kind, str) and kind in EVENT_TYPES:
        del fields[name]
        if kind not in ("browse", "impression", "request"):
            fields.setdefault("action", kind)
        topic = topic or EVENT_TYPES[kind]
    elif kind is not None and topic is None:
        raise FieldError(name, kind, f"one of {', '.join(EVENT_TYPES)}")
    topic = topic or default
    if topic is None:
        raise FieldError("event_type", None, f"one of {', '.join(EVENT_TYPES)}, or a topic")
    if not isinstance(topic, str) or topic not in EVENT_TOPICS:
        raise FieldError("topic", topic, f"one of {', '.join(EVENT_TOPICS)}")
    return topic


def id_field(topic: str) -> str:
    """What the id of a record is called on a topic.

    Examples
    --------
    >>> id_field("events.click.v1"), id_field("ads.requests.v1")
    ('event_id', 'request_id')
    """
    return "request_id" if topic == REQUESTS_TOPIC else "event_id"


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
    """Gives a row's fields in the order of :data:`COLUMNS`; a row ends with an empty field for columns it lacks."""
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
    """Milliseconds of a native timestamp.

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
    elif isinstance(stamp, int | float) and not isinstance(stamp, bool):
        return round(stamp)
    raise FieldError("timestamp", stamp, "ISO-8601 or milliseconds since 1970")


def _text_lines(file: Iterable[bytes]) -> Iterator[str]:
    return map(bytes.decode, file)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0]


def _is_csv(path: Path) -> bool:
    if not path.name.endswith(FORMATS):
        raise EventFileError(f"{path}: the format is not known; expected a name that ends with {', '.join(FORMATS)}")
    return path.name.removesuffix(".gz").endswith(".csv")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file's bytes, unpacked if its name ends with ``.gz``.

    Raises
    ------
    EventFileError
        If it cannot be read, there or while it is being read.
    """
    try:
        with path.open("rb") as raw:
            # A buffer around gzip doubles the speed of reading lines.
            yield io.BufferedReader(gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise EventFileError(f"{path}: is not a whole gzip file: {error}") from error
    except OSError as error:
        raise EventFileError(f"{path}: {error.strerror or error}") from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 64 else f"{text[:61]}..."
