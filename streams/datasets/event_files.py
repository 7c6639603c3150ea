"""Event files: CSV and JSON lines, plain or gzip, in the layouts that people have.

A line of a CSV file is an event: its columns are found by their names, by a layout (:mod:`streams.datasets.layouts`) or
by what the caller says. A line of a JSON file is a native event (see :mod:`processors.events.reader`) that also says
its ``topic``, or its ``event_type`` (or ``type``). Times may have any unit (:mod:`streams.datasets.times`). What comes
out are native events: text ids, a known action, milliseconds since the epoch.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import msgspec

from processors.common.errors import FieldError
from processors.common.topics import (
    CLICKS_TOPIC,
    IMPRESSIONS_TOPIC,
    PURCHASES_TOPIC,
    REQUESTS_TOPIC,
    SLATE_REQUESTS_TOPIC,
)
from processors.common.wire_errors import taken_for
from processors.events.event_fields import take_as_return
from processors.events.event_types import EVENT_TYPES, id_field, take_topic
from processors.events.json_object import Refused
from processors.events.order_lines import order_lines
from streams.datasets.cells import amount_of, id_of, line_of, text_of
from streams.datasets.files import EventFileError, is_csv, opened
from streams.datasets.layouts import (
    BY_NAMES,
    KINDS,
    PASSED_OVER,
    Layout,
    named,
    needed,
    places_of,
    rows_of,
    separator_of,
)
from streams.datasets.reading import Reading
from streams.datasets.times import moment_of

_MARK = b"\xef\xbb\xbf"


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


def read_events(
    path: Path, limit: int | None = None, layout: Layout = BY_NAMES, reading: Reading | None = None
) -> Iterator[FileEvent]:
    """Yield the events of a file, in its order.

    Parameters
    ----------
    path
        File whose name ends in one of :data:`streams.datasets.files.FORMATS`. An event without ``event_id`` gets one
        made of the file's name and the line, so that a second replay repeats the ids of the first.
    limit
        Stop after so many events.
    layout
        How the file is laid out, where its first line does not say that by names that are known.
    reading
        Gets what came of the lines; those that are no event are noted there and skipped.

    Raises
    ------
    EventFileError
        If the file cannot be read, or has no column for a required field; without ``reading``, at the first line that
        is no event.
    """
    lines = _Lines(path, reading)
    read = _csv_events if is_csv(path) else _json_events
    with opened(path) as file:
        found = islice(read(lines, file, layout), limit)
        yield from found if reading is None else reading.watched(found)


class _Lines:
    """The lines of a file: their ids, and what is done with one that is no event."""

    def __init__(self, path: Path, reading: Reading | None) -> None:
        self._path, self._reading = path, reading
        self.prefix = f"{path.name.removesuffix('.gz').rpartition('.')[0]}:"
        self.notes = reading or Reading()
        self.not_text: dict[int, int] = {}

    def refuse(self, number: int, error: Exception, first: int = 0) -> None:
        """Note a line that cannot be read, or raise what is wrong with it; with ``first``, all lines from that on."""
        if self._reading is None:
            raise EventFileError(f"{self._path}, line {number}: {error}") from error
        reason = error.field if isinstance(error, FieldError) else "format"
        self.notes.refuse(reason, number, str(error), first or number)

    def texts(self, file: IO[bytes]) -> Iterator[str]:
        """Yield the lines as text; of those that are not UTF-8, note the byte that is not."""
        for number, line in enumerate(file, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                self.not_text[number] = error.start
                yield line.decode(errors="replace")

    def stop(self, number: int, error: Exception) -> EventFileError:
        """Return the error for a file none of whose lines can be read."""
        return EventFileError(f"{self._path}, line {number}: {error}")


def _csv_events(lines: _Lines, file: IO[bytes], layout: Layout) -> Iterator[FileEvent]:
    texts = lines.texts(file)
    first = next(texts, "")
    rows = rows_of(chain([first], texts), layout.separator or separator_of(first))
    try:
        header = layout.columns or [name.strip() for name in next(rows, [])]
        row_of = _Row(places_of(header, layout), len(header), layout.kind, lines)
    except (FieldError, csv.Error) as error:
        raise lines.stop(1, error) from error
    while True:
        begin = rows.line_num + 1
        try:
            row = next(rows, None)
            if row is None:
                return
            event = row_of.event(row, rows.line_num) if row else None
        except (FieldError, csv.Error, UnicodeError) as error:
            # A quotation mark that is not closed takes the lines after it into its cell.
            lines.refuse(max(rows.line_num, 1), error, begin)
            continue
        if rows.line_num > begin:
            lines.notes.take_inside(begin, rows.line_num)
        if event is not None:
            yield event


class _Row:
    """Makes events of the rows of one file."""

    def __init__(self, places: dict[str, int], width: int, kind: str, lines: _Lines) -> None:
        self._width, self._kind, self._lines = width, kind, lines
        self._enough = 1 + max(places[field] for field in needed(places, kind))
        self._user, self._item, self._time = places["user_id"], places["item_id"], places["timestamp"]
        self._type, self._id = places.get("event_type"), places.get("event_id")
        self._texts = [(field, places[field]) for field in _TEXTS if field in places]
        self._numbers = [(field, places[field]) for field in _NUMBERS if field in places]
        self._encode = msgspec.json.Encoder().encode

    def event(self, row: Sequence[str], number: int) -> FileEvent | None:
        """Make the event of a row; :obj:`None` for what is none and no mistake either."""
        if number in self._lines.not_text:
            raise _NotText(self._lines.not_text[number])
        if len(row) != self._width:
            row = self._filled(row)
        kind = self._kind or self._kind_of(row)
        if not kind:
            return None
        user, item = id_of(row[self._user], "user_id"), id_of(row[self._item], "item_id")
        time_ms, _ = moment_of(row[self._time])
        notes = self._lines.notes
        given = line_of(text_of(row[self._id]), "event_id") if self._id is not None else ""
        native: dict[str, Any] = {
            "event_id": given or f"{self._lines.prefix}{number}",
            "user_id": user,
            "item_id": item,
            "timestamp": time_ms,
            "action": kind,
        }
        for field, at in self._numbers:
            # Some data sets keep the rating in the column of the price: it is not one, and nobody says on which scale.
            text = line_of(row[at], field)
            if text and not (kind == "rate" and field == "price"):
                amount = amount_of(text)
                if amount is None:
                    notes.left_out[field] += 1
                else:
                    native[field] = amount
        for field, at in self._texts:
            if row[at]:
                native[field] = line_of(row[at], field)
        if kind == "purchase":
            take_as_return(native, [])
        return FileEvent(EVENT_TYPES[kind], user.encode(), self._encode(native), time_ms)

    def _filled(self, row: Sequence[str]) -> Sequence[str]:
        """Return a row with the columns at its end that were left off; refuse one that lacks what an event needs."""
        if not self._enough <= len(row) < self._width:
            least = f", {self._enough} at least" if self._enough < self._width else ""
            raise FieldError("line", f"{len(row)} columns", f"{self._width} as in the header{least}")
        return [*row, *[""] * (self._width - len(row))]

    def _kind_of(self, row: Sequence[str]) -> str:
        if self._type is None:
            return "rate"
        name = row[self._type].strip()
        kind = KINDS.get(name) or KINDS.get(name.casefold())
        if kind is None and name in PASSED_OVER:
            self._lines.notes.passed_over[name] += 1
            return ""
        if kind is None:
            raise FieldError("event_type", name, f"one of {', '.join(kind for kind in EVENT_TYPES if kind in KINDS)}")
        return kind


class _NotText(FieldError):
    def __init__(self, at: int) -> None:
        super().__init__("line", None, "UTF-8")
        self.args = (f"byte {at} is not UTF-8",)


_NUMBERS, _TEXTS = ("price", "quantity", "rating"), ("category", "brand", "currency", "session_id")


def _json_events(lines: _Lines, file: IO[bytes], layout: Layout) -> Iterator[FileEvent]:
    decode, encode = msgspec.json.Decoder().decode, msgspec.json.Encoder().encode
    for number, line in enumerate(file, 1):
        if number == 1:
            line = line.removeprefix(_MARK)
        if line.isspace():
            continue
        try:
            fields = decode(line)
            if not isinstance(fields, dict):
                raise FieldError("line", fields, "a JSON object")
            events = _json_line(fields, f"{lines.prefix}{number}", layout, lines.notes)
            made = [FileEvent(topic, user.encode(), encode(of), at) for topic, user, at, of in events]
        except (FieldError, Refused, msgspec.DecodeError, UnicodeError, RecursionError) as error:
            lines.refuse(number, error)
            continue
        lines.notes.beyond += max(len(made) - 1, 0)
        yield from made


_Made = tuple[str, str, int, dict[str, Any]]
"""Topic, user, time and fields of an event."""


def _json_line(fields: dict[str, Any], new_id: str, layout: Layout, notes: Reading) -> list[_Made]:
    """Make native events of the fields of a line: one, none for what is passed over, several for an order."""
    named(fields, layout)
    word = fields.get("event_type", fields.get("type"))
    if isinstance(word, str) and word not in EVENT_TYPES:
        if word in PASSED_OVER:
            notes.passed_over[word] += 1
            return []
        if word in KINDS and "topic" not in fields:
            fields["event_type" if "event_type" in fields else "type"] = KINDS[word]
    default = layout.kind or ("rate" if "rating" in fields or "overall" in fields else None)
    if default and not {"topic", "event_type", "type"} & fields.keys():
        fields["type"] = default
    topic = take_topic(fields)
    fields.setdefault(id_field(topic), new_id)
    parts = order_lines(fields) if topic in (CLICKS_TOPIC, PURCHASES_TOPIC) else []
    return [_json_event(part, topic, notes) for part in parts or [fields]]


def _json_event(fields: dict[str, Any], topic: str, notes: Reading) -> _Made:
    if topic not in (REQUESTS_TOPIC, SLATE_REQUESTS_TOPIC) and (topic != IMPRESSIONS_TOPIC or "items" not in fields):
        fields["item_id"] = _json_id(fields, "item_id")
    user = fields["user_id"] = _json_id(fields, "user_id")
    stamp = fields.get("timestamp")
    time_ms, unit = moment_of(stamp)
    if unit not in ("iso", "milliseconds"):
        notes.units[unit] += 1
    if not ((unit == "milliseconds" and isinstance(stamp, int)) or (unit == "iso" and not str(stamp).endswith("UTC"))):
        fields["timestamp"] = time_ms  # as a worker can read it
    return topic, user, time_ms, fields


def _json_id(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not value or isinstance(value, bool) or not isinstance(value, str | int):
        others = (field for field in fields if field != name)
        raise FieldError(name, value, f"a non-empty text{taken_for(name, others) if value is None else ''}")
    return str(value)
