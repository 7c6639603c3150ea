"""Fields of events as apps send them: how each is read, what is repaired, and what is left out.

A required field that cannot be used refuses its record. An optional field that cannot be used is dropped. Every reader
of an optional field takes its value, its name, and the list to which it appends a note such as ``price:clipped`` for
each repair.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from processors.common.bounds import MAX_ID_CHARACTERS
from processors.common.time import zone_of
from processors.common.wire_errors import taken_for
from processors.events.event import REFUNDED, Context
from processors.events.json_object import MAX_PURPOSES, Refused, as_number, as_time, quoted

MAX_AMOUNT = 1e9
"""Highest price, quantity or floor of an event; what is above counts as this."""

MAX_AGE = 150
"""Highest age of a user in years; what is above is dropped."""


_AN_ID = f"expected a non-empty text of at most {MAX_ID_CHARACTERS} characters"


def required_id(fields: dict[str, Any], name: str, repairs: list[str]) -> str:
    """Take the required id of that name out of the fields.

    Parameters
    ----------
    fields
        Fields of a record; the id is removed from it.
    name
        Name of the field.
    repairs
        Gets a note if a number was turned into a text.

    Raises
    ------
    Refused
        As :func:`as_id`.
    """
    value = fields.pop(name, None)
    if value is None:
        raise Refused("missing_field", f"{name}: missing, {_AN_ID}{taken_for(name, fields)}")
    return as_id(value, name, repairs)


def as_id(value: object, name: str, repairs: list[str]) -> str:
    """Read a value as an id: a text of 1 to 256 characters. A whole number, 7 or 7.0, is written as a text, and noted.

    Parameters
    ----------
    value
        What the field holds; :obj:`None` if it is missing.
    name
        Name of the field, for notes and messages.
    repairs
        Gets a note if a number was turned into a text.

    Raises
    ------
    Refused
        With ``missing_field``, ``wrong_type``, ``id_too_long`` or ``empty_id``.

    Examples
    --------
    >>> as_id(7, "user_id", []), as_id(7.0, "user_id", [])
    ('7', '7')
    """
    if value is None:
        raise Refused("missing_field", f"{name}: missing, {_AN_ID}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
        repairs.append(f"{name}:number_to_text")
    if not isinstance(value, str):
        raise Refused("wrong_type", f"{name}: {quoted(value)}, {_AN_ID}")
    if len(value) > MAX_ID_CHARACTERS:
        raise Refused("id_too_long", f"{name}: {len(value)} characters, {_AN_ID}")
    if not value:
        raise Refused("empty_id", f"{name}: {quoted(value)}, {_AN_ID}")
    return value


def required_time(fields: dict[str, Any], repairs: list[str], timezone: str | None) -> int:
    """Take the field ``timestamp`` out of the fields, as milliseconds since the epoch.

    A time without a time zone is in ``timezone``, if that is given.

    Raises
    ------
    Refused
        With ``missing_field``, or as :func:`processors.events.json_object.as_time`.
    """
    value = fields.pop("timestamp", None)
    if value is None:
        meant = taken_for("timestamp", fields)
        raise Refused("missing_field", f"timestamp: missing, expected ISO-8601 or epoch milliseconds{meant}")
    return as_time(value, "timestamp", repairs, timezone)


def optional_text(value: object, name: str, repairs: list[str]) -> str | None:
    """Read a text of 1 to 256 characters; a whole number is written as a text, anything else is dropped."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
        repairs.append(f"{name}:number_to_text")
    if not isinstance(value, str) or not value or len(value) > MAX_ID_CHARACTERS:
        repairs.append(f"{name}:dropped")
        return None
    return value


def optional_amount(value: object, name: str, repairs: list[str]) -> float | None:
    """Read a price or quantity, clipped to 0 to :data:`MAX_AMOUNT`; what is no number is dropped."""
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


def take_as_return(fields: dict[str, Any], repairs: list[str]) -> None:
    """Make a refund of a purchase whose quantity or price is negative, which is how many shops write a return.

    Parameters
    ----------
    fields
        Fields of the record; they are changed.
    repairs
        Gets a note for each negative figure.

    Examples
    --------
    >>> fields, repairs = {"quantity": -1, "price": 9.5}, []
    >>> take_as_return(fields, repairs)
    >>> fields, repairs
    ({'quantity': 1, 'price': 9.5, 'action': 'refund'}, ['quantity:taken_as_return'])
    """
    if fields.get("action") not in (None, "purchase", REFUNDED):
        return
    for name in ("quantity", "price"):
        figure = as_number(fields.get(name))
        if figure is not None and figure < 0:
            fields[name], fields["action"] = -figure, REFUNDED
            repairs.append(f"{name}:taken_as_return")


def optional_age(value: object, name: str, repairs: list[str]) -> int | None:
    """Read an age in whole years, rounded down; one that is not between 0 and :data:`MAX_AGE` is dropped."""
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


_LARGEST_RATING = 1e9
"""Beyond it, up or down, no scale of ratings goes."""


def optional_rating(value: object, name: str, repairs: list[str]) -> float | None:
    """Read a rating; what is no number, or none that anybody rates by, is dropped."""
    rating = None if value is None else as_number(value)
    if rating is None or abs(rating) > _LARGEST_RATING:
        if value is not None:
            repairs.append(f"{name}:dropped")
        return None
    if isinstance(value, str):
        repairs.append(f"{name}:text_to_number")
    return float(rating)


def optional_context(value: object, name: str, repairs: list[str]) -> Context | None:
    """Read a context object field by field; fields that the schema does not know are ignored.

    See :func:`unknown_context_fields` for what is ignored. A time zone without an entry in the time-zone database is
    dropped.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        repairs.append(f"{name}:dropped")
        return None
    known = {key: optional_text(value.get(key), f"{name}.{key}", repairs) for key in Context.__struct_fields__}
    zone = known["time_zone"]
    if zone is not None and zone_of(zone) is None:
        repairs.append(f"{name}.time_zone:dropped")
        known["time_zone"] = None
    return Context(**known)


def optional_purposes(value: object, name: str, repairs: list[str]) -> tuple[str, ...] | None:
    """Read the purposes that the user agreed to; a list that cannot be read counts as consent to nothing.

    Returns
    -------
    tuple of str or None
        :obj:`None` only if the field is missing or null, that is, if the app says nothing about consent.
    """
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_PURPOSES:
        repairs.append(f"{name}:none_taken")
        return ()
    texts = [part for part in value if isinstance(part, str) and 0 < len(part) <= MAX_ID_CHARACTERS]
    if len(texts) < len(value):
        repairs.append(f"{name}:dropped")
    return tuple(texts)


def needs_no_repair(context: Context) -> bool:
    """Tell whether :func:`optional_context` would keep every text of a decoded context as it is."""
    texts = msgspec.structs.astuple(context)
    known = context.time_zone is None or zone_of(context.time_zone) is not None
    return known and all(text is None or 0 < len(text) <= MAX_ID_CHARACTERS for text in texts)


def unknown_context_fields(value: object) -> dict[str, Any]:
    """Return the fields of a context object that the schema does not know; none if the value is no object."""
    if not isinstance(value, Mapping):
        return {}
    return {key: part for key, part in value.items() if key not in Context.__struct_fields__}


OPTIONAL_FIELDS: dict[str, Callable[[object, str, list[str]], Any]] = {
    **dict.fromkeys(("action", "session_id", "currency", "category", "brand", "channel"), optional_text),
    **dict.fromkeys(("recommendation_id", "decision_id", "anonymous_id"), optional_text),
    **dict.fromkeys(("price", "quantity"), optional_amount),
    "context": optional_context,
    "age": optional_age,
    "rating": optional_rating,
}
"""The reader of each optional field of an event, by the field's name."""
