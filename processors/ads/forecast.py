"""What a campaign could reach before it starts: the decisions of the last days are made again, with it.

Each logged decision is an opportunity of the past: who was there, when and at which placement is known, and what the ad
that was shown was worth. The campaign goes through all stages with the profile of the user as it is now, and wins where
it is worth more than that ad. Its own caps count as they would have; its budget and its pacing do not, as the question
is what there is to be had. Where an ad of a higher tier was shown it loses; where one of a lower tier was, the floor is
all that it has to beat. Creatives that wait for approval count as if they had it.

The log does not have what a request asked for itself: its own floor, its page, what it blocks and which sizes fit. A
forecast says how many decisions were asked for by requests: of these the campaign may win less than it says.

A forecast is for a day like the last ones. Its interval holds what comes by chance: how many users come, and how often
each does, as they do independently (a compound Poisson), what of them was looked at, and with three days or more how
days differ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import mean, stdev

import msgspec

from processors.ads.ad_server import AdServer
from processors.ads.campaign import HOUSE_TIER, Campaign
from processors.ads.campaign_view import CampaignView
from processors.ads.funnel import FunnelStep, funnel_of
from processors.ads.lift import Interval
from processors.ads.messages import LoggedDecision
from processors.ads.no_bid import NoBid, loss_of
from processors.ads.opportunity import Opportunity
from processors.ads.settings import AdSettings
from processors.common.hashing import hashed
from processors.common.money import per_impression, per_thousand
from processors.common.time import DAY_MS
from processors.users.ad_history import AdHistory
from processors.users.profile import Profile

MOST_DAYS = 7
"""Days that a forecast looks back at most."""

LEAST_OPPORTUNITIES = 30
"""Opportunities that the campaign must have had among those looked at, or too little is known."""

NOT_KNOWN = "floor, page, blocked advertisers and categories, sizes"
"""What requests may demand that is not in the log."""

_NEARLY = 0.05
"""Part of a day that may be missing: the first and the last decision of the log are not at the ends of days."""

_BATCH = 256
_ENDLESS = 1e12
_Z = 1.96
_T = (4.303, 3.182, 2.776, 2.571, 2.447)
"""Bounds of 95 % of Student's t with 2 to 6 degrees of freedom."""

Counts = dict[str, float]
"""By who was there: opportunities, wins or money of a day."""


class Forecast(msgspec.Struct, frozen=True):
    """What a campaign could reach on a day like the last ones.

    Parameters
    ----------
    cid
        The campaign.
    days, decisions, share
        The days looked back at, the decisions of them that were made again, and the share that these are of all.
    too_little
        Why nothing can be said; empty if something can.
    steps
        What takes it from decisions, stage by stage.
    users, opportunities
        Users and opportunities a day that it could take part in; users who must not be known count one by one.
    won, cost
        Decisions a day that it would win at its bid, and what they would cost, whatever its budget.
    budget_daily
        What it may spend a day, if it says so.
    requests
        Those of the decisions that requests asked for, of which it is not known what they demanded
        (:data:`NOT_KNOWN`).
    """

    cid: str
    days: int
    decisions: int
    share: float
    too_little: str
    steps: tuple[FunnelStep, ...] = ()
    users: Interval | None = None
    opportunities: Interval | None = None
    won: Interval | None = None
    cost: Interval | None = None
    budget_daily: float | None = None
    requests: int = 0


class Sample:
    """Decisions of the log, those of some users if there are too many: always the same users, and all of theirs.

    Parameters
    ----------
    most
        Decisions kept at most.

    Attributes
    ----------
    share
        The share of the users that is kept.
    decisions
        Their decisions.

    Examples
    --------
    >>> sample = Sample(most=10)
    >>> sample.add(LoggedDecision(f"d{n}", f"u{n}", "top", "2025-06-01T00:00:00Z", ()) for n in range(40))
    >>> len(sample.decisions) <= 10, sample.share <= 0.5
    (True, True)
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self.share = 1.0
        self.decisions: list[LoggedDecision] = []

    def add(self, logged: Iterable[LoggedDecision]) -> None:
        """Add decisions, in any order."""
        for decision in logged:
            if self._is_in(decision):
                self.decisions.append(decision)
            while len(self.decisions) > self._most:
                self.share /= 2.0
                self.decisions = [kept for kept in self.decisions if self._is_in(kept)]

    def _is_in(self, decision: LoggedDecision) -> bool:
        return hashed(f"forecast {_who(decision)}") < self.share * 2.0**64


def forecasting(settings: AdSettings) -> AdSettings:
    """Return the settings that an ad server needs for :func:`forecast_of`: it logs all, and what it decides is seen."""
    return msgspec.structs.replace(settings, log_losers=1.0, impressions="inferred")


def forecast_of(
    cid: str, view: CampaignView, sample: Sample, profiles: Mapping[str, Profile], server: AdServer
) -> Forecast:
    """Say what a campaign could reach on a day.

    Complexity: linear in the decisions of the sample.

    Parameters
    ----------
    view
        What is published of it; of one that has not begun, the campaign alone.
    sample
        Decisions of the log.
    profiles
        Of the sample's users, as far as they are known. They are not changed.
    server
        With settings from :func:`forecasting` and the read models as they are now, and without campaigns.
    """
    timed = sorted(((_ms(one), one) for one in sample.decisions), key=lambda entry: (entry[0], entry[1].decision_id))
    span_ms = timed[-1][0] - timed[0][0] + 1 if timed else 0
    days = min(int(span_ms / DAY_MS + _NEARLY), MOST_DAYS)
    if not days:
        return Forecast(cid, 0, len(timed), sample.share, "decisions of less than a day are in the log")
    end_ms, day_ms = timed[-1][0] + 1, min(span_ms / days, DAY_MS)
    recent = [(at_ms, decision) for at_ms, decision in timed if at_ms >= end_ms - days * day_ms]
    server.campaigns.apply(cid, _endless(view))
    made = _made_again(cid, view.campaign, recent, profiles, server)
    server.campaigns.apply(cid, None)
    asked = sum(decision.request_id is not None for _, decision in recent)
    looked_at = Forecast(cid, days, len(made), sample.share, "", funnel_of(cid, made, 1.0).steps, requests=asked)
    able = sum(again.able for again in made)
    if able < LEAST_OPPORTUNITIES:
        why = f"it could have taken part in {able} of these decisions, which are too few to say more"
        return msgspec.structs.replace(looked_at, too_little=why)
    ages = [min(int((end_ms - at_ms) / day_ms), days - 1) for at_ms, _ in recent]
    share = sample.share * day_ms / DAY_MS
    found = {name: _interval(counts, share) for name, counts in _counted(days, ages, recent, made).items()}
    return msgspec.structs.replace(looked_at, **found, budget_daily=view.campaign.budget_daily)


def _counted(
    days: int, ages: list[int], recent: list[tuple[int, LoggedDecision]], made: list[LoggedDecision]
) -> dict[str, list[Counts]]:
    """Count by figure of the forecast, day and who was there."""
    found = {name: [Counts() for _ in range(days)] for name in ("users", "opportunities", "won", "cost")}
    for age, (_, logged), again in zip(ages, recent, made, strict=True):
        who, won = _who(logged), again.cid is not None
        for name, figure in (("opportunities", again.able), ("won", won), ("cost", again.cost if won else 0.0)):
            counts = found[name][age]
            counts[who] = counts.get(who, 0.0) + figure
        if again.able:
            found["users"][age][who] = 1.0
    return found


def _made_again(
    cid: str,
    campaign: Campaign,
    recent: list[tuple[int, LoggedDecision]],
    profiles: Mapping[str, Profile],
    server: AdServer,
) -> list[LoggedDecision]:
    """Let the campaign take part in decisions, in their order, against the ads that were shown."""
    fresh = {user: msgspec.structs.replace(profile, ads=AdHistory()) for user, profile in profiles.items()}
    made: list[LoggedDecision] = []
    tier = campaign.tier
    for begin in range(0, len(recent), _BATCH):
        some = recent[begin : begin + _BATCH]
        asked = [_opportunity(cid, tier, at_ms, logged, fresh, server.settings) for at_ms, logged in some]
        made += [again for _, again in server.decide(asked, server.begin())]
    return [
        _outbid(again, tier, _rival_of(cid, logged), max(_floor(again.placement, server.settings), campaign.bidfloor))
        for (_, logged), again in zip(recent, made, strict=True)
    ]


def _rival_of(cid: str, logged: LoggedDecision) -> int:
    """Return the tier of the ad of another campaign that was shown, -1 if none was."""
    return logged.priority if logged.cid not in (None, cid) else -1


def _opportunity(
    cid: str, tier: int, at_ms: int, logged: LoggedDecision, profiles: dict[str, Profile], settings: AdSettings
) -> Opportunity:
    """Return the opportunity that a decision was of; its floor is what the campaign would have to be worth."""
    contextual = not logged.user_id
    profile = Profile() if contextual else profiles.setdefault(logged.user_id, Profile())
    dimensions = {name: value for name, value in profile.context.items() if name != "page"}
    shown = (one.value for one in logged.candidates if one.cid == logged.cid != cid)
    beaten = math.inf if logged.held_out and logged.held_out != cid else next(shown, 0.0)
    if logged.charge is None:  # of an older release, which logged what one impression was worth
        beaten = per_thousand(beaten)
    rival = _rival_of(cid, logged)
    if rival >= 0 and rival != tier:
        beaten = math.inf if rival > tier else 0.0
    return Opportunity(
        decision_id=logged.decision_id,
        user_id=logged.user_id or logged.decision_id,
        profile=profile,
        at_ms=at_ms,
        placement=logged.placement,
        dimensions={**dimensions, "placement": logged.placement},
        floor=per_impression(max(_floor(logged.placement, settings), beaten)),
        contextual=contextual,
        late=logged.nbr == NoBid.TOO_LATE,
        measured=not contextual,
    )


def _outbid(again: LoggedDecision, tier: int, rival: int, floor: float) -> LoggedDecision:
    """Return a decision with what the campaign lost to: the ad that was shown, where it is worth the floor.

    What that ad was worth has been taken for a floor.

    Parameters
    ----------
    tier, rival
        The campaign's tier, and that of the ad that was shown.
    floor
        The higher of the placement's floor and the campaign's own, for a thousand impressions.
    """
    code, house = loss_of(NoBid.LOWER_TIER if tier < rival else NoBid.OUTBID), tier == HOUSE_TIER
    candidates = tuple(
        msgspec.structs.replace(one, loss=code)
        if one.loss == loss_of(NoBid.BELOW_FLOOR) and (house or one.value >= floor)
        else one
        for one in again.candidates
    )
    return msgspec.structs.replace(again, candidates=candidates)


def _endless(view: CampaignView) -> CampaignView:
    """Return a campaign that runs at all times, is not held back, and has money and approved creatives."""
    creatives = tuple(
        msgspec.structs.replace(creative, status="approved") if creative.status == "pending" else creative
        for creative in view.campaign.creatives
    )
    campaign = msgspec.structs.replace(
        view.campaign,
        starts_at=None,
        ends_at=None,
        paused=False,
        budget=_ENDLESS,
        budget_daily=None,
        advertiser_budget=None,
        advertiser_budget_daily=None,
        creatives=creatives,
    )
    return CampaignView(
        campaign, left=_ENDLESS, left_today=_ENDLESS, day_ends_ms=2**62, calibration=view.calibration,
        conversion=view.conversion, evidence=view.evidence, goal=view.goal,
    )  # fmt: skip


def _interval(days: list[Counts], share: float) -> Interval:
    """Estimate what comes on a day, and the bounds that it keeps to in 95 of 100 cases.

    Parameters
    ----------
    days
        By day and who was there.
    share
        The share of all that these are.
    """
    totals = [sum(day.values()) / share for day in days]
    squares = sum(figure * figure for day in days for figure in day.values())
    variance = squares / (share * len(days)) + squares / (share * len(days)) ** 2
    margin = _Z * math.sqrt(variance)
    if len(days) >= 3:
        margin = max(margin, _T[len(days) - 3] * stdev(totals) * math.sqrt(1.0 + 1.0 / len(days)))
    estimate = mean(totals)
    return Interval(round(estimate, 2), round(max(estimate - margin, 0.0), 2), round(estimate + margin, 2))


def _floor(placement: str, settings: AdSettings) -> float:
    """Return the floor of a placement for a thousand impressions."""
    return settings.floors.get(placement, settings.floor)


def _who(logged: LoggedDecision) -> str:
    return logged.user_id or logged.decision_id


def _ms(logged: LoggedDecision) -> int:
    return round(datetime.fromisoformat(logged.at).timestamp() * 1000)
