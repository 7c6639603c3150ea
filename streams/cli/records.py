"""Records of any topic, for people and for machines."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from processors.common.topics import RECOMMENDATIONS_TOPIC
from processors.ranking.messages import Recommendation
from streams.cli.common import console as standard_output

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from processors.events.record import SourceRecord


_WHOLE: dict[str, Any] = {"no_wrap": True, "overflow": "ignore"}
"""Arguments of texts whose lines stay whole, however narrow the terminal is."""


def record_fields(record: SourceRecord) -> dict[str, Any]:
    r"""Return a record as JSON can hold it.

    Bytes that are no text, or a value that is no JSON, are in ``key_base64`` and ``value_base64``.

    Examples
    --------
    >>> from processors.events.record import Record
    >>> record_fields(Record("t", 0, 7, 1700000000000, b"u1", b"\xff"))["value_base64"]
    '/w=='
    """
    fields: dict[str, Any] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        **_key(record.key),
        **_value(record.value),
    }
    if record.headers:
        fields["headers"] = {name: (value or b"").decode(errors="backslashreplace") for name, value in record.headers}
    return fields


def print_record(record: SourceRecord, console: Console | None = None) -> None:
    """Print a record: a recommendation as a table, anything else as JSON, whose lines stay whole."""
    (console or standard_output()).print(rendered(record), crop=False)


def rendered(record: SourceRecord) -> RenderableType:
    """Return what :func:`print_record` prints."""
    if record.topic == RECOMMENDATIONS_TOPIC and record.value is not None:
        try:
            return rendered_recommendation(msgspec.json.decode(record.value, type=Recommendation))
        except msgspec.MsgspecError:
            pass
    fields = record_fields(record)
    appended = datetime.fromtimestamp(max(record.timestamp, 0) / 1000, UTC).isoformat(timespec="milliseconds")
    head = f"{appended}  {record.topic} partition {record.partition} offset {record.offset}"
    body = {name: fields[name] for name in fields if name not in ("topic", "partition", "offset", "timestamp")}
    pretty = msgspec.json.format(msgspec.json.encode(body), indent=2).decode()
    return Group(Text(head, "dim", **_WHOLE), Text(pretty, **_WHOLE))


def rendered_recommendation(message: Recommendation) -> RenderableType:
    """Return a recommendation with its reasons as a table.

    The lines above and below the table are not wrapped, however narrow the terminal is.
    """
    cause = message.caused_by
    head = f"{message.user_id}  {message.placement}  {message.generated_at}"
    foot = f"after event {cause.event_id} at {cause.topic}/{cause.partition}/{cause.offset}"
    table = Table(*(Column(title, overflow="fold") for title in ("rank", "item", "score", "source", "reasons")))
    for item in message.items:
        reasons = "; ".join(reason.text or reason.kind for reason in item.reasons)
        # Ids come from outside: as Text they are not read as markup.
        table.add_row(str(item.rank), Text(item.item_id), f"{item.score:.3f}", item.source, Text(reasons))
    shown = table if message.items or not message.why else Text(f"nothing: {message.why}")
    return Group(Text(head, "italic", **_WHOLE), shown, Text(foot, "dim italic", **_WHOLE))


def _key(key: bytes | None) -> dict[str, Any]:
    try:
        return {"key": None if key is None else key.decode()}
    except UnicodeDecodeError:
        return {"key_base64": _base64(key)}


def _value(value: bytes | None) -> dict[str, Any]:
    if value is None:
        return {"value": None}
    try:
        return {"value": msgspec.json.decode(value)}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {"value_base64": _base64(value)}


def _base64(raw: bytes | None) -> str:
    return b64encode(raw or b"").decode()
