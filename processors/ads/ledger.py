"""What is kept of a campaign: what it has spent, what came of it, and what its pacing and calibration rest on."""

from __future__ import annotations

import msgspec

from processors.ads.breakdown import Breakdown
from processors.ads.campaign import Campaign
from processors.ads.day_figures import DayFigures
from processors.ads.expected_charges import ExpectedCharges
from processors.ads.goal_figures import GoalFigures
from processors.ads.lift import Arm
from processors.ads.spent_for import SpentFor

HOURS = 24
"""Hours of a day, as traffic is counted by."""

EARLIER = "earlier"
"""Stands in reports for the days before those that are kept one by one."""


class Ledger(msgspec.Struct, array_like=True):
    """One campaign's state. Money in its currency, times in milliseconds since the epoch.

    ``day`` is the ordinal of the running day in the campaign's time zone, with ``spent_today`` and, opportunities by
    hour, ``traffic_today``; ``traffic`` is what each hour of a day has usually had. The calibration of clicks compares
    ``expected`` and ``clicked``, that of purchases ``expected_bought`` and ``bought``, all decayed. ``lift_shown`` and
    ``lift_held`` count users who are shown the campaign, and users who are held out. ``able_ms`` is when it could last
    have taken part, ``waiting_ms`` since when it could have, again and again within an hour, and was not shown.
    ``days`` are what happened on the last days, ``breakdown`` the same by creative and placement, ``earlier`` the sum
    of all days before. Those in ``unreported`` have changed since ``reported_ms``. ``goal`` is how it pursues its goal,
    if it has one, and ``pursuits`` how many it has pursued. ``withdrawn`` is what is kept of a campaign that was
    withdrawn and has spent something. ``spent_for`` is what of ``spent`` is the money of advertisers that it had before
    (:mod:`processors.ads.spent_for`).
    """

    campaign: Campaign | None = None
    spent: float = 0.0
    day: int = 0
    spent_today: float = 0.0
    over: float = 0.0
    rate: float = 0.0
    adjusted_ms: int = 0
    published_ms: int = 0
    traffic: list[float] = msgspec.field(default_factory=list)
    traffic_today: list[float] = msgspec.field(default_factory=lambda: [0.0] * HOURS)
    shown: float = 0.0
    clicked: float = 0.0
    expected: float = 0.0
    clicks: int = 0
    conversions: int = 0
    bought: float = 0.0
    expected_bought: float = 0.0
    dismissed: int = 0
    begun_ms: int = 0
    day_until_ms: int = 0
    filtered: int = 0
    days: dict[str, DayFigures] = msgspec.field(default_factory=dict)
    lift_shown: Arm = msgspec.field(default_factory=Arm)
    lift_held: Arm = msgspec.field(default_factory=Arm)
    able_ms: int = 0
    waiting_ms: int = 0
    expected_charges: ExpectedCharges = msgspec.field(default_factory=ExpectedCharges)
    unreported: list[str] = msgspec.field(default_factory=list)
    reported_ms: int = 0
    earlier: DayFigures = msgspec.field(default_factory=DayFigures)
    breakdown: Breakdown = msgspec.field(default_factory=Breakdown)
    goal: GoalFigures | None = None
    withdrawn: Campaign | None = None
    pursuits: int = 0
    spent_for: list[SpentFor] = msgspec.field(default_factory=list)

    def figures_on(self, day: str) -> DayFigures | None:
        """Return what happened on a day, or on all :data:`EARLIER` ones; :obj:`None` if it is not kept."""
        return self.earlier if day == EARLIER else self.days.get(day)

    def left_of_all(self) -> float:
        """Return what may still be spent of the budget."""
        return 0.0 if self.campaign is None else max(self.campaign.budget - self.spent, 0.0)

    def left(self) -> float:
        """Return what may still be spent today: of the budget, and of the daily one if there is one."""
        left = self.left_of_all()
        if self.campaign is not None and self.campaign.budget_daily is not None:
            left = min(left, self.campaign.budget_daily - self.spent_today)
        return max(left, 0.0)
