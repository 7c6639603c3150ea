"""Profiles completed by what is known of items: interests and money of users whose events carry only item ids.

A shop that keeps its catalogue here need not repeat category, brand and price with each event. What an event leaves out
is remembered by item in the profile (:attr:`processors.users.profile.Profile.unnamed` and ``unpriced``), and filled in
from the read model of items where something is decided: slates, interest groups, ads. The profile as it is stored
follows from the user's events alone, so that a replay gives the same bytes whatever the read model said.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from processors.items.index import ItemIndex
from processors.users.profile import Profile


def completed(profile: Profile, items: ItemIndex) -> Profile:
    """Return the profile with the interests and the money that the items of its events stand for.

    Parameters
    ----------
    profile
        As stored; it is not changed. The copy shares the parts of it that are not completed.
    items
        The read model of items.

    Complexity: one look-up per item that events named without its category or price, of which there are a few dozen.
    """
    if not (profile.unnamed or profile.unpriced) or not len(items):
        return profile
    categories, brands, spent = dict(profile.categories), dict(profile.brands), profile.spent
    for item, weight in profile.unnamed.items():
        view = items.view(item)
        if view is None:
            continue
        if view.category is not None:
            categories[view.category] = categories.get(view.category, 0.0) + weight
        if view.brand is not None:
            brands[view.brand] = brands.get(view.brand, 0.0) + weight
    for item, pieces in profile.unpriced.items():
        view = items.view(item)
        spent += pieces * (view.price or 0.0) if view is not None else 0.0
    return msgspec.structs.replace(profile, categories=categories, brands=brands, spent=spent)


def all_completed(profiles: Sequence[Profile], items: ItemIndex) -> list[Profile]:
    """Return each profile as :func:`completed` does."""
    return [completed(profile, items) for profile in profiles]
