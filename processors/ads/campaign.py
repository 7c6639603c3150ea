"""What a campaign is: who advertises, for how much, with which creatives, to whom, how often.

Campaigns come on ``catalog.campaigns.v1``, one record per campaign id, a tombstone withdraws one. Names are those of
OpenRTB 2.6 where it has one: ``cid``, ``crid``, ``bidfloor``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from processors.common.bounds import Id, Ids, Milliseconds, Share
from processors.common.time import zone_of
from processors.users.ad_history import MAX_TIMES, Model

MAX_CREATIVES = 32
_YEARS = range(1990, 2200)
MAX_AMOUNT = 1e9
Amount = Annotated[float, msgspec.Meta(gt=0.0, le=MAX_AMOUNT)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Url = Annotated[str, msgspec.Meta(min_length=8, max_length=2048)]

Times = Annotated[int, msgspec.Meta(ge=1, le=MAX_TIMES)]
Language = Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{2,3}$")]
"""Of ISO 639, without a region: that is a country, and told by another field."""

Hours = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=23)], ...], msgspec.Meta(max_length=24)]
Weekdays = tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]


class Creative(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One advertisement.

    Parameters
    ----------
    crid
        Its id, unique within the campaign.
    title, image_url, landing_url
        What is shown, and where it leads; ``https`` or ``http``.
    item_id, category
        What it promotes.
    weight
        How often it is preferred before anything is known of it, relative to the others.
    """

    crid: Id
    title: Text
    landing_url: Url
    image_url: Url | None = None
    item_id: Id | None = None
    category: Id | None = None
    weight: Annotated[float, msgspec.Meta(gt=0.0, le=1000.0)] = 1.0


class Interest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A category or brand that takes at least such a share of a user's interests."""

    name: Id
    at_least: Share = 0.1


class Audience(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """People and moments: those that every field given agrees to. A list agrees to each of its entries.

    Parameters
    ----------
    segments
        Interest groups, by their number or top category.
    interests
        Categories or brands with the least share that they must have.
    countries, regions, cities, devices, channels, languages, placements
        Of the moment's context, upper and lower case alike.
    visitors
        ``new`` in the first session, ``returning`` after it.
    seen_within_days, events_at_least, spent_at_least
        Recency, frequency and monetary value.
    viewed_categories, viewed_items
        Among the recent items: retargeting.
    """

    segments: Ids = ()
    interests: Annotated[tuple[Interest, ...], msgspec.Meta(max_length=100)] = ()
    countries: Ids = ()
    regions: Ids = ()
    cities: Ids = ()
    devices: Ids = ()
    channels: Ids = ()
    languages: Annotated[tuple[Language, ...], msgspec.Meta(max_length=1000)] = ()
    placements: Ids = ()
    visitors: Literal["new", "returning"] | None = None
    seen_within_days: Annotated[float, msgspec.Meta(gt=0.0, le=3650.0)] | None = None
    events_at_least: Annotated[int, msgspec.Meta(ge=1, le=10**9)] | None = None
    spent_at_least: Annotated[float, msgspec.Meta(gt=0.0, le=1e12)] | None = None
    viewed_categories: Ids = ()
    viewed_items: Ids = ()

    @property
    def looks_at_people(self) -> bool:
        """Whether it looks at more than the moment."""
        return bool(self.segments) or self.looks_at_history

    @property
    def looks_at_history(self) -> bool:
        """Whether it looks at what a user did."""
        return any(getattr(self, field) != getattr(_ANYBODY, field) for field in _OF_HISTORY)


_ANYBODY = Audience()
_OF_HISTORY = (
    "interests",
    "visitors",
    "seen_within_days",
    "events_at_least",
    "spent_at_least",
    "viewed_categories",
    "viewed_items",
)


class Dayparts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hours at which ads are shown.

    Parameters
    ----------
    hours, days
        When; an empty list means all.
    timezone
        The campaign's; its days, of the daily budget too, begin at midnight there.
    of
        Whose time it is: the ``campaign``'s, or the ``user``'s as far as events tell the user's time zone.
    """

    hours: Hours = ()
    days: Weekdays = ()
    timezone: Id = "UTC"
    of: Literal["campaign", "user"] = "campaign"


class Frequency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often one user may be shown the campaign, over the last hour, day, and ever.

    Parameters
    ----------
    advertiser_per_hour, advertiser_per_day, advertiser_total
        How often this one may still be shown when all campaigns of the advertiser are counted.
    cool_down_ms
        How long it rests after a purchase that it led to, or a dismissal.
    """

    per_hour: Times | None = None
    per_day: Times | None = None
    total: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    advertiser_per_hour: Times | None = None
    advertiser_per_day: Times | None = None
    advertiser_total: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    cool_down_ms: Milliseconds = 0

    @property
    def counts_advertiser(self) -> bool:
        """Whether showings of the advertiser's other campaigns count."""
        return (self.advertiser_per_hour, self.advertiser_per_day, self.advertiser_total) != (None, None, None)


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A campaign; its id is the key of its record.

    Parameters
    ----------
    advertiser
        Who pays.
    currency
        ISO 4217, of the budgets and the bid.
    budget, budget_daily
        What may be spent in all, and per day of the campaign's time zone.
    bid, model
        What it pays at most for a thousand impressions, a click, or a purchase.
    bidfloor
        Least that one showing of it brings: below that it is not shown, and it pays that at least. Higher floors of
        the request or the placement count.
    pacing
        ``even`` spreads the budget over the traffic to come, ``asap`` spends as it can.
    target, exclude
        Who is meant, and who is not; an empty exclusion excludes nobody.
    exclude_purchasers
        Whether who bought an item that it promotes is left out.
    paused
        Whether it rests.
    """

    advertiser: Id
    creatives: Annotated[tuple[Creative, ...], msgspec.Meta(min_length=1, max_length=MAX_CREATIVES)]
    bid: Amount
    budget: Amount
    model: Model = "cpm"
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "EUR"
    budget_daily: Amount | None = None
    bidfloor: Annotated[float, msgspec.Meta(ge=0.0, le=MAX_AMOUNT)] = 0.0
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    pacing: Literal["even", "asap"] = "even"
    target: Audience = Audience()
    exclude: Audience = Audience()
    exclude_purchasers: bool = False
    dayparts: Dayparts = Dayparts()
    frequency: Frequency = Frequency()
    name: Text | None = None
    paused: bool = False

    @property
    def bid_each(self) -> float:
        """What it pays at most for one of what it pays for: an impression, a click, a purchase."""
        return self.bid / 1000.0 if self.model == "cpm" else self.bid

    @property
    def needs_user(self) -> bool:
        """Whether it has to know the user: to tell who is meant, to count showings, or to recognise what it pays for.

        Examples
        --------
        >>> tent = Creative("a", "A tent", "https://shop.example/tent")
        >>> campaign = Campaign("shop", (tent,), 2.0, 100.0, target=Audience(countries=("DE",)))
        >>> campaign.needs_user, msgspec.structs.replace(campaign, frequency=Frequency(per_day=3)).needs_user
        (False, True)
        """
        looks = self.target.looks_at_people or self.exclude.looks_at_people or self.exclude_purchasers
        return looks or self.model != "cpm" or self.frequency != Frequency()

    @property
    def looks_beyond_places(self) -> bool:
        """Whether it looks at what users did, or at the hour."""
        looks = self.target.looks_at_history or self.exclude.looks_at_history or self.exclude_purchasers
        return looks or bool(self.dayparts.hours or self.dayparts.days)

    def runs_at(self, now_ms: int) -> bool:
        """Whether a moment is between start and end, and it is not paused.

        Examples
        --------
        >>> from datetime import UTC
        >>> tent = Creative("a", "A tent", "https://shop.example/tent")
        >>> campaign = Campaign("shop", (tent,), 2.0, 100.0, ends_at=datetime(2025, 1, 1, tzinfo=UTC))
        >>> campaign.runs_at(1_700_000_000_000), campaign.runs_at(1_800_000_000_000)
        (True, False)
        """
        moment = now_ms / 1000
        begun = self.starts_at is None or self.starts_at.timestamp() <= moment
        return begun and (self.ends_at is None or moment < self.ends_at.timestamp()) and not self.paused


def read_campaign(raw: bytes) -> Campaign:
    """The campaign that a record's value holds.

    Raises
    ------
    ValueError
        If it is none. The message names the field, and says what was expected.

    Examples
    --------
    >>> raw = b'{"advertiser":"shop","bid":2,"budget":100,"creatives":[{"crid":"a","title":"A tent",'
    >>> raw += b'"landing_url":"https://shop.example/tent"}]}'
    >>> read_campaign(raw).model
    'cpm'
    >>> read_campaign(raw.replace(b'"bid":2', b'"bid":200000'))
    Traceback (most recent call last):
    ...
    ValueError: bid: 200000.0 for a thousand, expected one impression within the budget, 100.0
    """
    try:
        campaign = _decode(raw)
    except msgspec.MsgspecError as error:
        raise ValueError(f"value: {error}") from error
    for problem in _problems(campaign):
        raise ValueError(problem)
    return campaign


_decode = msgspec.json.Decoder(Campaign).decode


def _problems(campaign: Campaign) -> Iterator[str]:
    yield from _budget_problems(campaign)
    for name in ("starts_at", "ends_at"):
        moment = getattr(campaign, name)
        if moment is not None and moment.tzinfo is None:
            yield f"{name}: {moment.isoformat()}, expected a time zone"
        if moment is not None and moment.year not in _YEARS:
            yield f"{name}: {moment.isoformat()}, expected a year from {_YEARS.start} to {_YEARS.stop - 1}"
    if campaign.starts_at is not None and campaign.ends_at is not None and campaign.starts_at >= campaign.ends_at:
        yield f"ends_at: {campaign.ends_at.isoformat()}, expected after starts_at"
    ids = [creative.crid for creative in campaign.creatives]
    twice = sorted({crid for crid in ids if ids.count(crid) > 1})
    if twice:
        yield f"creatives: two are called {twice[0]!r}, expected each crid once"
    for at, creative in enumerate(campaign.creatives):
        for field in ("landing_url", "image_url"):
            url = getattr(creative, field)
            if url is not None and not url.startswith(("https://", "http://")):
                yield f"creatives[{at}].{field}: {url[:60]!r}, expected to begin with https:// or http://"
    if zone_of(campaign.dayparts.timezone) is None:
        yield f"dayparts.timezone: {campaign.dayparts.timezone[:60]!r}, expected a name such as Europe/Berlin"


def _budget_problems(campaign: Campaign) -> Iterator[str]:
    if campaign.bidfloor > campaign.bid_each:
        yield f"bidfloor: {campaign.bidfloor} a showing, expected at most what it bids for one, {campaign.bid_each}"
    if campaign.budget_daily is not None and campaign.budget_daily > campaign.budget:
        yield f"budget_daily: {campaign.budget_daily}, expected at most the budget, which is {campaign.budget}"
    if campaign.model != "cpm" and campaign.bid > campaign.budget:
        yield f"bid: {campaign.bid}, expected at most the budget, which is {campaign.budget}"
    if campaign.model == "cpm" and campaign.bid_each > campaign.budget:
        yield f"bid: {campaign.bid} for a thousand, expected one impression within the budget, {campaign.budget}"
