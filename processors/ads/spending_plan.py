"""How much of its budget a campaign spends on a day, by when, and how fast: its plan and its pacing.

Even pacing follows the traffic, not the clock. The ledger learns how many opportunities the campaign has in each hour
of the day; the plan is to have spent, at any moment, the same part of the day's budget as has come of the day's
traffic. The share of opportunities that it takes part in goes down by a tenth when it is ahead of the plan, and up when
it is behind.

References
----------
D. Agarwal, S. Ghosh, K. Wei, S. You, "Budget pacing for targeted online advertisements at LinkedIn", KDD 2014.
"""

from __future__ import annotations

import math

from processors.ads.campaign_days import midnight_before, running_time
from processors.ads.ledger import HOURS, Ledger
from processors.common.time import HOUR_MS

_LEAST_RATE = 0.001
_STEP = 0.1
_ADJUST_MS = 1_000


def pace(state: Ledger, at_ms: int) -> None:
    """Change the share of opportunities that the campaign takes part in, in place, at most once a second."""
    campaign = state.campaign
    if campaign is None or not campaign.is_paced or at_ms < state.adjusted_ms + _ADJUST_MS:
        return
    state.adjusted_ms = at_ms
    # What pays for purchases is mostly charged on another day than the one on which it was decided.
    held = 0.0 if campaign.model == "cpa" else held_back(state, at_ms)
    ahead = state.spent_today + held > planned(state, at_ms)
    rate = state.rate * (1.0 - _STEP if ahead else 1.0 + _STEP)
    state.rate = min(max(rate, _LEAST_RATE), 1.0)


def planned(state: Ledger, at_ms: int) -> float:
    """Return what is planned to be spent of the day's budget by a moment, by the traffic of the days before.

    Only the part of the day in which the campaign runs counts.
    """
    if state.campaign is None:
        return 0.0
    traffic, midnight = _usual_traffic(state), midnight_before(state, at_ms)
    first, last = running_time(state, at_ms)
    begin, now, end = (_traffic_until(traffic, moment - midnight) for moment in (first, at_ms, last))
    part = (now - begin) / (end - begin) if end > begin else 1.0
    return day_budget(state, at_ms) * min(max(part, 0.0), 1.0)


def day_budget(state: Ledger, at_ms: int) -> float:
    """Return the budget of the running day: what is left or, if there is an end, the day's share of it by time.

    The daily budget bounds it.
    """
    campaign = state.campaign
    if campaign is None:
        return 0.0
    left = max(campaign.budget - state.spent + state.spent_today, 0.0)
    if campaign.ends_at is not None:
        begin, end = running_time(state, at_ms)
        left *= (end - begin) / max(campaign.ends_at.timestamp() * 1000 - begin, end - begin)
    return min(left, campaign.budget_daily) if campaign.budget_daily is not None else left


def held_back(state: Ledger, at_ms: int) -> float:
    """Return what is kept back for decisions made so far: what they are still expected to be charged, and a margin.

    The margin is a standard deviation of what is charged, as charges come by chance and each is a whole bid.
    """
    if state.campaign is None:
        return 0.0
    expected = state.expected_charges.held(state.campaign.model, at_ms)
    return expected + math.sqrt(expected * state.campaign.bid_each)


def _usual_traffic(state: Ledger) -> list[float]:
    """Return opportunities by hour of the day; before any are known, as many in every hour at which it is shown."""
    if state.traffic and sum(state.traffic) > 0.0:
        return state.traffic
    hours = state.campaign.dayparts.hours if state.campaign is not None else ()
    return [1.0 if not hours or hour in hours else 0.0 for hour in range(HOURS)]


def _traffic_until(traffic: list[float], into_day_ms: int) -> float:
    """Sum up the traffic from midnight to a moment of the day, given in milliseconds after midnight.

    Examples
    --------
    >>> _traffic_until([4.0] * 24, 90 * 60_000)
    6.0
    """
    hours = min(max(into_day_ms / HOUR_MS, 0.0), float(HOURS))
    whole = min(int(hours), HOURS - 1)
    return sum(traffic[:whole]) + traffic[whole] * (hours - whole)
