"""Whose money a campaign has spent: its advertiser's, also what was spent before it was given to another.

What was billed belongs to the advertiser whose name the campaign had then. A ledger keeps in parts what earlier
advertisers have paid; the rest is the present one's. So the parts always add up to what the campaign has spent, and no
money comes back to an advertiser by renaming.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from processors.common.text import folded

if TYPE_CHECKING:
    from processors.ads.ledger import Ledger

MOST_PARTS = 16
"""Earlier advertisers of a campaign that are kept apart. What one more has spent is taken for the present one's."""


class SpentFor(msgspec.Struct, array_like=True):
    """What a campaign has spent of one earlier advertiser's money.

    Parameters
    ----------
    advertiser
        Its name.
    spent, spent_today
        What was spent in all, and on the day ``day``.
    day
        That day, as :class:`processors.ads.ledger.Ledger` has it.
    """

    advertiser: str
    spent: float
    spent_today: float = 0.0
    day: int = 0


def hand_over(state: Ledger, before: str, after: str) -> None:
    """Let what is spent from now on be another advertiser's, in place; nothing changes if both are the same.

    Parameters
    ----------
    before, after
        Names of the advertisers.

    Examples
    --------
    >>> from processors.ads.ledger import Ledger
    >>> state = Ledger(spent=5.0)
    >>> hand_over(state, "shop", "mill")
    >>> state.spent = 7.0
    >>> own_part(state)
    (2.0, 0.0)
    >>> hand_over(state, "mill", "Shop")
    >>> own_part(state), state.spent_for[0].advertiser
    ((5.0, 0.0), 'mill')
    """
    if folded(before) == folded(after):
        return
    spent, today = own_part(state)
    parts = [part for part in state.spent_for if folded(part.advertiser) != folded(after)]
    if spent > 0.0 or today > 0.0:
        parts.append(SpentFor(before, spent, today, state.day))
    if len(parts) > MOST_PARTS:
        parts.remove(min(parts, key=lambda part: part.spent))
    state.spent_for = parts


def take_back(state: Ledger) -> None:
    """Take what was given back, beyond what the present advertiser has spent, off the parts; the latest first."""
    beyond = sum(part.spent for part in state.spent_for) - state.spent
    for part in reversed(state.spent_for):
        taken = min(max(beyond, 0.0), part.spent)
        part.spent -= taken
        beyond -= taken


def own_part(state: Ledger) -> tuple[float, float]:
    """Return what the campaign has spent of its present advertiser's money, in all and today."""
    parts = state.spent_for
    today = sum(part.spent_today for part in parts if part.day == state.day)
    return max(state.spent - sum(part.spent for part in parts), 0.0), max(state.spent_today - today, 0.0)


def parts_of(state: Ledger) -> tuple[SpentFor, ...]:
    """Return what earlier advertisers have spent, in all and today, as it is published."""
    return tuple(
        SpentFor(part.advertiser, round(part.spent, 6), round(part.spent_today, 6) if part.day == state.day else 0.0)
        for part in state.spent_for
    )
