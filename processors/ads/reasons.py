"""Why a user sees an ad, for people: what of the user or the moment the campaign is for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from processors.ads.audience import Audience
from processors.ads.opportunity import Opportunity
from processors.ads.user_facts import Age, shares_of, times_of
from processors.common.text import folded
from processors.common.time import DAY_MS

_DIMENSIONS = {"segments": "segment", "countries": "country", "cities": "city", "devices": "device"}
"""Fields of an audience that give a reason, and the targeting dimension of each."""


class AdReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why this ad: what of the user or the moment the campaign is for.

    Parameters
    ----------
    kind
        ``viewed_item``, ``viewed_category``, ``bought_item``, ``bought_category``, ``list`` (of the shop's own),
        ``interest``, ``segment``, ``place`` (country, city or device) or ``best_value``.
    value
        The item, category, list, interest, interest group, country, city or device.
    text
        For people.
    """

    kind: str
    text: str
    value: str | None = None


_EVERYBODY = Audience()
_BEST_VALUE = (AdReason("best_value", "The ad that fits best here and now"),)


def reasons_of(target: Audience, found: Opportunity) -> tuple[AdReason, ...]:
    """Say what of the user or the moment a campaign is for; that it was worth most, if it is for everybody."""
    if target == _EVERYBODY:
        return _BEST_VALUE
    reasons = _user_reasons(target, found)
    for field, dimension in _DIMENSIONS.items():
        if getattr(target, field):
            value = found.dimensions.get(dimension, "")
            kind = "segment" if dimension == "segment" else "place"
            reasons.append(AdReason(kind, f"Shown to visitors with {dimension} {value}", value))
    return tuple(reasons) or _BEST_VALUE


def _user_reasons(target: Audience, found: Opportunity) -> list[AdReason]:
    profile, reasons = found.profile, _viewed_reasons(target, found)
    items = _lately("bought_item_ms", found, target.bought_items, target.bought_within_days)
    if items:
        reasons.append(AdReason("bought_item", f"You bought {items[0]}", items[0]))
    categories = _lately("bought_category_ms", found, target.bought_categories, target.bought_within_days)
    if categories:
        reasons.append(AdReason("bought_category", f"You bought {categories[0]}", categories[0]))
    on = set(map(folded, profile.lists)) if target.lists else set()
    lists = [name for name in target.lists if folded(name) in on]
    if lists:
        reasons.append(AdReason("list", f"You are on the list {lists[0]}", lists[0]))
    if target.interests:
        shares = shares_of(profile, {folded(interest.name) for interest in target.interests})
        liked = [one.name for one in target.interests if shares.get(folded(one.name), 0.0) >= one.at_least]
        if liked:
            reasons.append(AdReason("interest", f"You are interested in {liked[0]}", liked[0]))
    return reasons


def _viewed_reasons(target: Audience, found: Opportunity) -> list[AdReason]:
    profile, reasons, days = found.profile, list[AdReason](), target.viewed_within_days
    items = _lately("viewed_item_ms", found, target.viewed_items, days)
    if items:
        last = max(items, key=profile.item_ids.index)
        reasons.append(AdReason("viewed_item", f"You looked at {last}", last))
    if days is None:
        viewed = set(map(folded, profile.categories)) if target.viewed_categories else set()
        categories = [name for name in target.viewed_categories if folded(name) in viewed]
    else:
        categories = _lately("viewed_category_ms", found, target.viewed_categories, days)
    if categories:
        reasons.append(AdReason("viewed_category", f"You looked at {categories[0]}", categories[0]))
    return reasons


def _lately(fact: Age, found: Opportunity, names: Sequence[str], days: float | None) -> list[str]:
    """Return the items or categories, of those named, that the user viewed or bought within a window, if any."""
    if not names:
        return []
    keys = {name: folded(name) if "category" in fact else name for name in names}
    times = times_of(fact, found, set(keys.values()))
    since_ms = -math.inf if days is None else found.at_ms - days * DAY_MS
    return [name for name, key in keys.items() if key in times and times[key] >= since_ms]
