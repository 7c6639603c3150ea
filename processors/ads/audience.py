"""What advertisers say of the people and moments that a campaign is for, or is not for."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from processors.common.bounds import Id, Ids, Share
from processors.common.text import folded

Language = Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{2,3}$")]
"""ISO 639, without a region: that is a country, and targeted by another field."""

Days = Annotated[float, msgspec.Meta(gt=0.0, le=3650.0)]
"""A window that ends now, in days."""


class Interest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A category or brand that takes at least such a share of a user's interests."""

    name: Id
    at_least: Share = 0.1


class Audience(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """People and moments: those that match every field given. A list is matched by any one of its entries.

    Parameters
    ----------
    segments
        Interest groups: ``3`` or ``group 3`` by number, or the category that a group chooses most.
    interests
        Categories or brands, each with the least share that it must have.
    countries, regions, cities, devices, channels, languages, placements
        Values of the targeting dimensions.
    visitors
        ``new`` in the first session, ``returning`` after it: also who asks for an ad after a pause that ends a session.
    seen_within_days, events_at_least, spent_at_least
        Recency, frequency and monetary value.
    viewed_categories, viewed_items, viewed_within_days
        Among the recent items: retargeting. With a window, only views within so many days count.
    bought_categories, bought_items, bought_within_days
        Among what the user bought last and did not return. With a window, only purchases within so many days count.
    lists
        Lists of the shop's own that the user is on (:mod:`processors.events.audience_upload`).

    Names are the same in upper and lower case and in every Unicode form; ids of items are taken as they are.

    Examples
    --------
    >>> Audience(viewed_items=("tent",), viewed_within_days=7.0).uses_history, Audience(countries=("DE",)).uses_history
    (True, False)
    """

    segments: Ids = ()
    interests: Annotated[tuple[Interest, ...], msgspec.Meta(max_length=100)] = ()
    countries: Ids = ()
    regions: Ids = ()
    cities: Ids = ()
    devices: Ids = ()
    channels: Ids = ()
    languages: Annotated[tuple[Language, ...], msgspec.Meta(max_length=1000)] = ()
    placements: Ids = ()
    visitors: Literal["new", "returning"] | None = None
    seen_within_days: Days | None = None
    events_at_least: Annotated[int, msgspec.Meta(ge=1, le=10**9)] | None = None
    spent_at_least: Annotated[float, msgspec.Meta(gt=0.0, le=1e12)] | None = None
    viewed_categories: Ids = ()
    viewed_items: Ids = ()
    viewed_within_days: Days | None = None
    bought_categories: Ids = ()
    bought_items: Ids = ()
    bought_within_days: Days | None = None
    lists: Ids = ()

    @property
    def uses_profile(self) -> bool:
        """Whether a user's profile is needed to tell who matches: a segment, a list or something that the user did."""
        return bool(self.segments) or self.uses_history

    @property
    def uses_history(self) -> bool:
        """Whether something that a user did, or a list that the user is on, is needed to tell who matches."""
        return any(getattr(self, field) != getattr(_ANYBODY, field) for field in _HISTORY_FIELDS)


WINDOWS = {
    "viewed_within_days": ("viewed_categories", "viewed_items"),
    "bought_within_days": ("bought_categories", "bought_items"),
}
"""The lists that each window bounds."""

_ANYBODY = Audience()
_HISTORY_FIELDS = (
    "interests",
    "visitors",
    "seen_within_days",
    "events_at_least",
    "spent_at_least",
    "viewed_categories",
    "viewed_items",
    "bought_categories",
    "bought_items",
    "lists",
)
_NUMBERED = re.compile(r"^(?:interest )?(?:group|segment)[ :#_-]*(\d+)$")


def names_in(audience: Audience, field: str) -> dict[str, str]:
    """Return the names that an audience lists in a field, by what they are compared by: ``group 3`` is ``3``."""
    named: tuple[str, ...] = getattr(audience, field)
    if field != "segments":
        return {folded(name): name for name in named}
    return {_NUMBERED.sub(r"\1", folded(name)): name for name in named}
