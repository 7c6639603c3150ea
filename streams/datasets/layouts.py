"""Layouts of event files: which column holds what, by the names that people use, and those of public data sets."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from processors.common.errors import ConfigurationError, FieldError
from processors.events.event_types import EVENT_TYPES

REQUIRED = ("user_id", "item_id", "timestamp")
"""Fields without which there is no event."""

NAMES: dict[str, tuple[str, ...]] = {
    "user_id": ("userid", "user", "visitorid", "customerid", "reviewerid", "memberid", "uid"),
    "item_id": ("itemid", "item", "productid", "movieid", "parentasin", "asin", "articleid", "videoid", "sku"),
    "event_type": ("eventtype", "type", "event", "action", "behavior", "behaviour", "behaviortype"),
    "timestamp": ("timestamp", "time", "eventtime", "ts", "unixreviewtime", "datetime", "date", "createdat"),
    "event_id": ("eventid",),
    "price": ("price", "unitprice"),
    "quantity": ("quantity", "qty"),
    "currency": ("currency",),
    "category": ("category", "categorycode", "categoryid"),
    "brand": ("brand",),
    "session_id": ("sessionid", "usersession"),
    "rating": ("rating", "overall", "stars"),
}
"""Fields of events, and what their columns are called, without case and signs; the first that there is counts."""

_SHORT = {"user": "user_id", "item": "item_id", "type": "event_type", "time": "timestamp"}

KINDS = {
    **{kind: kind for kind in EVENT_TYPES if kind not in ("request", "slate")},
    "pv": "view", "pageview": "view", "page_view": "view", "buy": "purchase", "transaction": "purchase",
    "addtocart": "cart", "add_to_cart": "cart", "favorite": "fav", "wishlist": "fav", "rating": "rate",
    "return": "refund",
}  # fmt: skip
"""Words for types of events, and the type that each means."""

PASSED_OVER = frozenset(("remove_from_cart",))
"""Words for what is no event here, and no mistake of the file either."""

_SEPARATORS = ("::", "\t", ";", "|", ",")


class Layout(msgspec.Struct, frozen=True):
    """How an event file is laid out.

    Parameters
    ----------
    columns
        Names of the columns of a file whose first line is an event already; empty if the first line has the names.
    separator
        What parts the columns; empty to find it out from the first line.
    fields
        Column of a field, for those that are not called as in :data:`NAMES`.
    kind
        Type of all events, where no column has it.
    """

    columns: tuple[str, ...] = ()
    separator: str = ""
    fields: Mapping[str, str] = {}
    kind: str = ""


BY_NAMES = Layout()
"""The layout of a file whose first line names its columns as people do."""

_RATINGS = ("user_id", "item_id", "rating", "timestamp")

LAYOUTS = {
    "movielens-100k": Layout(_RATINGS, "\t"),
    "movielens-1m": Layout(_RATINGS, "::"),
    "taobao": Layout(("user_id", "item_id", "category", "event_type", "timestamp"), ","),
    "yoochoose-clicks": Layout(("user_id", "timestamp", "item_id", "category"), ",", kind="view"),
    "yoochoose-buys": Layout(("user_id", "timestamp", "item_id", "price", "quantity"), ",", kind="purchase"),
    "amazon-2014": Layout(_RATINGS, ","),
    "amazon-2018": Layout(("item_id", "user_id", "rating", "timestamp"), ","),
}
"""Layouts of public data sets whose files have no line with names. Those of MovieLens from 20M on, REES46, RetailRocket
and the reviews of Amazon name their columns, so that they need none."""


def layout_of(name: str | None, columns: str | None) -> Layout:
    """Return the layout that the options of a command ask for.

    Parameters
    ----------
    name
        One of :data:`LAYOUTS`.
    columns
        Such as ``user=UserId,item=ProductID,type=view``: fields and their columns; a type that all events have.

    Raises
    ------
    ConfigurationError
        If there is no such layout or field.

    Examples
    --------
    >>> layout = layout_of(None, "user=UserId,item=ProductID,type=view")
    >>> layout.fields, layout.kind
    ({'user_id': 'UserId', 'item_id': 'ProductID'}, 'view')
    """
    if name is not None and name not in LAYOUTS:
        raise ConfigurationError(f"--layout: {name!r}, expected one of {', '.join(LAYOUTS)}")
    layout = BY_NAMES if name is None else LAYOUTS[name]
    fields = dict(layout.fields)
    kind = layout.kind
    for part in (columns or "").split(",") if columns else ():
        field, _, column = (text.strip() for text in part.partition("="))
        field = _SHORT.get(field, field)
        if field not in NAMES or not column:
            names = ", ".join([*_SHORT, *(name for name in NAMES if name not in _SHORT.values())])
            raise ConfigurationError(f"--columns: {part!r}, expected FIELD=COLUMN with one of {names}")
        if field == "event_type" and column in KINDS:
            kind = KINDS[column]
        else:
            fields[field] = column
    return msgspec.structs.replace(layout, fields=fields, kind=kind)


def separator_of(line: str) -> str:
    """Find out what parts the columns of a line: of the separators that it has, the one that makes the most columns.

    Examples
    --------
    >>> separator_of("user_id;item_id;price"), separator_of("1::7::4::960"), separator_of("one")
    (';', '::', ',')
    """
    counts = {separator: line.count(separator) for separator in _SEPARATORS}
    best = max(_SEPARATORS, key=lambda separator: counts[separator])
    return best if counts[best] else ","


def places_of(header: Sequence[str], layout: Layout) -> dict[str, int]:
    """Find the place of each field that a file has.

    Parameters
    ----------
    header
        Names of the columns.
    layout
        Says which column holds a field that is called otherwise.

    Raises
    ------
    FieldError
        If a required field has no column, or a column that the layout names is not there.
    """
    plain, places = [_plain(name) for name in header], dict[str, int]()
    for field, names in NAMES.items():
        column = layout.fields.get(field)
        if column is not None:
            if column not in header:
                raise FieldError("--columns", column, f"one of the columns {', '.join(header)}")
            places[field] = header.index(column)
            continue
        for name in names:
            if name in plain:
                places[field] = plain.index(name)
                break
    _check(header, places, layout)
    return places


def _check(header: Sequence[str], places: Mapping[str, int], layout: Layout) -> None:
    missing = [field for field in REQUIRED if field not in places]
    if not (layout.kind or "event_type" in places or "rating" in places):
        missing.append("event_type")
    if missing:
        short = {field: name for name, field in _SHORT.items()}[missing[0]]
        hint = f"{short}=COLUMN" if short != "type" else "type=COLUMN, or type=view if all are of one type"
        raise FieldError(
            "header",
            ",".join(header),
            f"a column {missing[0]}, separated by comma, semicolon, tab, | or ::; name another one with "
            f"--columns {hint}, or a file without header with --layout",
        )


def needed(places: Mapping[str, int], kind: str) -> tuple[str, ...]:
    """Return the fields without which a row is no event: those of every event, and what tells its type.

    Parameters
    ----------
    places
        The place of each field that the file has, from :func:`places_of`.
    kind
        Type of all events; empty if a column has it.
    """
    telling = () if kind else ("event_type",) if "event_type" in places else ("rating",)
    return (*REQUIRED, *telling)


def named(fields: dict[str, object], layout: Layout) -> None:
    """Rename the fields of a JSON line to those of a native event, where these are missing."""
    for field, column in layout.fields.items():
        if column in fields:
            fields[field] = fields.pop(column)
    if all(field in fields for field in REQUIRED):
        return
    plain = {_plain(name): name for name in fields}
    for field in REQUIRED:
        if field not in fields:
            found = next((plain[name] for name in NAMES[field] if name in plain), None)
            if found is not None:
                fields[field] = fields.pop(found)


def rows_of(lines: Iterable[str], separator: str) -> Any:
    """Return a reader of rows; of separators of several characters, too."""
    if len(separator) > 1:
        return csv.reader((line.replace(separator, "\x1f") for line in lines), strict=True, delimiter="\x1f")
    return csv.reader(lines, strict=True, delimiter=separator)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
