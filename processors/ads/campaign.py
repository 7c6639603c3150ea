"""What a campaign is: who advertises, for how much, with which creatives, to whom, how often.

Campaigns come on ``catalog.campaigns.v1``, one record per campaign id, a tombstone withdraws one. Names are those of
OpenRTB 2.6 where it has one: ``cid``, ``crid``, ``bidfloor``.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from processors.ads.audience import Audience
from processors.ads.campaign_conflicts import conflicts_of
from processors.ads.goal import Goal
from processors.common.bounds import Id, Milliseconds
from processors.common.money import per_impression
from processors.common.time import DAY_MS, MONTH_MS, WEEK_MS
from processors.common.wire_errors import explained
from processors.users.ad_history import MAX_TIMES, Model

MAX_CREATIVES, MAX_DOMAINS = 32, 32
LEAST_AMOUNT, MAX_AMOUNT = 1e-6, 1e9
Amount = Annotated[float, msgspec.Meta(ge=LEAST_AMOUNT, le=MAX_AMOUNT)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Url = Annotated[str, msgspec.Meta(min_length=8, max_length=2048)]
Pixels = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
Priority = Annotated[int, msgspec.Meta(ge=1, le=9)]
MIDDLE_PRIORITY = 5
HOUSE_TIER = 0
"""The tier of the shop's own campaigns, below that of every priority."""

Times = Annotated[int, msgspec.Meta(ge=1, le=MAX_TIMES)]
Hours = Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=23)], ...], msgspec.Meta(max_length=24)]
Weekdays = tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...]


class Creative(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One advertisement.

    Parameters
    ----------
    crid
        The id, unique within the campaign.
    title, image_url, landing_url
        What is shown, and where it leads; addresses begin with ``https`` or ``http``.
    item_id, category
        What it promotes.
    weight
        How often it is preferred as long as the click model knows nothing of it, relative to the campaign's others.
    w, h
        Its size in pixels, both or neither. Without a size it fits everywhere.
    status
        Whether somebody has looked at it and agreed: only what is ``approved`` is shown.
    """

    crid: Id
    title: Text
    landing_url: Url
    image_url: Url | None = None
    item_id: Id | None = None
    category: Id | None = None
    weight: Annotated[float, msgspec.Meta(gt=0.0, le=1000.0)] = 1.0
    w: Pixels | None = None
    h: Pixels | None = None
    status: Literal["approved", "pending", "rejected"] = "approved"


class Dayparts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Hours at which ads are shown.

    Parameters
    ----------
    hours, days
        When; an empty list means all.
    timezone
        The campaign's time zone; its days, and with them the daily budget, begin at midnight there.
    of
        Whose time counts: the ``campaign``'s, or the ``user``'s as far as events say the user's time zone.
    """

    hours: Hours = ()
    days: Weekdays = ()
    timezone: Id = "UTC"
    of: Literal["campaign", "user"] = "campaign"


class Frequency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often one user may be shown the campaign, over the last hour, day, week of 7 days, month of 30, and ever.

    Parameters
    ----------
    advertiser_per_hour, advertiser_per_day, advertiser_total
        The most impressions to one user of all campaigns of the advertiser together; beyond that this one is not shown.
    cool_down_ms
        Milliseconds that it is not shown after a purchase that it led to, or a dismissal.
    conversions
        Purchases of a user that it led to, less those that were returned, after which it is not shown any more.
    """

    per_hour: Times | None = None
    per_day: Times | None = None
    total: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    advertiser_per_hour: Times | None = None
    advertiser_per_day: Times | None = None
    advertiser_total: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    cool_down_ms: Milliseconds = 0
    per_week: Times | None = None
    per_month: Times | None = None
    conversions: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None

    @property
    def looks_back_ms(self) -> int:
        """How long times of impressions must be kept for the caps, in milliseconds: a day at least."""
        return MONTH_MS if self.per_month is not None else WEEK_MS if self.per_week is not None else DAY_MS

    @property
    def counts_advertiser(self) -> bool:
        """Whether impressions of the advertiser's other campaigns count."""
        return (self.advertiser_per_hour, self.advertiser_per_day, self.advertiser_total) != (None, None, None)


class Campaign(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A campaign; its id is the key of its record.

    Parameters
    ----------
    advertiser
        Who pays.
    currency
        ISO 4217 code of the budgets and the bid.
    budget, budget_daily
        What may be spent in all, and per day of the campaign's time zone. A campaign of the house has none.
    bid, model
        What it pays at most for a thousand impressions, a click, or a purchase. A campaign of the house bids nothing.
    bidfloor
        The least price of a thousand impressions (CPM), whatever it pays for: if an impression is worth less the
        campaign is not shown, and it never pays less. A higher floor of the request or the placement counts instead.
    pacing
        ``even`` spreads the budget over the traffic to come, ``asap`` spends as it can.
    target, exclude
        Who the campaign is for, and who it is not for; an empty exclusion excludes nobody.
    exclude_purchasers
        Whether users who bought an item that it promotes are left out.
    paused
        Whether it is shown to nobody for now.
    holdout
        Share of the users, 0 to 0.9, who are never shown it, so that its lift can be measured
        (:mod:`processors.ads.lift`). Change it only with the id: who is in which group follows from the id.
    priority
        Its tier, 1 to 9: one of a higher tier is shown before one of a lower tier, whatever they are worth. Within a
        tier the auction decides, and nobody pays for having beaten a lower tier.
    house
        Whether it is the shop's own: it pays nothing, and is shown where no campaign that pays may be, whatever the
        floor.
    adomain
        Domains of the advertiser, as lists of blocked ones name them; without any, those that the creatives lead to.
    goal
        What a purchase may cost or has to bring in; what is bid follows from it, and is never more than ``bid``.
    advertiser_budget, advertiser_budget_daily
        What all campaigns of the advertiser may spend together, in all and per day. It is enough that one of them says
        so; if several do, the smallest counts (:mod:`processors.ads.advertisers`).
    """

    advertiser: Id
    creatives: Annotated[tuple[Creative, ...], msgspec.Meta(min_length=1, max_length=MAX_CREATIVES)]
    bid: Amount = 0.0
    budget: Amount = 0.0
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
    holdout: Annotated[float, msgspec.Meta(ge=0.0, le=0.9)] = 0.0
    priority: Priority = MIDDLE_PRIORITY
    house: bool = False
    adomain: Annotated[tuple[Id, ...], msgspec.Meta(max_length=MAX_DOMAINS)] = ()

    @property
    def tier(self) -> int:
        """Its place among the tiers, the highest first: the priority, or :data:`HOUSE_TIER`."""
        return HOUSE_TIER if self.house else self.priority

    @property
    def is_paced(self) -> bool:
        """Whether it is held back so that its budget lasts."""
        return self.pacing == "even" and not self.house

    @property
    def approved(self) -> tuple[Creative, ...]:
        """The creatives that may be shown."""
        return tuple(creative for creative in self.creatives if creative.status == "approved")

    goal: Goal | None = None
    advertiser_budget: Amount | None = None
    advertiser_budget_daily: Amount | None = None

    @property
    def limits_advertiser(self) -> bool:
        """Whether it says what all campaigns of its advertiser may spend together."""
        return self.advertiser_budget is not None or self.advertiser_budget_daily is not None

    @property
    def bid_each(self) -> float:
        """The most that it pays for a single impression, click or purchase, whichever it pays for."""
        return per_impression(self.bid) if self.model == "cpm" else self.bid

    @property
    def floor_each(self) -> float:
        """The least price of a single impression."""
        return per_impression(self.bidfloor)

    def has_ended(self, now_ms: float) -> bool:
        """Tell whether it is over at a moment, milliseconds since the epoch."""
        return self.ends_at is not None and 1000.0 * self.ends_at.timestamp() <= now_ms

    @property
    def needs_user(self) -> bool:
        """Whether the user must be known: to match the audience, count impressions, or recognise what is paid for.

        Examples
        --------
        >>> tent = Creative("a", "A tent", "https://shop.example/tent")
        >>> campaign = Campaign("shop", (tent,), 2.0, 100.0, target=Audience(countries=("DE",)))
        >>> campaign.needs_user, msgspec.structs.replace(campaign, frequency=Frequency(per_day=3)).needs_user
        (False, True)
        """
        matches = self.target.uses_profile or self.exclude.uses_profile or self.exclude_purchasers
        return matches or self.model != "cpm" or self.goal is not None or self.frequency != Frequency()


def read_campaign(raw: bytes) -> Campaign:
    """Decode and check the value of a record of ``catalog.campaigns.v1``.

    Raises
    ------
    ValueError
        If it is no valid campaign. The message names the field, and says what was expected.

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
        # A campaign of a JSON file has it.
        is_id = str(error) == "Object contains unknown field `cid`"
        said = "cid is the key of the record, and no field of its value" if is_id else explained(error, Campaign)
        raise ValueError(said) from error
    for problem in conflicts_of(campaign):
        raise ValueError(problem)
    return campaign


_decode = msgspec.json.Decoder(Campaign).decode
