"""What a purchase may cost the campaigns that have a goal, by creative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from processors.ads.campaign import Campaign
from processors.common.arrays import Flags, Floats, Ints
from processors.items.index import ItemIndex

if TYPE_CHECKING:
    from processors.ads.campaign_columns import Columns


@dataclass(frozen=True)
class GoalColumns:
    """The goals of campaigns, one row per creative of those that have one.

    Attributes
    ----------
    rows
        Rows of the campaigns that have a goal, shape (campaigns with a goal,); the next have another.
    creatives, campaigns
        Number of each creative among those of all campaigns, and the row of its campaign.
    targets, by_value, by_margin
        The target, whether it is a return on what is spent, and whether it is one of the margin.
    items
        The item that each promotes, "" for none.
    """

    rows: Ints
    creatives: Ints
    campaigns: Ints
    targets: Floats
    by_value: Flags
    by_margin: Flags
    items: list[str]

    @classmethod
    def of(cls, campaigns: Sequence[Campaign]) -> GoalColumns:
        """Lay out the goals of campaigns, given in the order of their rows."""
        number, found = 0, list[tuple[int, int, float, bool, bool, str]]()
        for row, campaign in enumerate(campaigns):
            goal = campaign.goal
            if goal is not None:
                fields = (row, goal.cpa or goal.roas or 1.0, goal.roas is not None, goal.value == "margin")
                found += [(number + n, *fields, one.item_id or "") for n, one in enumerate(campaign.approved)]
            number += len(campaign.approved)
        return cls(
            rows=np.array(sorted({one[1] for one in found}), np.int64),
            creatives=np.array([one[0] for one in found], np.int64),
            campaigns=np.array([one[1] for one in found], np.int64),
            targets=np.array([one[2] for one in found], np.float64),
            by_value=np.array([one[3] for one in found], np.bool_),
            by_margin=np.array([one[4] for one in found], np.bool_),
            items=[one[5] for one in found],
        )


class GoalWorth(NamedTuple):
    """What purchases mean to campaigns with a goal, by number of the creative; shape (creatives of all campaigns,).

    Attributes
    ----------
    allowed
        What a purchase may cost: infinite without a goal.
    values
        What a purchase is expected to bring in; 0 where the goal does not ask.
    shares
        The share of the money of a purchase that counts as brought in.
    """

    allowed: Floats
    values: Floats
    shares: Floats


def goal_worth_of(columns: Columns, items: ItemIndex | None) -> GoalWorth | None:
    """Find what a purchase may cost each campaign with a goal; :obj:`None` if none has one.

    A purchase is taken to bring in the price of the item that is promoted, times its margin if that is what counts and
    is known; without an item whose price is known, what the campaign's purchases brought in on average.

    Complexity: linear in the creatives of campaigns with a goal.

    Parameters
    ----------
    items
        The read model of items, which knows prices and margins.
    """
    goals = columns.goals
    if not len(goals.rows):
        return None
    allowed, shares = np.full(len(columns.creatives.all), np.inf), np.ones(len(goals.creatives))
    values = columns.purchase_values[goals.campaigns]
    if items is not None:
        slots = np.array(items.slots_of(goals.items), np.int64)
        known = np.flatnonzero(slots >= 0)
        margins = items.attributes.margin[slots[known]]
        counts = goals.by_margin[known] & ~np.isnan(margins)
        shares[known[counts]] = margins[counts]
        prices = items.price[slots[known]]
        priced = prices > 0.0
        values[known[priced]] = prices[priced] * shares[known[priced]]
    values[~goals.by_value] = 0.0
    costs = np.where(goals.by_value, values, 1.0) * np.where(goals.by_value, 1.0 / goals.targets, goals.targets)
    allowed[goals.creatives] = costs * columns.factors[goals.campaigns]
    found = GoalWorth(allowed, np.zeros(len(allowed)), np.ones(len(allowed)))
    found.values[goals.creatives], found.shares[goals.creatives] = values, shares
    return found
