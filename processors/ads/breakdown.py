"""What a campaign did by creative and placement on each of its last days, bounded whatever apps and campaigns name.

The figures of a day as a whole are kept beside (:class:`processors.ads.ledger.Ledger`). What is not kept here of a day
is the difference: the rest, which reports show as :data:`OTHER`. So parts and rest add up to the whole by themselves,
whatever was left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from processors.ads.day_figures import NOTHING, DayFigures, figures_of, to_billionths
from processors.ads.signals import CampaignSignal

OTHER = "(other)"
"""Stands for the creatives, or placements, that are not kept one by one."""

DAY_PLACEMENTS = 16
"""Placements kept of a day: those that come first."""

DAY_CREATIVES = 64
"""Creatives kept of a day, over all its placements: those that come first."""

ENTRIES_KEPT = 96
"""Placements and creatives kept of all days together; the earliest days go first."""


class PlacementFigures(msgspec.Struct, array_like=True):
    """What a campaign did at one placement on one day.

    Parameters
    ----------
    eligible
        Opportunities that it could have taken part in.
    creatives
        By creative: what came of the decisions for it.
    """

    eligible: int = 0
    creatives: dict[str, DayFigures] = msgspec.field(default_factory=dict)


Placements = dict[str, PlacementFigures]


class Breakdown(msgspec.Struct, array_like=True):
    """What a campaign did by creative and placement.

    Parameters
    ----------
    days
        By day and placement.

    Examples
    --------
    >>> breakdown = Breakdown()
    >>> breakdown.add("2025-06-01", "top", "a", DayFigures(clicks=2))
    True
    >>> breakdown.days["2025-06-01"]["top"].creatives["a"].clicks
    2
    """

    days: dict[str, Placements] = msgspec.field(default_factory=dict)

    def learn(self, day: str, signal: CampaignSignal, billed: float, unbilled: float, folded: Counter[str]) -> None:
        """Add what happened on a day, in place.

        Parameters
        ----------
        day
            The day, as in ISO 8601.
        billed, unbilled
            What of the charges is billed, and what of the refunds had not been.
        folded
            What is left to the rest is counted here: ``part`` or ``breakdown``.
        """
        if not signal.parts and not signal.opportunities_at:
            return
        before = _entries_of(self.days.get(day, {}))
        for placement, count in signal.opportunities_at.items():
            if not self.add(day, placement, "", DayFigures(eligible=count)):
                folded["part"] += 1
        for placement, crid, figures in _parts_of(signal, billed, unbilled):
            if not self.add(day, placement, crid, figures):
                folded["part"] += 1
        if _entries_of(self.days.get(day, {})) > before:
            while sum(map(_entries_of, self.days.values())) > ENTRIES_KEPT:
                del self.days[min(self.days)]
                folded["breakdown"] += 1

    def add(self, day: str, placement: str, crid: str, figures: DayFigures) -> bool:
        """Add figures, in place; without a creative, only how many opportunities there were.

        Returns
        -------
        bool
            Whether they are kept under these names. If the day has too many placements, they are left to the rest; if
            it has too many creatives, they count as :data:`OTHER` of the placement.
        """
        placements = self.days.get(day, {})
        if not placement or (placement not in placements and len(placements) >= DAY_PLACEMENTS):
            return False
        found = self.days.setdefault(day, placements).setdefault(placement, PlacementFigures())
        if not crid:
            found.eligible += figures.eligible
            return True
        has_room = crid in found.creatives or _entries_of(placements) - len(placements) < DAY_CREATIVES
        found.creatives.setdefault(crid if has_room else OTHER, DayFigures()).add(figures)
        return has_room


def _entries_of(placements: Placements) -> int:
    return len(placements) + sum([len(found.creatives) for found in placements.values()])


def _parts_of(signal: CampaignSignal, billed: float, unbilled: float) -> Iterator[tuple[str, str, DayFigures]]:
    """Return the placement, the creative and the figures of each part of what happened.

    The parts are billed one after the other, as long as there is money.
    """
    billed, unbilled = to_billionths(billed), to_billionths(unbilled)
    for part in signal.parts:
        part_billed = min(to_billionths(part.charged), billed)
        part_unbilled = min(to_billionths(part.refunded), unbilled)
        billed, unbilled = to_billionths(billed - part_billed), to_billionths(unbilled - part_unbilled)
        yield part.placement, part.crid, figures_of(part, part_billed, part_unbilled)


class Cell(msgspec.Struct, frozen=True):
    """What a campaign did on one day at one placement by one creative.

    Without a creative it is how many opportunities there were: these are of a placement, not of a creative.
    """

    day: str
    placement: str
    creative: str
    figures: DayFigures


def cells_of(day: str, whole: DayFigures, breakdown: Breakdown) -> Iterator[Cell]:
    """Return the parts of a day, and its rest if anything is in it: together they are the whole.

    Examples
    --------
    >>> breakdown = Breakdown({"2025-06-01": {"top": PlacementFigures(5, {"a": DayFigures(clicks=2)})}})
    >>> cells = cells_of("2025-06-01", DayFigures(eligible=5, clicks=3), breakdown)
    >>> [(cell.placement, cell.creative, cell.figures.eligible, cell.figures.clicks) for cell in cells]
    [('top', '', 5, 0), ('top', 'a', 0, 2), ('(other)', '(other)', 0, 1)]
    """
    rest = DayFigures()
    rest.add(whole)
    for placement, found in breakdown.days.get(day, {}).items():
        for crid, figures in (("", DayFigures(found.eligible)), *found.creatives.items()):
            rest.add(figures, -1)
            yield Cell(day, placement, crid, figures)
    if rest != NOTHING:
        yield Cell(day, OTHER, OTHER, rest)
