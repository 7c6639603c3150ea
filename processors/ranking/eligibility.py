"""Which candidates may be shown: available ones, within limits of age and region, new to the user, allowed by rules.

The limits that the catalogue sets come before every rule of the shop: no rule can show an item to a user whom the
catalogue does not allow to see it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from processors.common.arrays import Flags
from processors.items.index import ItemIndex
from processors.ranking.candidates import Candidates
from processors.ranking.frame import SLATES, SLATES_AND_TRIALS, Frame, Stage
from processors.ranking.rule_effects import effects_of

Unknown = Literal["hide", "show"]
"""Whether items with limits are hidden from, or shown to, users whose age or region is not known."""


def within_limits(candidates: Candidates, index: ItemIndex, unknown: Unknown) -> Flags:
    """Tell which candidates the limits of age and region allow their users to see, shape (candidates,).

    Complexity: one lookup per candidate, and one per set of regions that names a region of the users.

    Parameters
    ----------
    candidates
        Candidates of some users.
    index
        The read model of items, with their limits.
    unknown
        Whether users whose age or region is not known see items with such limits.
    """
    attributes, profiles = index.attributes, candidates.visitors.profiles
    slots, rows = candidates.slots, candidates.rows
    ages = np.array([age_for_limits(profile.age, unknown) for profile in profiles], np.int64)
    regions = attributes.region_sets.allowed([profile.context for profile in profiles], unknown == "show")
    allowed: Flags = (ages[rows] >= attributes.min_age[slots]) & regions[rows, attributes.regions[slots]]
    return allowed


def age_for_limits(known: int | None, unknown: Unknown) -> int:
    """Return the age to compare with limits, in years; if it is not known, 0 to hide or 1000 to show limited items."""
    if known is not None:
        return known
    return 0 if unknown == "hide" else _OLDEST


_OLDEST = 1000


class Availability(Stage):
    """Remove what is not available according to the catalogue."""

    name = "availability"
    purposes = SLATES_AND_TRIALS
    shared = True
    removes = "the catalogue says that it is not available"

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.kept = frame.kept & frame.read.items.attributes.available[frame.candidates.slots]
        return frame

    def why_item(self, frame: Frame, slot: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        return None if frame.read.items.attributes.available[slot] else self.removes


class Limits(Stage):
    """Remove what the catalogue does not allow users of this age, or in this region, to see.

    Parameters
    ----------
    unknown
        Whether users whose age or region is not known see items with such limits.
    """

    name = "limits"
    purposes = SLATES_AND_TRIALS
    shared = True
    removes = "its limits of age or region do not let this user see it"

    def __init__(self, unknown: Unknown) -> None:
        self._unknown: Unknown = unknown

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        if frame.read.items.attributes.limited:
            frame.kept = frame.kept & within_limits(frame.candidates, frame.read.items, self._unknown)
        return frame


class AlreadyTouched(Stage):
    """Remove what the user has touched, at placements that show only what is new to the user."""

    name = "touched"
    removes = "the user has touched it, and the placement shows only what is new"

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        if frame.only_new:
            frame.kept = frame.kept & ~frame.candidates.touched
        return frame


class ApplyRules(Stage):
    """Find what the rules of the shop do to the candidates, and remove what they exclude or do not allow."""

    name = "rules"
    purposes = SLATES
    removes = "a rule removes it"

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        read = frame.read
        frame.effects = effects_of(read.rules, frame.candidates, frame.placement, frame.at_ms, read.items, frame.kept)
        if frame.effects.removed_by is not None:
            frame.kept = frame.kept & (frame.effects.removed_by < 0)
        return frame

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """See :class:`processors.ranking.frame.Stage`."""
        removed_by = after.effects.removed_by
        if removed_by is None or not before.kept[number] or removed_by[number] < 0:
            return None
        return f"rule {after.effects.names[removed_by[number]]} removes it"
