"""Orders that list their lines, as Segment and GA4 send them: each line is an event of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.events.json_object import Refused

MOST_LINES = 100
"""Lines that an order may have."""

_LISTS = ("items", "products")
_OF_THE_ORDER = frozenset(("context", "decision_id"))
_FIELDS = {
    "item_id": ("item_id", "product_id", "id", "sku"),
    "price": ("price",),
    "quantity": ("quantity",),
    "currency": ("currency",),
    "category": ("category", "item_category"),
    "brand": ("brand", "item_brand"),
}
"""Fields of a line, and what they are called; the first that there is counts."""


def order_lines(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """Part an event that lists items, and names none, into one event for each; return nothing for any other event.

    The lines have the fields of the order, and their own over them. The first one has the order's id, the others that
    id with their number, so that a line that comes again is known. Circumstances, and the ad that led to the order, go
    with the first: an order is charged for once.

    Parameters
    ----------
    fields
        Fields of the record.

    Raises
    ------
    Refused
        With ``bad_items``, if the list is empty or longer than :data:`MOST_LINES`.

    Examples
    --------
    >>> order = {"event_id": "o1", "user_id": "ada", "items": [{"item_id": "tent", "price": 9}, "lamp"]}
    >>> for line in order_lines(order):
    ...     print(line)
    {'event_id': 'o1', 'user_id': 'ada', 'item_id': 'tent', 'price': 9}
    {'event_id': 'o1/1', 'user_id': 'ada', 'item_id': 'lamp'}
    """
    name = next((name for name in _LISTS if isinstance(fields.get(name), list)), None)
    if fields.get("item_id") is not None or name is None:
        return []
    listed = fields[name]
    if not 0 < len(listed) <= MOST_LINES:
        raise Refused("bad_items", f"{name}: {len(listed)} lines, expected 1 to {MOST_LINES}")
    order = {key: value for key, value in fields.items() if key not in (name, "item_id")}
    shared = {key: value for key, value in order.items() if key not in _OF_THE_ORDER}
    lines = []
    for number, part in enumerate(listed):
        line = {**(order if number == 0 else shared), **_line(part)}
        if number and isinstance(order.get("event_id"), str | int):
            line["event_id"] = f"{order['event_id']}/{number}"
        lines.append(line)
    return lines


def _line(part: object) -> dict[str, Any]:
    """Return the fields of one line; a line that is no object is the id of its item."""
    if not isinstance(part, Mapping):
        return {"item_id": part}
    found = {}
    for field, names in _FIELDS.items():
        value = next((part[name] for name in names if part.get(name) is not None), None)
        if value is not None or field == "item_id":
            found[field] = value
    return found
