"""The fields of a catalogue row: the range of each, what is repaired, and what refuses the row."""

import math
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from processors.common.bounds import MAX_ID_CHARACTERS
from processors.events.json_object import Refused, as_number, quoted

MAX_TITLE_CHARACTERS = 512
MAX_URL_CHARACTERS = 2048
MAX_TAGS, MAX_TAG_CHARACTERS = 32, 64
MAX_REGIONS = 64
MAX_PRICE = 1e9
MAX_AGE_YEARS = 150

EMBEDDING_STEP = 2.0**-11
"""Embeddings are rounded to multiples of this. Half precision holds these exactly, and single precision their products
and sums, so that a cosine is the same number whatever order it is summed up in."""

_AVAILABILITIES = {
    "instock": True, "limitedavailability": True, "onlineonly": True, "preorder": True, "presale": True,
    "backorder": True, "outofstock": False, "soldout": False, "discontinued": False, "instoreonly": False,
}  # fmt: skip

_FLAGS = {"true": True, "false": False, 1: True, 0: False}


def direction(numbers: object, size: int) -> bytes:
    """Scale an embedding to length one and encode it, as :class:`processors.items.view.Attributes` keeps it.

    Parameters
    ----------
    numbers
        What the field holds.
    size
        Length that an embedding must have; 0 refuses every embedding.

    Raises
    ------
    Refused
        With ``wrong_type`` if it is not a list of numbers, with ``bad_embedding`` if it has another length than
        ``size``, a number that is not finite, or nothing but zeros.

    Examples
    --------
    >>> np.frombuffer(direction([0, -2.5], 2), "<f2").tolist()
    [0.0, -1.0]
    """
    if not isinstance(numbers, list) or not all(type(number) in (int, float) for number in numbers):
        raise Refused("wrong_type", f"embedding: {quoted(numbers)}, expected a list of numbers")
    if len(numbers) != size:
        expected = f"{size} (items.embedding_size)" if size else "none: items.embedding_size is 0"
        raise Refused("bad_embedding", f"embedding: {len(numbers)} numbers, expected {expected}")
    largest = max(map(abs, numbers), default=0)
    if largest > sys.float_info.max or not all(map(math.isfinite, numbers)):
        raise Refused("bad_embedding", f"embedding: {quoted(numbers)}, expected finite numbers")
    if not largest:
        raise Refused("bad_embedding", f"embedding: {size} zeros, expected a direction")
    # By the largest first: squares of what is very large or very small leave the range of floats.
    column = np.array(numbers, np.float64) / float(largest)
    unit = column / math.sqrt(math.fsum((column * column).tolist()))
    return (np.round(unit / EMBEDDING_STEP) * EMBEDDING_STEP).astype("<f2").tobytes()


def available_by(value: object, repairs: list[str]) -> bool:
    """Read the availability of an item in the words of Google Merchant Center and schema.org.

    Parameters
    ----------
    value
        What the field ``availability`` holds.
    repairs
        Gets a note, as the field is called ``available`` here.

    Raises
    ------
    Refused
        With ``wrong_type`` for a word that is not known: it would put an item on sale, or off.

    Examples
    --------
    >>> available_by("out of stock", []), available_by("https://schema.org/InStock", [])
    (False, True)
    """
    word = re.sub(r"[^a-z]", "", str(value).rpartition("/")[2].casefold()) if isinstance(value, str) else ""
    if word not in _AVAILABILITIES:
        raise Refused("wrong_type", f"availability: {quoted(value)}, expected one of in_stock, out_of_stock, preorder, "
                      "backorder, or available: true or false")  # fmt: skip
    repairs.append("availability:taken_as_available")
    return _AVAILABILITIES[word]


def text_of(value: object, name: str, most: int, repairs: list[str]) -> str | None:
    """Read a text; a whole number is written as a text, and noted.

    Parameters
    ----------
    value
        What the field holds.
    name
        Name of the field, for notes and messages.
    most
        Longest text accepted, in characters.
    repairs
        Gets a note if a number was turned into a text.

    Returns
    -------
    str or None
        :obj:`None` for a missing text, and for an empty one, which many exports write for a missing one.

    Raises
    ------
    Refused
        With ``wrong_type`` or ``too_long``.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
        repairs.append(f"{name}:number_to_text")
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Refused("wrong_type", f"{name}: {quoted(value)}, expected a text")
    if len(value) > most:
        raise Refused("too_long", f"{name}: {len(value)} characters, expected at most {most}")
    return value


def _label(value: object, name: str, repairs: list[str]) -> str | None:
    return text_of(value, name, MAX_ID_CHARACTERS, repairs)


def _url(value: object, name: str, repairs: list[str]) -> str | None:
    return text_of(value, name, MAX_URL_CHARACTERS, repairs)


def _title(value: object, name: str, repairs: list[str]) -> str | None:
    if isinstance(value, str) and len(value) > MAX_TITLE_CHARACTERS:
        repairs.append(f"{name}:cut")
        value = value[:MAX_TITLE_CHARACTERS]
    return text_of(value, name, MAX_TITLE_CHARACTERS, repairs)


def _number(value: object, name: str, most: float, repairs: list[str]) -> float:
    number = as_number(value)
    if number is None:
        raise Refused("wrong_type", f"{name}: {quoted(value)}, expected a number from 0 to {most:g}")
    if not 0 <= number <= most:
        raise Refused("out_of_range", f"{name}: {quoted(value)}, expected a number from 0 to {most:g}")
    if isinstance(value, str):
        repairs.append(f"{name}:text_to_number")
    return float(number)


def _price(value: object, name: str, repairs: list[str]) -> float:
    return _number(value, name, MAX_PRICE, repairs)


def _share(value: object, name: str, repairs: list[str]) -> float:
    return _number(value, name, 1.0, repairs)


def _years(value: object, name: str, repairs: list[str]) -> int:
    years = _number(value, name, MAX_AGE_YEARS, repairs)
    if not years.is_integer():
        raise Refused("wrong_type", f"{name}: {quoted(value)}, expected whole years")
    return int(years)


def _flag(value: object, name: str, repairs: list[str]) -> bool:
    if isinstance(value, bool):
        return value
    found = _FLAGS.get(value.lower() if isinstance(value, str) else value) if isinstance(value, str | int) else None
    if found is None:
        raise Refused("wrong_type", f"{name}: {quoted(value)}, expected true or false")
    repairs.append(f"{name}:to_truth_value")
    return found


def _list(value: object, name: str, most: int, repairs: list[str]) -> tuple[str, ...]:
    """Read a list of texts as the distinct ones, in their order."""
    if not isinstance(value, list):
        raise Refused("wrong_type", f"{name}: {quoted(value)}, expected a list of texts")
    texts = [text_of(part, name, MAX_TAG_CHARACTERS, repairs) for part in value]
    distinct = tuple(dict.fromkeys(text for text in texts if text is not None))
    if len(distinct) > most:
        raise Refused("too_many", f"{name}: {len(distinct)} texts, expected at most {most}")
    return distinct


def _tags(value: object, name: str, repairs: list[str]) -> tuple[str, ...]:
    return _list(value, name, MAX_TAGS, repairs)


def _regions(value: object, name: str, repairs: list[str]) -> tuple[str, ...]:
    return _list(value, name, MAX_REGIONS, repairs)


READERS: dict[str, Callable[[object, str, list[str]], Any]] = {
    "title": _title,
    **dict.fromkeys(("category", "brand", "supplier", "currency"), _label),
    **dict.fromkeys(("url", "image_url"), _url),
    "price": _price,
    "margin": _share,
    "min_age": _years,
    "available": _flag,
    "tags": _tags,
    "regions": _regions,
}
"""The reader of each field, by its name; called with a value that is not null, the name, and the list of notes."""
