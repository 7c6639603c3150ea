"""What is kept of how a campaign pursues its goal, and what is published of it."""

from __future__ import annotations

import msgspec

from processors.ads.expected_charges import ExpectedCharges
from processors.ads.goal import Goal

_ENOUGH = 10.0
"""Purchases that a campaign must have had money for before it can be said to miss its goal."""

_MISSED = 0.2


class GoalFigures(msgspec.Struct, array_like=True):
    """State of the pursuit of one campaign's goal. Money in its currency, times in milliseconds since the epoch.

    All sums forget what is long ago (:mod:`processors.ads.goal_control`).

    Parameters
    ----------
    kind
        What is pursued (:attr:`processors.ads.goal.Goal.kind`).
    factor, adjusted_ms
        What the cost allowed to a purchase is multiplied with, and when that was last looked at.
    spent, purchases, value
        What was billed, and the purchases and what they brought in.
    expected, expected_value
        The same as the decisions were expected to lead to.
    cost, cost_by_factor
        What the decisions were expected to cost, and the sum of the same times the factor that each was made with.
    pending
        Purchases that are still expected to come of the decisions.
    in_vain, won_ms, raised_ms
        Auctions that it bid in since it last won one, when that was, or else when it first bid, and when the factor was
        last raised for their sake.
    pursuit
        Number of the pursuit among all of the campaign, from 1 on: another goal, or a goal again after there was none,
        has the next. What came of decisions of earlier ones, or of those made without a goal, does not count.
    """

    kind: str = ""
    factor: float = 1.0
    adjusted_ms: int = 0
    spent: float = 0.0
    purchases: float = 0.0
    value: float = 0.0
    expected: float = 0.0
    expected_value: float = 0.0
    cost: float = 0.0
    cost_by_factor: float = 0.0
    pending: ExpectedCharges = msgspec.field(default_factory=ExpectedCharges)
    in_vain: int = 0
    won_ms: int = 0
    raised_ms: int = 0
    pursuit: int = 0

    def fade(self, share: float) -> None:
        """Keep a share of all sums, 0 to 1, in place."""
        for field in ("spent", "purchases", "value", "expected", "expected_value", "cost", "cost_by_factor"):
            setattr(self, field, getattr(self, field) * share)


class GoalView(msgspec.Struct, array_like=True, frozen=True):
    """What is published of how a campaign pursues its goal.

    Parameters
    ----------
    factor
        What the cost allowed to a purchase is multiplied with.
    purchase_value
        What a purchase brings in on average, as far as it is known.
    spent, gained
        What was spent lately, and the purchases or what they brought in, whichever the goal looks at. Both with what
        is still expected to come of the decisions made.
    pursuit
        Number of the pursuit, which decisions are marked with.
    """

    factor: float = 1.0
    purchase_value: float = 0.0
    spent: float = 0.0
    gained: float = 0.0
    pursuit: int = 0

    def achieved(self, goal: Goal) -> float | None:
        """Return the cost of a purchase or the return on what was spent; :obj:`None` if nothing can be said.

        Examples
        --------
        >>> view = GoalView(spent=30.0, gained=120.0)
        >>> view.achieved(Goal(cpa=0.3)), view.achieved(Goal(roas=5.0)), GoalView().achieved(Goal(cpa=1.0))
        (0.25, 4.0, None)
        """
        part, whole = (self.spent, self.gained) if goal.cpa is not None else (self.gained, self.spent)
        return part / whole if whole > 0.0 else None

    def misses(self, goal: Goal) -> bool:
        """Tell whether the goal is missed by more than a fifth, once enough was spent to tell.

        Examples
        --------
        >>> GoalView(spent=125.0, gained=10.0).misses(Goal(cpa=10.0)), GoalView(spent=125.0).misses(Goal(cpa=10.0))
        (True, True)
        >>> GoalView(spent=115.0, gained=10.0).misses(Goal(cpa=10.0)), GoalView(spent=50.0).misses(Goal(cpa=10.0))
        (False, False)
        """
        if self.spent <= 0.0 or self.spent < _ENOUGH * goal.allowed(1.0, self.purchase_value):
            return False
        if goal.cpa is not None:
            return self.spent > (1.0 + _MISSED) * goal.cpa * self.gained
        return self.gained < (1.0 - _MISSED) * (goal.roas or 0.0) * self.spent
