"""Limits of age and region: what the catalogue says who may be shown an item stands above every rule of the shop."""

from __future__ import annotations

from typing import Literal

import numpy as np

from processors.common.arrays import Flags
from processors.items.index import ItemIndex
from processors.ranking.candidates import Candidates

Unknown = Literal["hide", "show"]
"""What becomes of limited items for users whose age or place is not known."""


def within_limits(candidates: Candidates, index: ItemIndex, unknown: Unknown) -> Flags:
    """Which candidates their users may be shown.

    Complexity: none to speak of while no item has limits; else one look at each candidate, and at the sets of regions
    that name a place the users are in.
    """
    attributes, profiles = index.attributes, candidates.visitors.profiles
    if not attributes.limited:
        return np.ones(len(candidates), np.bool_)
    slots, rows = candidates.slots, candidates.rows
    ages = np.array([_age(profile.age, unknown) for profile in profiles], np.int64)
    places = attributes.region_sets.open_to([profile.context for profile in profiles], unknown == "show")
    allowed: Flags = (ages[rows] >= attributes.min_age[slots]) & places[rows, attributes.regions[slots]]
    return allowed


def _age(known: int | None, unknown: Unknown) -> int:
    if known is not None:
        return known
    return 0 if unknown == "hide" else _OLDEST


_OLDEST = 1000
