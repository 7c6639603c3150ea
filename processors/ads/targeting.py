"""Who and which moments a campaign is for, of many opportunities at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from processors.ads.campaign import Audience, Campaign, Dayparts
from processors.ads.campaign_index import PLACES, CampaignIndex
from processors.ads.no_bid import NoBid
from processors.ads.opportunity import Opportunity
from processors.common.arrays import Flags, Floats, Ints
from processors.common.time import DAY_MS, zone_of
from processors.users.profile import Profile

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def removed_by(opportunities: Sequence[Opportunity], book: CampaignIndex) -> Ints:
    """What keeps each campaign from each opportunity: a :class:`NoBid` or 0, shape (opportunities, campaigns).

    Complexity: a few operations over the matrix; a loop over the campaigns that look at more than places.
    """
    columns = book.columns
    removed = np.zeros((len(opportunities), len(columns.cids)), np.int64)
    now = np.array([opportunity.at_ms for opportunity in opportunities], np.float64)[:, None]
    _mark(removed, np.array([found.late for found in opportunities], np.bool_)[:, None], NoBid.TOO_LATE)
    runs = (now >= columns.begins) & (now < columns.ends) & ~columns.paused
    _mark(removed, ~runs, NoBid.NOT_RUNNING)
    unknown = np.array([opportunity.contextual for opportunity in opportunities], np.bool_)[:, None]
    _mark(removed, unknown & columns.needs_user, NoBid.NO_CONSENT)
    _mark(removed, ~_in_place(opportunities, book), NoBid.NOT_MEANT)
    facts = _Facts(opportunities)
    for number in columns.looking.tolist():
        for code, those in _checks(columns.views[number].campaign, facts):
            _mark(removed[:, number], those, code)
    return removed


def without_money(removed: Ints, opportunities: Sequence[Opportunity], book: CampaignIndex) -> None:
    """Remove campaigns that have nothing left, in place.

    Looked at last: what a campaign could have taken part in is to be known when it has nothing left, too.
    """
    now = np.array([opportunity.at_ms for opportunity in opportunities], np.float64)[:, None]
    _mark(removed, book.exhausted(now), NoBid.NO_BUDGET)


def _mark(removed: Ints, those: Flags, code: NoBid) -> None:
    removed[(removed == 0) & those] = code


def _in_place(opportunities: Sequence[Opportunity], book: CampaignIndex) -> Flags:
    return np.array([book.agree(tuple(map(found.places.get, PLACES))) for found in opportunities])


def _checks(campaign: Campaign, facts: _Facts) -> Iterator[tuple[NoBid, Flags]]:
    """What is wrong with which opportunities, for a campaign that looks at more than places."""
    if campaign.target.looks_at_history:
        yield NoBid.NOT_MEANT, ~np.logical_and.reduce(list(_answers(campaign.target, facts)))
    if campaign.exclude.looks_at_history:
        yield NoBid.EXCLUDED, _any(_answers(campaign.exclude, facts))
    if campaign.exclude_purchasers and any(creative.item_id for creative in campaign.creatives):
        promoted = {creative.item_id for creative in campaign.creatives if creative.item_id}
        yield NoBid.EXCLUDED, _any(facts.bought(item) for item in sorted(promoted))
    if campaign.dayparts.hours or campaign.dayparts.days:
        inside = [
            in_daypart(campaign.dayparts, found.at_ms, found.places.get("time_zone")) for found in facts.opportunities
        ]
        yield NoBid.OTHER_HOURS, ~np.array(inside, np.bool_)


class _Facts:
    """What the users of a batch did, each thing looked up once however many campaigns ask for it."""

    def __init__(self, opportunities: Sequence[Opportunity]) -> None:
        self.opportunities = opportunities
        self._known: dict[tuple[str, str], Floats] = {}

    def shares(self, name: str) -> Floats:
        """Share that a category or brand takes of each user's interests."""
        return self._of("shares", name, lambda profile: share_of(profile, name))

    def looked(self, field: str, name: str) -> Flags:
        """Whether a category or an item is among those of each user (``categories`` or ``item_ids``)."""
        return self._of(field, name, lambda profile: name in getattr(profile, field)) > 0.0

    def bought(self, item: str) -> Flags:
        """Whether each user bought an item lately."""
        return self._of("bought", item, lambda profile: profile.has_bought(item)) > 0.0

    def figures(self, field: str) -> Floats:
        """A figure of each profile."""
        return self._of(field, "", lambda profile: getattr(profile, field))

    def _of(self, what: str, name: str, look_up: Callable[[Profile], float]) -> Floats:
        found = self._known.get((what, name))
        if found is None:
            found = np.array([look_up(one.profile) for one in self.opportunities], np.float64)
            self._known[what, name] = found
        return found


def _answers(audience: Audience, facts: _Facts) -> Iterator[Flags]:
    """Who agrees to each field that is given."""
    if audience.interests:
        yield _any(facts.shares(interest.name) >= interest.at_least for interest in audience.interests)
    if audience.visitors is not None:
        yield (facts.figures("sessions") > 1) == (audience.visitors == "returning")
    if audience.seen_within_days is not None:
        recency = np.array([found.profile.recency_ms(found.at_ms) for found in facts.opportunities])
        yield recency <= audience.seen_within_days * DAY_MS
    if audience.events_at_least is not None:
        yield facts.figures("events") >= audience.events_at_least
    if audience.spent_at_least is not None:
        yield facts.figures("spent") >= audience.spent_at_least
    if audience.viewed_categories:
        yield _any(facts.looked("categories", name) for name in audience.viewed_categories)
    if audience.viewed_items:
        yield _any(facts.looked("item_ids", item) for item in audience.viewed_items)


def _any(answers: Iterable[Flags]) -> Flags:
    found: Flags = np.logical_or.reduce(list(answers))
    return found


def share_of(profile: Profile, name: str) -> float:
    """Share that a category, or else a brand, takes of a user's interests.

    Examples
    --------
    >>> share_of(Profile(categories={"tents": 3.0, "lamps": 1.0}), "tents")
    0.75
    """
    for weights in (profile.categories, profile.brands):
        if name in weights:
            return weights[name] / sum(weights.values())
    return 0.0


def in_daypart(dayparts: Dayparts, at_ms: int, time_zone: str | None = None) -> bool:
    """Whether a moment is in the hours and on the days, in their time zone.

    Parameters
    ----------
    time_zone
        The user's, if it is known; it counts if the hours are the user's.

    Examples
    --------
    >>> evening = Dayparts(hours=(20, 21), timezone="Asia/Shanghai")
    >>> in_daypart(evening, 1_700_000_000_000), in_daypart(evening, 1_700_049_600_000)
    (False, True)
    >>> morning = Dayparts(hours=(7,), of="user")
    >>> [in_daypart(morning, 1_700_000_000_000, zone) for zone in ("Asia/Tokyo", "America/Lima", None)]
    [True, False, False]
    """
    own = zone_of(time_zone) if time_zone is not None and dayparts.of == "user" else None
    moment = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(own or zone_of(dayparts.timezone) or UTC)
    on_day = not dayparts.days or _WEEKDAYS[moment.weekday()] in dayparts.days
    return on_day and (not dayparts.hours or moment.hour in dayparts.hours)
