"""A user's circumstances as last known: country, region, city, device, channel, page, time zone, language."""

from __future__ import annotations

from collections.abc import Mapping

from processors.events.event import REGION_FIELDS, Context

FIELDS = ("country", "region", "device", "channel", "page")
"""Circumstances by which choices are counted, each value being one context such as ``country:DE``."""


_VALUE_CHARACTERS = 64
_LANGUAGE_CHARACTERS = 8
"""The longest subtag of a language (BCP 47)."""


MAX_NAME_CHARACTERS = _VALUE_CHARACTERS + len("country:")
"""Longest name of a context."""


def context_names(circumstances: Mapping[str, str]) -> list[str]:
    """Return the names of the contexts that a user is in.

    Parameters
    ----------
    circumstances
        Values by field, as :func:`update_circumstances` keeps them.

    Examples
    --------
    >>> context_names({"city": "Kiel", "device": "phone", "country": "DE"})
    ['country:DE', 'device:phone']
    """
    return [f"{field}:{circumstances[field]}" for field in FIELDS if field in circumstances]


def language_of(locale: str | None) -> str:
    """Return the language of a locale such as ``de-CH``, in lower case; empty if it names none.

    Examples
    --------
    >>> language_of("de_CH"), language_of("EN"), language_of("-"), language_of(None)
    ('de', 'en', '', '')
    """
    language = (locale or "").replace("_", "-").partition("-")[0].strip().lower()
    return language if language.isalpha() and len(language) <= _LANGUAGE_CHARACTERS else ""


def update_circumstances(known: dict[str, str], context: Context | None, channel: str | None = None) -> None:
    """Overwrite a user's known circumstances with what an event says, in place.

    A new country makes the known region and city void, a new region the known city.

    Parameters
    ----------
    known
        Values by field.
    context
        The event's context, if it has one. Texts are cut to 64 characters. Longer names of regions are left out: cut,
        one could equal another region's, and items limited to that region would be shown.
    channel
        The event's channel, if it has one.

    Examples
    --------
    >>> known = {"country": "DE", "region": "Bayern", "city": "Ulm", "device": "phone"}
    >>> update_circumstances(known, Context(country="FR"))
    >>> known
    {'device': 'phone', 'country': 'FR'}
    >>> update_circumstances(known, Context(locale="zh_Hant-TW"))
    >>> known["language"]
    'zh'
    """
    if context is not None:
        for at, name in enumerate(REGION_FIELDS):
            value = getattr(context, name)
            if value and known.get(name) != value:
                for narrower in REGION_FIELDS[at:]:
                    known.pop(narrower, None)
                if len(value) <= _VALUE_CHARACTERS:
                    known[name] = value
        for name in ("device", "page", "time_zone"):
            value = getattr(context, name)
            if value:
                known[name] = value[:_VALUE_CHARACTERS]
        language = language_of(context.locale)
        if language:
            known["language"] = language
    if channel:
        known["channel"] = channel[:_VALUE_CHARACTERS]
