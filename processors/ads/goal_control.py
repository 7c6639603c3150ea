r"""Keeping a campaign's goal: how much more or less a purchase may cost than the target says, so that it is met.

A campaign with a goal bids what the purchase that is expected may cost, times a factor. If all bids were paid and all
predictions right the factor would be 1. But the winner pays less than it bids, and predictions are off: so the factor
follows what comes of the decisions. With a mean factor ``F`` of the decisions made lately,

    aim = F * ((allowed + prior) / (spent + prior)) ** 2

where ``allowed`` is what the purchases may have cost and ``spent`` what was spent, both with what is still expected to
come. The square is right at once where the cost of a purchase grows with the root of the factor, as it does about where
the second price is paid. Where it grows faster or slower the mean factor tends to the right one all the same, since it
follows what is bid: nothing is summed up that would have to be made good later. The prior is the cost of ten purchases
on target, so that no single one makes the factor jump, and the factor moves by a twentieth a minute at most.

A campaign that bids in vain learns nothing. If it has won nothing for an hour its factor rises by a step every ten
minutes until it wins again. What it bids is then what it would bid without a goal, at most, and what comes of it
decides: while it wins a step down may follow every minute. What is long ago is forgotten.
"""

from __future__ import annotations

import math

from processors.ads.goal import Goal
from processors.ads.goal_figures import GoalFigures, GoalView
from processors.ads.goal_signal import GoalSignal
from processors.ads.ledger import Ledger
from processors.ads.signals import CampaignSignal
from processors.common.time import DAY_MS, HOUR_MS, MINUTE_MS

MOST_FACTOR = 64.0
"""The most that the factor is; its reciprocal is the least."""

_STEP = 0.05
_ADJUST_MS = MINUTE_MS
_RAISE_MS, _VAIN_MS, _VAIN_BIDS = 10 * MINUTE_MS, HOUR_MS, 200
_PRIOR = 10.0
_FORGET_PURCHASES = 200.0
_FORGET_MS = 28.0 * DAY_MS
_CLOCK_AHEAD_MS = DAY_MS
_HARDLY_ANY = 1e-6


def take_goal(state: Ledger) -> None:
    """Begin, go on or end with the pursuit of a goal after the campaign was replaced, in place."""
    goal = None if state.campaign is None else state.campaign.goal
    if goal is None:
        state.goal = None
    elif state.goal is None or state.goal.kind != goal.kind:
        state.pursuits += 1
        state.goal = GoalFigures(goal.kind, pursuit=state.pursuits)


def learn_goal(state: Ledger, signal: CampaignSignal, charged: float, refunded: float) -> None:
    """Take over what happened to a campaign with a goal, and change its factor if it is time, in place.

    Only what came of decisions that were made in this pursuit of the goal counts.

    Parameters
    ----------
    charged, refunded
        What was billed of the charges, and given back of what had been billed, whatever decisions they are of.
    """
    figures, campaign = state.goal, state.campaign
    if figures is None or campaign is None or campaign.goal is None:
        return
    if signal.goal is not None:
        _note_bids(figures, signal, signal.goal.bids)
        if signal.goal.pursuit == figures.pursuit:
            # Of what is beyond the budget, and not billed, decisions of this pursuit have their part.
            billed = signal.goal.charged * (charged / signal.charged if signal.charged else 0.0)
            returned = signal.goal.refunded * (refunded / signal.refunded if signal.refunded else 0.0)
            _add(figures, signal.goal, billed - returned, signal.at_ms)
    if figures.purchases > _FORGET_PURCHASES:
        figures.fade(0.5)
    if signal.at_ms < figures.adjusted_ms - _CLOCK_AHEAD_MS:
        # A clock was ahead: what follows must not wait until time has caught up with it.
        figures.adjusted_ms = figures.won_ms = figures.raised_ms = signal.at_ms
    if signal.at_ms >= figures.adjusted_ms + _ADJUST_MS:
        _adjust(state, figures, campaign.goal, signal.at_ms)


def _note_bids(figures: GoalFigures, signal: CampaignSignal, bids: int) -> None:
    """Count how often it bid since it last won."""
    if signal.decided or not figures.won_ms:
        figures.in_vain, figures.won_ms = 0, max(signal.at_ms, figures.won_ms)
    else:
        figures.in_vain += bids


def _add(figures: GoalFigures, found: GoalSignal, billed: float, at_ms: int) -> None:
    """Add what came of decisions of this pursuit, in place; ``billed`` is less what was given back."""
    figures.spent = max(figures.spent + billed, 0.0)
    figures.cost += found.cost
    figures.cost_by_factor += found.cost * figures.factor
    figures.purchases = max(figures.purchases + found.purchases - found.returned, 0.0)
    figures.value = max(figures.value + found.value - found.returned_value, 0.0)
    if figures.purchases < _HARDLY_ANY:
        # Sums fade and a return does not: without a purchase left nothing was brought in either.
        figures.purchases = figures.value = 0.0
    figures.expected += found.expected
    figures.expected_value += found.expected_value
    if found.expected or found.delays:
        figures.pending.add(found.expected, found.delays, at_ms)


def goal_view(state: Ledger, at_ms: int) -> GoalView | None:
    """Return what is published of the pursuit at a moment, milliseconds since the epoch; :obj:`None` without a goal."""
    figures, campaign = state.goal, state.campaign
    if figures is None or campaign is None or campaign.goal is None:
        return None
    spent, gained = _so_far(state, figures, campaign.goal, at_ms)
    return GoalView(
        factor=round(figures.factor, 6),
        purchase_value=round(_purchase_value(state, figures), 6),
        spent=round(spent, 6),
        gained=round(gained, 6),
        pursuit=figures.pursuit,
    )


def _adjust(state: Ledger, figures: GoalFigures, goal: Goal, at_ms: int) -> None:
    """Move the factor by a step at most."""
    if figures.adjusted_ms:
        figures.fade(math.exp(-(at_ms - figures.adjusted_ms) / _FORGET_MS))
    figures.adjusted_ms = at_ms
    aim, low, high = _aim(state, figures, goal, at_ms), 1.0 - _STEP, 1.0 + _STEP
    if figures.in_vain >= _VAIN_BIDS and at_ms - figures.won_ms >= _VAIN_MS:
        raised = at_ms - figures.raised_ms >= _RAISE_MS
        low, figures.raised_ms = (high, at_ms) if raised else (1.0, figures.raised_ms)
    factor = min(max(aim, low * figures.factor), high * figures.factor)
    figures.factor = min(max(factor, 1.0 / MOST_FACTOR), MOST_FACTOR)


def _aim(state: Ledger, figures: GoalFigures, goal: Goal, at_ms: int) -> float:
    spent, gained = _so_far(state, figures, goal, at_ms)
    prior = _PRIOR * goal.allowed(1.0, _purchase_value(state, figures))
    usual = figures.cost_by_factor / figures.cost if figures.cost > 0.0 else figures.factor
    if spent + prior <= 0.0:
        return figures.factor
    ratio = (goal.allowed(gained, gained) + prior) / (spent + prior)
    aim = usual * ratio * ratio
    return aim if math.isfinite(aim) else figures.factor


def _so_far(state: Ledger, figures: GoalFigures, goal: Goal, at_ms: int) -> tuple[float, float]:
    """Return what was spent, and the purchases or what they brought in, with what is still to come of both."""
    # As long as delays are not learned, what came at once is taken to come again. In all that is no more than what the
    # decisions were expected to lead to, unless more has come already.
    to_come = min(figures.pending.held("cpa", at_ms), max(figures.expected - figures.purchases, 0.0))
    if goal.cpa is not None:
        gained = figures.purchases + to_come
    else:
        gained = figures.value + to_come * _purchase_value(state, figures)
    if state.campaign is not None and state.campaign.model == "cpa":
        return figures.spent + to_come * figures.cost / max(figures.expected, 1e-9), gained
    return figures.spent, gained  # impressions and clicks come soon enough, and purchases do not wait for them


def _purchase_value(state: Ledger, figures: GoalFigures) -> float:
    """Return what a purchase brings in on average.

    It is drawn towards what the decisions expected of one, or before there are any what makes the bid right, as if one
    purchase had said so: by the logarithm, as that may be off by a power of ten.
    """
    campaign, purchases = state.campaign, figures.purchases
    if campaign is None or campaign.goal is None or campaign.goal.roas is None:
        return 0.0
    usual = campaign.goal.first_value(campaign.bid_each, campaign.model)
    if figures.expected_value > 0.0 and figures.expected > _HARDLY_ANY:
        usual = figures.expected_value / figures.expected
    if figures.value <= 0.0 or purchases < _HARDLY_ANY:
        return usual / (1.0 + purchases)
    share = purchases / (1.0 + purchases)
    return math.exp(share * math.log(figures.value / purchases) + (1.0 - share) * math.log(usual))
