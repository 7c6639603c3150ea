"""Folds what happens to a campaign into its ledger, and makes what is published of it.

Money is counted once: what users planes charge comes over a chain without gaps or repetitions. What is charged beyond
the budget, because decisions were on their way when it ran out, is not billed and counted as over-delivered.
"""

from __future__ import annotations

from collections import Counter
from datetime import date

import msgspec

from processors.ads.audience import Audience
from processors.ads.campaign import Campaign
from processors.ads.campaign_days import begin_day, day_ends, hour_of, local_time
from processors.ads.campaign_view import CampaignView
from processors.ads.day_figures import DAYS_REPORTED, DayFigures, figures_of
from processors.ads.goal_control import goal_view, learn_goal, take_goal
from processors.ads.ledger import EARLIER, Ledger
from processors.ads.signals import CampaignSignal
from processors.ads.spending_plan import day_budget, held_back, pace, planned
from processors.ads.spent_for import hand_over, parts_of, take_back
from processors.common.time import HOUR_MS

_FIRST_RATE = 0.1
_REPORTED_EVERY_MS = 60_000

_PRIOR_CLICKS = 4.0
_PRIOR_BOUGHT = 1.0
_FORGET_SHOWN = 20_000.0
_FORGET_BOUGHT = 1_000.0


class LedgerKeeper:
    """Folds signals into a campaign's state.

    Examples
    --------
    >>> from processors.ads.campaign import Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent")
    >>> keeper, state = LedgerKeeper(), Ledger()
    >>> keeper.replace(state, Campaign("shop", (tent,), bid=2.0, budget=10.0))
    >>> keeper.learn(state, CampaignSignal("c", 5, charged=12.5))
    Counter()
    >>> state.spent, state.over, keeper.view(state).left
    (10.0, 2.5, 0.0)
    """

    def replace(self, state: Ledger, campaign: Campaign | None) -> None:
        """Take over a campaign, or its withdrawal, in place; what it has spent stays, and whose money that was."""
        before = state.campaign or state.withdrawn
        if campaign is not None and before is not None:
            hand_over(state, before.advertiser, campaign.advertiser)
        pays = state.spent > 0.0 or state.spent_today > 0.0
        state.withdrawn = _what_is_left(before) if campaign is None and before is not None and pays else None
        state.campaign = campaign
        take_goal(state)
        if campaign is not None and not state.rate:
            state.rate = _FIRST_RATE if campaign.is_paced else 1.0
        if campaign is not None and not campaign.is_paced:
            state.rate = 1.0

    def learn(self, state: Ledger, signal: CampaignSignal) -> Counter[str]:
        """Take over what happened to the campaign, in place.

        What is charged beyond what is left is counted as over-delivered and never billed.

        Returns
        -------
        Counter
            What was folded meanwhile, since there is too much of it for reports: ``part`` for figures that count as
            other creatives or placements, ``breakdown`` for days whose breakdown is no longer kept, ``day`` for days
            that are no longer kept one by one.
        """
        state.begun_ms = state.begun_ms or signal.at_ms
        begin_day(state, signal.at_ms)
        charged = min(signal.charged, state.left())
        state.over += signal.charged - charged
        state.spent += charged
        state.spent_today += charged
        unbilled = min(state.over, signal.refunded)
        folded = self._note_day(state, signal, charged, unbilled)
        if signal.refunded:
            # What was not billed comes off first. spent_today stays: money of another day must not be spent today.
            state.over -= unbilled
            state.spent = max(0.0, state.spent - signal.refunded + unbilled)
            take_back(state)
        if signal.expected_cost or signal.delays:
            state.expected_charges.add(signal.expected_cost, signal.delays, signal.at_ms)
        state.traffic_today[hour_of(state, signal.at_ms)] += signal.opportunities
        if signal.opportunities:
            if not state.waiting_ms or signal.at_ms - state.able_ms > HOUR_MS:
                state.waiting_ms = signal.at_ms
            state.able_ms = max(state.able_ms, signal.at_ms)
        if signal.shown:
            state.waiting_ms = 0
        self._count(state, signal)
        learn_goal(state, signal, charged, signal.refunded - unbilled)
        pace(state, signal.at_ms)
        return folded

    @staticmethod
    def _count(state: Ledger, signal: CampaignSignal) -> None:
        """Add to the counts, and to the sums that calibrations rest on; these forget what is long ago."""
        state.shown += signal.shown
        state.expected += signal.expected
        state.clicked += signal.clicks
        state.clicks += signal.clicks
        state.conversions = max(0, state.conversions + signal.conversions - signal.returned)
        state.dismissed += signal.dismissed
        state.filtered += signal.filtered
        state.lift_shown.add(signal.lift_shown)
        state.lift_held.add(signal.lift_held)
        state.bought = max(0.0, state.bought + signal.bought - signal.returned_bought)
        state.expected_bought += signal.expected_purchases
        if state.expected_bought > _FORGET_BOUGHT:
            state.bought, state.expected_bought = state.bought / 2, state.expected_bought / 2
        if state.shown > _FORGET_SHOWN:
            state.shown, state.expected, state.clicked = state.shown / 2, state.expected / 2, state.clicked / 2

    def report(self, state: Ledger, at_ms: int) -> list[str]:
        """Return the days that something has happened on since the last report, at most once a minute, in place.

        Among them may be days that are no longer kept, and :data:`processors.ads.ledger.EARLIER` for their sum.
        """
        if not state.unreported or at_ms < state.reported_ms + _REPORTED_EVERY_MS:
            return []
        days, state.unreported, state.reported_ms = state.unreported, [], at_ms
        return days

    def view(self, state: Ledger) -> CampaignView | None:
        """Return what is published of a state; :obj:`None` for a campaign that was withdrawn.

        One that is withdrawn is still published for what it has spent: its advertiser has, or may get, a budget.
        """
        if state.campaign is None:
            return _withdrawn_view(state)
        calibration = (state.clicked + _PRIOR_CLICKS) / (state.expected + _PRIOR_CLICKS)
        conversion = (state.bought + _PRIOR_BOUGHT) / (state.expected_bought + _PRIOR_BOUGHT)
        return CampaignView(
            campaign=state.campaign,
            rate=round(state.rate, 6),
            left=round(state.left_of_all(), 6),
            left_today=round(state.left(), 6),
            day_ends_ms=day_ends(state),
            spent=round(state.spent, 6),
            calibration=round(calibration, 6),
            conversion=round(conversion, 6),
            spent_today=round(state.spent_today, 6),
            planned=round(planned(state, state.published_ms), 6),
            over=round(state.over, 6),
            day_budget=round(day_budget(state, state.published_ms), 6),
            evidence=round(state.clicked, 3),
            held=round(held_back(state, state.published_ms), 6),
            held_ms=state.published_ms,
            held_fades_ms=round(state.expected_charges.fades_ms(state.campaign.model, state.published_ms), 1),
            able_ms=state.able_ms,
            waiting_ms=state.waiting_ms,
            today=state.days.get(date.fromordinal(state.day).isoformat(), DayFigures()) if state.day else DayFigures(),
            goal=goal_view(state, state.published_ms),
            spent_for=parts_of(state),
        )

    def _note_day(self, state: Ledger, signal: CampaignSignal, charged: float, unbilled: float) -> Counter[str]:
        """Add what happened to its day, and return what was folded.

        If there are more days than are reported one by one, the earliest is added to what was before.

        Parameters
        ----------
        charged, unbilled
            What of the charges is billed, and what of the refunds had not been.
        """
        day = local_time(state, signal.at_ms).date().isoformat()
        figures = figures_of(signal, charged, unbilled, signal.opportunities)
        state.days.setdefault(day, DayFigures()).add(figures)
        folded, changed = Counter[str](), [day]
        state.breakdown.learn(day, signal, charged, unbilled, folded)
        if len(state.days) > DAYS_REPORTED:
            earliest = min(state.days)
            state.earlier.add(state.days.pop(earliest))
            state.breakdown.days.pop(earliest, None)
            changed += [earliest, EARLIER]
            folded["day"] += 1
        state.unreported += [name for name in changed if name not in state.unreported]
        return folded


def _withdrawn_view(state: Ledger) -> CampaignView | None:
    """Return what a campaign that was withdrawn has spent of its advertisers' money; :obj:`None` for nothing."""
    if state.withdrawn is None or (state.spent <= 0.0 and state.spent_today <= 0.0):
        return None
    return CampaignView(
        # Paused, too, for what does not know that campaigns can be withdrawn and published.
        campaign=msgspec.structs.replace(state.withdrawn, paused=True),
        spent=round(state.spent, 6),
        spent_today=round(state.spent_today, 6),
        day_ends_ms=state.day_until_ms,
        withdrawn=True,
        spent_for=parts_of(state),
    )


def _what_is_left(campaign: Campaign) -> Campaign:
    """Return a campaign that was withdrawn, without what nobody asks for any more: there may be many."""
    return msgspec.structs.replace(
        campaign, creatives=campaign.creatives[:1], target=Audience(), exclude=Audience(), goal=None
    )
