r"""Keeping a campaign's goal: how much more or less a purchase may cost than the target says, so that it is met.

A campaign with a goal bids what the purchase that is expected may cost, times a factor. If all bids were paid and all
predictions right the factor would be 1. But the winner pays less than it bids, and predictions are off: so the factor
follows what comes of the decisions. With a mean factor ``F`` of the decisions made lately,

    aim = F * (allowed + prior) / (spent + prior)

where ``allowed`` is what the purchases may have cost and ``spent`` what was spent, both with what is still expected to
come. If the cost of a purchase is in proportion to the factor, the aim is right at once; where it grows less, as in an
auction in which the second price is paid, the aim is approached from the same side. The prior is the cost of five
purchases on target, so that no single one makes the factor jump, and the factor moves by a twentieth a minute at most.

A campaign that bids in vain learns nothing. Its factor rises by a step an hour until it wins again: then it is bid what
the campaign would bid without a goal, at most, and what comes of it decides. What is long ago is forgotten.
"""

from __future__ import annotations

import math

from processors.ads.goal import Goal
from processors.ads.goal_figures import GoalFigures, GoalView
from processors.ads.ledger import Ledger
from processors.ads.signals import CampaignSignal
from processors.common.time import DAY_MS, HOUR_MS, MINUTE_MS

MOST_FACTOR = 64.0
"""The most that the factor is; its reciprocal is the least."""

_STEP = 0.05
_ADJUST_MS = MINUTE_MS
_RAISE_MS = HOUR_MS
_PRIOR = 5.0
_PRIOR_VALUES = 3.0
"""Purchases of the first value (:meth:`processors.ads.goal.Goal.first_value`) that are taken to have been seen."""

_IN_VAIN = 200
_FORGET_PURCHASES = 200.0
_FORGET_MS = 28.0 * DAY_MS


def take_goal(state: Ledger) -> None:
    """Begin, go on or end with the pursuit of a goal after the campaign was replaced, in place."""
    goal = None if state.campaign is None else state.campaign.goal
    if goal is None:
        state.goal = None
    elif state.goal is None or state.goal.kind != goal.kind:
        state.goal = GoalFigures(goal.kind)


def learn_goal(state: Ledger, signal: CampaignSignal, billed: float) -> None:
    """Take over what happened to a campaign with a goal, and change its factor if it is time, in place.

    Parameters
    ----------
    billed
        What was billed for it, less what was given back; negative if that is more.
    """
    figures, campaign = state.goal, state.campaign
    if figures is None or campaign is None or campaign.goal is None:
        return
    figures.spent = max(figures.spent + billed, 0.0)
    figures.cost += signal.expected_cost
    figures.cost_by_factor += signal.expected_cost * figures.factor
    if signal.goal is not None:
        found = signal.goal
        figures.purchases = max(figures.purchases + found.purchases - found.returned, 0.0)
        figures.value = max(figures.value + found.value - found.returned_value, 0.0)
        figures.expected += found.expected
        figures.expected_value += found.expected_value
        figures.in_vain = 0 if signal.decided else figures.in_vain + found.bids
        to_come = found.expected if campaign.goal.cpa is not None else found.expected_value
        if to_come or found.delays:
            figures.pending.add(to_come, found.delays, signal.at_ms)
    if figures.purchases > _FORGET_PURCHASES:
        figures.fade(0.5)
    if abs(signal.at_ms - figures.adjusted_ms) >= _ADJUST_MS:
        _adjust(state, figures, campaign.goal, signal.at_ms)


def goal_view(state: Ledger, at_ms: int) -> GoalView | None:
    """Return what is published of the pursuit at a moment, milliseconds since the epoch; :obj:`None` without a goal."""
    figures, campaign = state.goal, state.campaign
    if figures is None or campaign is None or campaign.goal is None:
        return None
    spent, gained = _so_far(state, figures, campaign.goal, at_ms)
    return GoalView(
        round(figures.factor, 6), round(_purchase_value(state, figures), 6), round(spent, 6), round(gained, 6)
    )


def _adjust(state: Ledger, figures: GoalFigures, goal: Goal, at_ms: int) -> None:
    """Move the factor by a step at most."""
    if figures.adjusted_ms:
        figures.fade(math.exp(-abs(at_ms - figures.adjusted_ms) / _FORGET_MS))
    figures.adjusted_ms = at_ms
    aim, up = _aim(state, figures, goal, at_ms), figures.factor * (1.0 + _STEP)
    if aim >= figures.factor:
        figures.factor = min(aim, up, MOST_FACTOR)
    elif figures.in_vain < _IN_VAIN:
        figures.factor = max(aim, figures.factor * (1.0 - _STEP), 1.0 / MOST_FACTOR)
    elif abs(at_ms - figures.raised_ms) >= _RAISE_MS:
        figures.factor, figures.raised_ms = min(up, MOST_FACTOR), at_ms


def _aim(state: Ledger, figures: GoalFigures, goal: Goal, at_ms: int) -> float:
    spent, gained = _so_far(state, figures, goal, at_ms)
    prior = _PRIOR * goal.allowed(1.0, _purchase_value(state, figures))
    usual = figures.cost_by_factor / figures.cost if figures.cost > 0.0 else figures.factor
    return usual * (goal.allowed(gained, gained) + prior) / (spent + prior)


def _so_far(state: Ledger, figures: GoalFigures, goal: Goal, at_ms: int) -> tuple[float, float]:
    """Return what was spent, and the purchases or what they brought in, with what is still to come of both."""
    model = "cpm" if state.campaign is None else state.campaign.model
    cpa = goal.cpa is not None
    came, expected = (figures.purchases, figures.expected) if cpa else (figures.value, figures.expected_value)
    to_come = figures.pending.held("cpa", at_ms)
    # As long as delays are not learned what came at once is taken to come again. It cannot be more in all than what the
    # decisions were expected to lead to, unless more has come already.
    return figures.spent + state.expected_charges.held(model, at_ms), max(came, min(came + to_come, expected))


def _purchase_value(state: Ledger, figures: GoalFigures) -> float:
    """Return what a purchase brings in on average, drawn towards what makes the bid right while there are few."""
    campaign = state.campaign
    if campaign is None or campaign.goal is None:
        return 0.0
    first = campaign.goal.first_value(campaign.bid_each, campaign.model)
    return (figures.value + _PRIOR_VALUES * first) / (figures.purchases + _PRIOR_VALUES)
