"""What the users plane sends the campaigns plane: opportunities, impressions, clicks, purchases, and their cost.

One message per micro-batch and receiving partition, with a row per campaign and quarter of an hour: in every time zone
a day begins with one, so that money is counted on the day on which it was spent.
"""

from __future__ import annotations

import math

import msgspec

from processors.ads.expected_charges import TIMES_MS, bin_of
from processors.ads.goal_signal import GoalSignal
from processors.ads.lift import Arm
from processors.common.bounds import Id
from processors.common.hashing import partition_of

MOST_PARTS, MOST_PLACEMENTS = 64, 16
"""Parts, and placements with opportunities, that a signal names. What is beyond them counts for the campaign alone."""


class PartSignal(msgspec.Struct, array_like=True):
    """The part of what happened to a campaign that is one creative's at one placement.

    Parameters
    ----------
    crid, placement
        The creative, and where it was decided on; without a placement if the decision is of an older release.
    decided, shown, clicks, conversions, dismissed, filtered, returned, charged, refunded, revenue, returned_revenue
        As in :class:`CampaignSignal`.
    """

    crid: str
    placement: str
    decided: int = 0
    shown: int = 0
    clicks: int = 0
    conversions: int = 0
    dismissed: int = 0
    filtered: int = 0
    returned: int = 0
    charged: float = 0.0
    refunded: float = 0.0
    revenue: float = 0.0
    returned_revenue: float = 0.0


class CampaignSignal(msgspec.Struct, array_like=True):
    """What happened to a campaign within a quarter of an hour, as far as a micro-batch has it.

    Parameters
    ----------
    at_ms
        The latest moment at which something happened, milliseconds since the epoch.
    opportunities
        Decisions that it could have taken part in, held back by pacing or budget or not.
    decided, shown, clicks, conversions, dismissed
        Numbers of decisions for it, impressions, clicks, purchases and dismissals.
    expected
        Sum of the click probabilities predicted for the impressions.
    charged, refunded
        Money, in the currency of the ads.
    returned, returned_bought
        Purchases that were undone, and those of them that came after a click.
    revenue, returned_revenue
        Money of the purchases, and of those that were undone.
    filtered
        Number of clicks that are invalid traffic: neither billed nor learned from.
    lift_shown, lift_held
        What users who are shown it have newly done, and what those who are held out have (:mod:`processors.ads.lift`).
    expected_cost
        What the decisions are expected to be charged, in the currency of the ads.
    delays
        Number of charges by how long after the decision they came (:mod:`processors.ads.expected_charges`).
    expected_purchases, bought
        Sum of the purchase probabilities predicted for the clicks, and number of purchases after a click.
    opportunities_at
        Those of the opportunities that were at a placement, for the first :data:`MOST_PLACEMENTS`.
    parts
        What came of decisions by creative and placement, for the first :data:`MOST_PARTS`.
    goal
        What happened beside if the campaign has a goal.
    """

    cid: Id
    at_ms: int
    opportunities: int = 0
    decided: int = 0
    shown: int = 0
    clicks: int = 0
    conversions: int = 0
    dismissed: int = 0
    expected: float = 0.0
    charged: float = 0.0
    refunded: float = 0.0
    expected_purchases: float = 0.0
    bought: int = 0
    returned: int = 0
    returned_bought: int = 0
    filtered: int = 0
    revenue: float = 0.0
    returned_revenue: float = 0.0
    lift_shown: Arm = msgspec.field(default_factory=Arm)
    lift_held: Arm = msgspec.field(default_factory=Arm)
    expected_cost: float = 0.0
    delays: tuple[int, ...] = ()
    opportunities_at: dict[str, int] = msgspec.field(default_factory=dict)
    parts: list[PartSignal] = msgspec.field(default_factory=list)
    goal: GoalSignal | None = None

    def for_goal(self, pursuit: int = 0) -> GoalSignal:
        """Return what is told of decisions made in one pursuit of a goal, to be added to.

        Of the latest pursuit alone anything is told, as the ledger looks at no other: what is added to an earlier one
        is lost, save the bids.

        Parameters
        ----------
        pursuit
            Which one (:attr:`processors.ads.goal_figures.GoalFigures.pursuit`).

        Examples
        --------
        >>> signal = CampaignSignal("c", 5)
        >>> signal.for_goal(1).charged += 3.0
        >>> signal.for_goal(2).charged += 4.0
        >>> signal.for_goal(1).charged += 5.0
        >>> signal.goal.pursuit, signal.goal.charged
        (2, 4.0)
        """
        if self.goal is None or self.goal.pursuit < pursuit:
            self.goal = GoalSignal(0 if self.goal is None else self.goal.bids, pursuit=pursuit)
        return self.goal if self.goal.pursuit == pursuit else GoalSignal(pursuit=pursuit)

    def count_bids(self, count: int) -> None:
        """Add auctions that the campaign has bid in, in place, whichever its goal is."""
        self.goal = self.goal or GoalSignal()
        self.goal.bids += count

    def add_opportunities(self, placement: str, count: int) -> None:
        """Add opportunities at a placement, in place."""
        self.opportunities += count
        if placement in self.opportunities_at or len(self.opportunities_at) < MOST_PLACEMENTS:
            self.opportunities_at[placement] = self.opportunities_at.get(placement, 0) + count

    def part(self, crid: str, placement: str) -> PartSignal | None:
        """Return the part of a creative at a placement, to be added to; :obj:`None` if there are too many parts."""
        for part in self.parts:
            if part.crid == crid and part.placement == placement:
                return part
        if len(self.parts) >= MOST_PARTS:
            return None
        self.parts.append(PartSignal(crid, placement))
        return self.parts[-1]

    def charge_after(self, delay_ms: int) -> None:
        """Note that a charge came so long after its decision, in milliseconds."""
        counts = list(self.delays or (0,) * len(TIMES_MS))
        counts[bin_of(delay_ms)] += 1
        self.delays = tuple(counts)

    def check(self) -> None:
        """Make sure that the figures can be true.

        Raises
        ------
        ValueError
            If one is negative or not finite; the message names campaign and field.

        Examples
        --------
        >>> CampaignSignal("c", 0, charged=-1.0).check()
        Traceback (most recent call last):
        ...
        ValueError: signal of c: charged is -1.0, expected a finite figure that is not negative
        """
        if not 0 <= self.at_ms < _LATEST_MS:
            raise ValueError(f"signal of {self.cid}: at_ms is {self.at_ms}, expected a time before the year 9999")
        figures = [(field, getattr(self, field)) for field in _FIGURES]
        figures += [("delays", count) for count in self.delays]
        figures += [("opportunities_at", count) for count in self.opportunities_at.values()]
        for name, arm in (("lift_shown", self.lift_shown), ("lift_held", self.lift_held)):
            figures += [(f"{name}.{field}", getattr(arm, field)) for field in arm.__struct_fields__]
        for part in self.parts:
            figures += [(f"parts.{field}", getattr(part, field)) for field in PartSignal.__struct_fields__[2:]]
        if len(self.delays) not in (0, len(TIMES_MS)):
            raise ValueError(f"signal of {self.cid}: delays has {len(self.delays)} counts, expected {len(TIMES_MS)}")
        for problem in () if self.goal is None else self.goal.problems():
            raise ValueError(f"signal of {self.cid}: {problem}")
        for field, figure in figures:
            if not 0 <= figure < math.inf:
                raise ValueError(
                    f"signal of {self.cid}: {field} is {figure}, expected a finite figure that is not negative"
                )


_BESIDE = ("cid", "lift_shown", "lift_held", "delays", "opportunities_at", "parts", "goal")
_FIGURES = tuple(field for field in CampaignSignal.__struct_fields__ if field not in _BESIDE)


class CampaignSignals:
    """Gather the signals of one micro-batch.

    Parameters
    ----------
    partitions
        Number of partitions of the topic of signals.

    Examples
    --------
    >>> signals = CampaignSignals(partitions=1)
    >>> signals.of("c", 5).shown += 1
    >>> signals.of("c", 9).shown += 1
    >>> signals.messages()[0][0].shown, signals.messages()[0][0].at_ms
    (2, 9)
    """

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._found: dict[tuple[str, int], CampaignSignal] = {}

    def of(self, cid: str, at_ms: int) -> CampaignSignal:
        """Return the campaign's signal, to be added to; ``at_ms`` is when something happened, since the epoch."""
        key = cid, at_ms // _QUARTER_MS
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = CampaignSignal(cid, at_ms)
        found.at_ms = max(found.at_ms, at_ms)
        return found

    def add(self, cid: str, crid: str, placement: str, at_ms: int, **figures: float) -> CampaignSignal:
        """Add what came of a decision to the campaign's signal and to the part of its creative at its placement.

        Parameters
        ----------
        cid, crid, placement
            Campaign, creative and placement of the decision.
        at_ms
            When something happened, milliseconds since the epoch.
        **figures
            By field of :class:`PartSignal`.

        Returns
        -------
        CampaignSignal
            The signal, for what counts for the campaign alone.
        """
        signal = self.of(cid, at_ms)
        part = signal.part(crid, placement)
        for field, figure in figures.items():
            setattr(signal, field, getattr(signal, field) + figure)
            if part is not None:
                setattr(part, field, getattr(part, field) + figure)
        return signal

    def messages(self) -> dict[int, list[CampaignSignal]]:
        """Group the signals by receiving partition, sorted by campaign id and time."""
        messages: dict[int, list[CampaignSignal]] = {}
        for key in sorted(self._found):
            messages.setdefault(partition_of(key[0], self._partitions), []).append(self._found[key])
        return messages


_QUARTER_MS = 15 * 60_000
_LATEST_MS = 253_370_764_800_000
