"""What a campaign's money is to achieve: the price of a purchase, or the return on what is spent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec

from processors.users.ad_history import Model

Target = Annotated[float, msgspec.Meta(ge=1e-6, le=1e9)]

_USUAL_ODDS: dict[Model, float] = {"cpm": 0.0005, "cpc": 0.05, "cpa": 1.0}
"""How often a purchase follows what a campaign pays for, about, before anything is known of it."""


class Goal(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a campaign's money is to achieve; exactly one of ``cpa`` and ``roas``.

    Use it where a purchase counts and not the impression or the click that is paid for: the campaign then bids what the
    purchase that is expected may cost, and its bid is the most that it bids.

    Parameters
    ----------
    cpa
        What a purchase is to cost on average, in the campaign's currency, whatever the campaign pays for.
    roas
        What is to come in for each unit of money that is spent.
    value
        What counts as coming in: the ``revenue`` of purchases or, of items whose margin the catalogue knows, the
        ``margin`` alone. Only for ``roas``.
    """

    cpa: Target | None = None
    roas: Target | None = None
    value: Literal["revenue", "margin"] = "revenue"

    @property
    def kind(self) -> str:
        """What is pursued, whatever the target: figures of one kind cannot be compared with a target of another.

        Examples
        --------
        >>> Goal(cpa=12.0).kind, Goal(roas=4.0, value="margin").kind
        ('cpa', 'roas of margin')
        """
        return "cpa" if self.cpa is not None else f"roas of {self.value}"

    def allowed(self, purchases: float, value: float) -> float:
        """Return what some purchases may have cost.

        Parameters
        ----------
        purchases, value
            Their number, and what they brought in.

        Examples
        --------
        >>> Goal(cpa=12.0).allowed(2.0, 90.0), Goal(roas=4.0).allowed(2.0, 90.0)
        (24.0, 22.5)
        """
        return purchases * self.cpa if self.cpa is not None else value / (self.roas or 1.0)

    def first_value(self, bid_each: float, model: Model) -> float:
        """Return what a purchase is taken to bring in before one was seen: what makes the bid right, at usual odds.

        Parameters
        ----------
        bid_each, model
            The most that the campaign pays for one impression, click or purchase, and for which of them it pays.

        Examples
        --------
        >>> Goal(roas=4.0).first_value(0.5, "cpc")
        40.0
        """
        return (self.roas or 1.0) * bid_each / _USUAL_ODDS[model]


def goal_problems(goal: Goal) -> Iterator[str]:
    """Say what is wrong with a goal; nothing if it can be pursued."""
    if (goal.cpa is None) == (goal.roas is None):
        yield f"goal: {'neither' if goal.cpa is None else 'both'} of cpa and roas, expected one of them"
    elif goal.cpa is not None and goal.value != "revenue":
        yield f"goal.value: {goal.value} with cpa, expected roas, as only that looks at what purchases bring in"
