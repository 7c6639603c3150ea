"""Why a user sees an ad, for people: what of the user or the moment the campaign is for."""

from __future__ import annotations

import msgspec

from processors.ads.audience import Audience
from processors.ads.opportunity import Opportunity
from processors.ads.user_facts import shares_of
from processors.common.text import folded
from processors.users.profile import Profile

_DIMENSIONS = {"segments": "segment", "countries": "country", "cities": "city", "devices": "device"}
"""Fields of an audience that give a reason, and the targeting dimension of each."""


class AdReason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why this ad: what of the user or the moment the campaign is for.

    Parameters
    ----------
    kind
        ``viewed_item``, ``viewed_category``, ``interest``, ``segment``, ``place`` (country, city or device) or
        ``best_value``.
    value
        The item, category, interest, interest group, country, city or device.
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
    reasons = _user_reasons(target, found.profile)
    for field, dimension in _DIMENSIONS.items():
        if getattr(target, field):
            value = found.dimensions.get(dimension, "")
            kind = "segment" if dimension == "segment" else "place"
            reasons.append(AdReason(kind, f"Shown to visitors with {dimension} {value}", value))
    return tuple(reasons) or _BEST_VALUE


def _user_reasons(target: Audience, profile: Profile) -> list[AdReason]:
    reasons = []
    items = [item for item in target.viewed_items if item in profile.item_ids]
    if items:
        last = max(items, key=profile.item_ids.index)
        reasons.append(AdReason("viewed_item", f"You looked at {last}", last))
    viewed = set(map(folded, profile.categories)) if target.viewed_categories else set()
    categories = [name for name in target.viewed_categories if folded(name) in viewed]
    if categories:
        reasons.append(AdReason("viewed_category", f"You looked at {categories[0]}", categories[0]))
    if target.interests:
        shares = shares_of(profile, {folded(interest.name) for interest in target.interests})
        liked = [one.name for one in target.interests if shares.get(folded(one.name), 0.0) >= one.at_least]
        if liked:
            reasons.append(AdReason("interest", f"You are interested in {liked[0]}", liked[0]))
    return reasons
