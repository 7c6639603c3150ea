"""What a campaign has spent and how fast it may spend: its ledger, its pacing, its calibration.

Even pacing follows the traffic, not the clock. The ledger learns how many opportunities the campaign has in each hour
of the day; the plan is to have spent, at any moment, the same part of the day's budget as has come of the day's
traffic. The share of opportunities that it takes part in goes down by a tenth when it is ahead of the plan, and up when
it is behind.

Money is counted once: what users planes charge comes over a chain without gaps or repetitions. What is charged beyond
the budget, because decisions were on their way when it ran out, is not billed and counted as over-delivered.

References
----------
D. Agarwal, S. Ghosh, K. Wei, S. You, "Budget pacing for targeted online advertisements at LinkedIn", KDD 2014.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, tzinfo

import msgspec

from processors.ads.campaign import Campaign
from processors.ads.campaign_view import CampaignView
from processors.ads.day_figures import DAYS_REPORTED, DayFigures
from processors.ads.expected_charges import ExpectedCharges
from processors.ads.lift import Arm
from processors.ads.signals import CampaignSignal
from processors.common.time import DAY_MS, HOUR_MS, zone_of

HOURS = 24
_FIRST_RATE = 0.1
_LEAST_RATE = 0.001
_STEP = 0.1
_ADJUST_MS = 1_000
_MEMORY = 0.7
"""Weight of the days before, of 1, when a day is over and its traffic is learned."""

_REPORTED_EVERY_MS = 60_000

_PRIOR_CLICKS = 4.0
_PRIOR_BOUGHT = 1.0
_FORGET_SHOWN = 20_000.0
_FORGET_BOUGHT = 1_000.0


class Ledger(msgspec.Struct, array_like=True):
    """One campaign's state. Money in its currency, times in milliseconds since the epoch.

    ``day`` is the ordinal of the running day in the campaign's time zone, with ``spent_today`` and, opportunities by
    hour, ``traffic_today``; ``traffic`` is what each hour of a day has usually had. The calibration of clicks compares
    ``expected`` and ``clicked``, that of purchases ``expected_bought`` and ``bought``, all decayed. ``lift_shown`` and
    ``lift_held`` count users who are shown the campaign, and users who are held out. ``able_ms`` is when it could last
    have taken part, ``waiting_ms`` since when it could have, again and again within an hour, and was not shown. Days in
    ``unreported`` have changed since ``reported_ms``.
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

    def left_of_all(self) -> float:
        """Return what may still be spent of the budget."""
        return 0.0 if self.campaign is None else max(self.campaign.budget - self.spent, 0.0)

    def left(self) -> float:
        """Return what may still be spent today: of the budget, and of the daily one if there is one."""
        left = self.left_of_all()
        if self.campaign is not None and self.campaign.budget_daily is not None:
            left = min(left, self.campaign.budget_daily - self.spent_today)
        return max(left, 0.0)


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


class LedgerKeeper:
    """Folds signals into a campaign's state.

    Examples
    --------
    >>> from processors.ads.campaign import Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent")
    >>> keeper, state = LedgerKeeper(), Ledger()
    >>> keeper.replace(state, Campaign("shop", (tent,), bid=2.0, budget=10.0))
    >>> keeper.learn(state, CampaignSignal("c", 5, charged=12.5))
    >>> state.spent, state.over, keeper.view(state).left
    (10.0, 2.5, 0.0)
    """

    def replace(self, state: Ledger, campaign: Campaign | None) -> None:
        """Take over a campaign, or its withdrawal, in place; what it has spent stays."""
        state.campaign = campaign
        if campaign is not None and not state.rate:
            state.rate = _FIRST_RATE if campaign.pacing == "even" else 1.0
        if campaign is not None and campaign.pacing == "asap":
            state.rate = 1.0

    def learn(self, state: Ledger, signal: CampaignSignal) -> None:
        """Take over what happened to the campaign, in place.

        What is charged beyond what is left is counted as over-delivered and never billed.
        """
        state.begun_ms = state.begun_ms or signal.at_ms
        self._begin_day(state, signal.at_ms)
        charged = min(signal.charged, state.left())
        state.over += signal.charged - charged
        state.spent += charged
        state.spent_today += charged
        unbilled = min(state.over, signal.refunded)
        self._note_day(state, signal, charged, unbilled)
        if signal.refunded:
            # What was not billed comes off first. spent_today stays: money of another day must not be spent today.
            state.over -= unbilled
            state.spent = max(0.0, state.spent - signal.refunded + unbilled)
        if signal.expected_cost or signal.delays:
            state.expected_charges.add(signal.expected_cost, signal.delays, signal.at_ms)
        state.traffic_today[self._hour(state, signal.at_ms)] += signal.opportunities
        if signal.opportunities:
            if not state.waiting_ms or signal.at_ms - state.able_ms > HOUR_MS:
                state.waiting_ms = signal.at_ms
            state.able_ms = max(state.able_ms, signal.at_ms)
        if signal.shown:
            state.waiting_ms = 0
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
        self._pace(state, signal.at_ms)

    def report(self, state: Ledger, at_ms: int) -> dict[str, DayFigures | None]:
        """Return the days that something has happened on since the last report, at most once a minute, in place.

        Returns
        -------
        dict
            By day: what happened on it in all; :obj:`None` for a day that is no longer kept.
        """
        if not state.unreported or at_ms < state.reported_ms + _REPORTED_EVERY_MS:
            return {}
        days, state.unreported, state.reported_ms = state.unreported, [], at_ms
        return {day: state.days.get(day) for day in days}

    def view(self, state: Ledger) -> CampaignView | None:
        """Return what is published of a state; :obj:`None` for a campaign that was withdrawn."""
        if state.campaign is None:
            return None
        calibration = (state.clicked + _PRIOR_CLICKS) / (state.expected + _PRIOR_CLICKS)
        conversion = (state.bought + _PRIOR_BOUGHT) / (state.expected_bought + _PRIOR_BOUGHT)
        return CampaignView(
            campaign=state.campaign,
            rate=round(state.rate, 6),
            left=round(state.left_of_all(), 6),
            left_today=round(state.left(), 6),
            day_ends_ms=self._day_ends(state),
            spent=round(state.spent, 6),
            calibration=round(calibration, 6),
            conversion=round(conversion, 6),
            spent_today=round(state.spent_today, 6),
            planned=round(self.planned(state, state.published_ms), 6),
            over=round(state.over, 6),
            day_budget=round(self._day_budget(state, state.published_ms), 6),
            evidence=round(state.clicked, 3),
            held=round(self._held(state, state.published_ms), 6),
            held_ms=state.published_ms,
            held_fades_ms=round(state.expected_charges.fades_ms(state.campaign.model, state.published_ms), 1),
            able_ms=state.able_ms,
            waiting_ms=state.waiting_ms,
        )

    def planned(self, state: Ledger, at_ms: int) -> float:
        """Return what is planned to be spent of the day's budget by a moment, by the traffic of the days before.

        Only the part of the day in which the campaign runs counts.
        """
        if state.campaign is None:
            return 0.0
        traffic, midnight = self._usual_traffic(state), self._midnight(state, at_ms)
        first, last = self._running_time(state, at_ms)
        begin, now, end = (_traffic_until(traffic, moment - midnight) for moment in (first, at_ms, last))
        part = (now - begin) / (end - begin) if end > begin else 1.0
        return self._day_budget(state, at_ms) * min(max(part, 0.0), 1.0)

    @staticmethod
    def _held(state: Ledger, at_ms: int) -> float:
        """Return what is kept back for decisions made so far: what they are still expected to be charged, and a margin.

        The margin is a standard deviation of what is charged, as charges come by chance and each is a whole bid.
        """
        if state.campaign is None:
            return 0.0
        expected = state.expected_charges.held(state.campaign.model, at_ms)
        return expected + math.sqrt(expected * state.campaign.bid_each)

    def _running_time(self, state: Ledger, at_ms: int) -> tuple[int, int]:
        """Find from when to when the campaign runs on the day of a moment."""
        midnight, campaign = self._midnight(state, at_ms), state.campaign
        begin, end = max(midnight, min(state.begun_ms, at_ms)), midnight + DAY_MS
        if campaign is not None and campaign.starts_at is not None:
            begin = max(begin, min(int(campaign.starts_at.timestamp() * 1000), at_ms))
        if campaign is not None and campaign.ends_at is not None:
            end = max(min(end, int(campaign.ends_at.timestamp() * 1000)), begin + 1)
        return begin, end

    def _day_budget(self, state: Ledger, at_ms: int) -> float:
        """Return the budget of the running day: what is left or, if there is an end, the day's share of it by time.

        The daily budget bounds it.
        """
        campaign = state.campaign
        if campaign is None:
            return 0.0
        left = max(campaign.budget - state.spent + state.spent_today, 0.0)
        if campaign.ends_at is not None:
            begin, end = self._running_time(state, at_ms)
            left *= (end - begin) / max(campaign.ends_at.timestamp() * 1000 - begin, end - begin)
        return min(left, campaign.budget_daily) if campaign.budget_daily is not None else left

    @staticmethod
    def _usual_traffic(state: Ledger) -> list[float]:
        """Return opportunities by hour of the day; before any are known, as many in every hour at which it is shown."""
        if state.traffic and sum(state.traffic) > 0.0:
            return state.traffic
        hours = state.campaign.dayparts.hours if state.campaign is not None else ()
        return [1.0 if not hours or hour in hours else 0.0 for hour in range(HOURS)]

    def _pace(self, state: Ledger, at_ms: int) -> None:
        campaign = state.campaign
        if campaign is None or campaign.pacing == "asap" or at_ms < state.adjusted_ms + _ADJUST_MS:
            return
        state.adjusted_ms = at_ms
        # What pays for purchases is mostly charged on another day than the one on which it was decided.
        held = 0.0 if campaign.model == "cpa" else self._held(state, at_ms)
        ahead = state.spent_today + held > self.planned(state, at_ms)
        rate = state.rate * (1.0 - _STEP if ahead else 1.0 + _STEP)
        state.rate = min(max(rate, _LEAST_RATE), 1.0)

    def _begin_day(self, state: Ledger, at_ms: int) -> None:
        """Begin a new day if one is over, and learn from that how traffic falls on the hours of a day."""
        day = self._local(state, at_ms).toordinal()
        if state.day and (day <= state.day or at_ms < self._day_ends(state)):
            return
        if state.day and sum(state.traffic_today) > 0.0:
            today = self._whole_day(state)
            known = state.traffic or today
            state.traffic = [_MEMORY * before + (1.0 - _MEMORY) * now for before, now in zip(known, today, strict=True)]
        state.day, state.spent_today, state.traffic_today = day, 0.0, [0.0] * HOURS
        state.day_until_ms = self._midnight_after(state, day)

    def _whole_day(self, state: Ledger) -> list[float]:
        """Return the day's traffic by hour; the hours before the first day began are taken to be as the rest of it."""
        begun = self._local(state, state.begun_ms)
        if state.traffic or begun.toordinal() != state.day:
            return state.traffic_today
        usual = sum(state.traffic_today[begun.hour :]) / (HOURS - begun.hour)
        return [usual] * begun.hour + state.traffic_today[begun.hour :]

    def _midnight(self, state: Ledger, at_ms: int) -> int:
        return int(datetime.combine(self._local(state, at_ms).date(), time(), self._zone(state)).timestamp() * 1000)

    def _day_ends(self, state: Ledger) -> int:
        """Return when the running day is over; 0 before the first.

        That is at midnight in the campaign's time zone. If the zone was changed meanwhile, the day lasts to the first
        midnight there after it would have been over: the day's budget must not be spent twice.
        """
        if not state.day:
            return 0
        if not state.day_until_ms:  # a state of an older release
            return self._midnight_after(state, state.day)
        ends = self._midnight_after(state, self._local(state, state.day_until_ms - 1).toordinal())
        return ends if ends >= state.day_until_ms else ends + DAY_MS

    def _note_day(self, state: Ledger, signal: CampaignSignal, charged: float, unbilled: float) -> None:
        """Add what happened to its day; the earliest day goes when there are more than are reported.

        Parameters
        ----------
        charged, unbilled
            What of the charges is billed, and what of the refunds had not been.
        """
        day = self._local(state, signal.at_ms).date().isoformat()
        state.days.setdefault(day, DayFigures()).add(signal, charged, unbilled)
        if day not in state.unreported:
            state.unreported.append(day)
        if len(state.days) > DAYS_REPORTED:
            earliest = min(state.days)
            del state.days[earliest]
            if earliest not in state.unreported:
                state.unreported.append(earliest)

    def _midnight_after(self, state: Ledger, day: int) -> int:
        """Return when a day, by its ordinal, is over in the campaign's time zone."""
        return int(datetime.combine(date.fromordinal(day + 1), time(), self._zone(state)).timestamp() * 1000)

    def _hour(self, state: Ledger, at_ms: int) -> int:
        return self._local(state, at_ms).hour

    def _local(self, state: Ledger, at_ms: int) -> datetime:
        return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(self._zone(state))

    @staticmethod
    def _zone(state: Ledger) -> tzinfo:
        return (None if state.campaign is None else zone_of(state.campaign.dayparts.timezone)) or UTC
