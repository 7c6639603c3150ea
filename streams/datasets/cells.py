"""What a cell of a CSV file holds: an id, an amount."""

from __future__ import annotations

import math
import re

from processors.common.errors import FieldError

_WHOLE = re.compile(r"-?\d+\.0+")


def text_of(value: str) -> str:
    """Return an id as a text: a whole number that was written as a float is that number."""
    value = value.strip()
    return value.partition(".")[0] if value.endswith("0") and _WHOLE.fullmatch(value) else value


def id_of(value: str, name: str) -> str:
    """Return the id in a cell; refuse an empty one, by the name of its field."""
    text = text_of(value)
    if not text:
        raise FieldError(name, "", "a non-empty id")
    return line_of(text, name)


def line_of(text: str, name: str) -> str:
    """Return the text in a cell; refuse one of several lines, by the name of its field.

    Two quotation marks too many, lines apart, make one cell of all that is between them.
    """
    if "\n" in text:
        raise FieldError(name, text, "a text of one line: is there a quotation mark too many?")
    return text


def amount_of(text: str) -> float | None:
    """Return the number in a cell; :obj:`None` if it is no finite one."""
    try:
        amount = float(text)
    except ValueError:
        return None
    return amount if math.isfinite(amount) else None
