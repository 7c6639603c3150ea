"""A user's circumstances: country, region, city, device, channel, page, time zone, as last known."""

from __future__ import annotations

from collections.abc import Mapping

from processors.events.event import REGION_FIELDS, Context

FIELDS = ("country", "region", "device", "channel", "page")
"""Circumstances that are counted."""


_VALUE_CHARACTERS = 64


MAX_NAME_CHARACTERS = _VALUE_CHARACTERS + len("country:")


def names_of(context: Mapping[str, str]) -> list[str]:
    """Contexts that a user's circumstances are.

    Examples
    --------
    >>> names_of({"city": "Kiel", "device": "phone", "country": "DE"})
    ['country:DE', 'device:phone']
    """
    return [f"{field}:{context[field]}" for field in FIELDS if field in context]


def remember(known: dict[str, str], context: Context | None, channel: str | None = None) -> None:
    """Take over what is said of a user's circumstances, in place.

    Who is in another country is no longer in the region and the city known before.

    Examples
    --------
    >>> known = {"country": "DE", "region": "Bayern", "city": "Ulm", "device": "phone"}
    >>> remember(known, Context(country="FR"))
    >>> known
    {'device': 'phone', 'country': 'FR'}
    """
    if context is not None:
        for at, name in enumerate(REGION_FIELDS):
            value = getattr(context, name)
            if value and known.get(name) != value:
                for narrower in REGION_FIELDS[at:]:
                    known.pop(narrower, None)
                if len(value) <= _VALUE_CHARACTERS:  # cut, it could pass for another place that limits speak of
                    known[name] = value
        for name in ("device", "page", "time_zone"):
            value = getattr(context, name)
            if value:
                known[name] = value[:_VALUE_CHARACTERS]
    if channel:
        known["channel"] = channel[:_VALUE_CHARACTERS]
