"""What is refused when a campaign is read: fields that contradict each other, and texts that mean nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from processors.ads.audience import WINDOWS
from processors.ads.goal import goal_problems
from processors.common.domains import domain_of
from processors.common.money import per_thousand
from processors.common.time import zone_of
from processors.users.ad_history import PAID_FOR

if TYPE_CHECKING:
    from processors.ads.campaign import Campaign, Creative

_PAYS_NOTHING = "the shop pays itself nothing"
_COMES_LAST = "what pays nothing comes after all that pays"
_OF_WHO_PAYS = {
    **dict.fromkeys(("bid", "budget", "budget_daily", "bidfloor", "model", "goal"), _PAYS_NOTHING),
    **dict.fromkeys(("advertiser_budget", "advertiser_budget_daily"), _PAYS_NOTHING),
    "priority": _COMES_LAST,
}
"""Fields that a campaign of the house has no use for, and why."""


_YEARS = range(1990, 2200)


def conflicts_of(campaign: Campaign) -> Iterator[str]:
    """Say what cannot be: of who pays and who does not, of sizes and domains, of money and dates.

    Examples
    --------
    >>> from processors.ads.campaign import Campaign, Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent", w=300)
    >>> list(conflicts_of(Campaign("shop", (tent,), 2.0, house=True)))[0]
    'bid: 2.0, expected none, as house is true: the shop pays itself nothing'
    >>> list(conflicts_of(Campaign("shop", (tent,), 2.0, 100.0)))
    ['creatives[0].h: missing, expected a height beside the width']
    """
    yield from _who_pays(campaign)
    for number, creative in enumerate(campaign.creatives):
        if creative.w is None and creative.h is not None:
            yield f"creatives[{number}].w: missing, expected a width beside the height"
        if creative.h is None and creative.w is not None:
            yield f"creatives[{number}].h: missing, expected a height beside the width"
    for domain in campaign.adomain:
        if not domain_of(domain):
            yield f"adomain: {domain[:60]!r}, expected a domain such as shop.example"
    yield from _budget_problems(campaign)
    yield from _advertiser_problems(campaign)
    if campaign.goal is not None:
        yield from goal_problems(campaign.goal)
    yield from _date_problems(campaign)
    yield from _creative_problems(campaign.creatives)
    yield from _window_problems(campaign)
    if zone_of(campaign.dayparts.timezone) is None:
        yield f"dayparts.timezone: {campaign.dayparts.timezone[:60]!r}, expected a name such as Europe/Berlin"


def _who_pays(campaign: Campaign) -> Iterator[str]:
    if not campaign.house:
        for field in ("bid", "budget"):
            if getattr(campaign, field) <= 0.0:
                yield f"{field}: missing, expected an amount, as only a campaign with house = true pays nothing"
        return
    defaults = {field.name: field.default for field in msgspec.structs.fields(campaign)}
    for field, why in _OF_WHO_PAYS.items():
        given = getattr(campaign, field)
        if given != defaults[field]:
            yield f"{field}: {given}, expected none, as house is true: {why}"


def _window_problems(campaign: Campaign) -> Iterator[str]:
    for side in ("target", "exclude"):
        audience = getattr(campaign, side)
        for window, bounded in WINDOWS.items():
            days = getattr(audience, window)
            if days is not None and not any(getattr(audience, field) for field in bounded):
                yield f"{side}.{window}: {days}, expected {' or '.join(bounded)} beside it, which it bounds"


def _date_problems(campaign: Campaign) -> Iterator[str]:
    for name in ("starts_at", "ends_at"):
        moment = getattr(campaign, name)
        if moment is not None and moment.tzinfo is None:
            yield f"{name}: {moment.isoformat()}, expected a time zone"
        if moment is not None and moment.year not in _YEARS:
            yield f"{name}: {moment.isoformat()}, expected a year from {_YEARS.start} to {_YEARS.stop - 1}"
    if campaign.starts_at is not None and campaign.ends_at is not None and campaign.starts_at >= campaign.ends_at:
        yield f"ends_at: {campaign.ends_at.isoformat()}, expected after starts_at"


def _creative_problems(creatives: tuple[Creative, ...]) -> Iterator[str]:
    ids = [creative.crid for creative in creatives]
    repeated = sorted({crid for crid in ids if ids.count(crid) > 1})
    if repeated:
        yield f"creatives: two are called {repeated[0]!r}, expected each crid once"
    for number, creative in enumerate(creatives):
        for field in ("landing_url", "image_url"):
            url = getattr(creative, field)
            if url is not None and not url.startswith(("https://", "http://")):
                yield f"creatives[{number}].{field}: {url[:60]!r}, expected to begin with https:// or http://"
        if not domain_of(creative.landing_url):
            # Nobody could block it by its domain, while browsers find one in much that is none.
            yield f"creatives[{number}].landing_url: {creative.landing_url[:60]!r}, expected a plain domain in it"


def _budget_problems(campaign: Campaign) -> Iterator[str]:
    if campaign.house:
        return
    if campaign.floor_each > campaign.bid_each:
        most = campaign.bid if campaign.model == "cpm" else per_thousand(campaign.bid)
        yield f"bidfloor: {campaign.bidfloor} for a thousand, expected at most what it bids for as many, {most}"
    if campaign.budget_daily is not None and campaign.budget_daily > campaign.budget:
        yield f"budget_daily: {campaign.budget_daily}, expected at most the budget, which is {campaign.budget}"
    if campaign.model != "cpm" and campaign.bid > campaign.budget:
        yield f"bid: {campaign.bid}, expected at most the budget, which is {campaign.budget}"
    if campaign.model == "cpm" and campaign.bid_each > campaign.budget:
        yield f"bid: {campaign.bid} for a thousand, expected one impression within the budget, {campaign.budget}"


def _advertiser_problems(campaign: Campaign) -> Iterator[str]:
    whole, daily = campaign.advertiser_budget, campaign.advertiser_budget_daily
    if whole is not None and daily is not None and daily > whole:
        yield f"advertiser_budget_daily: {daily}, expected at most advertiser_budget, which is {whole}"
    for field in ("advertiser_budget", "advertiser_budget_daily"):
        budget = getattr(campaign, field)
        if budget is not None and campaign.bid_each > budget:
            yield f"{field}: {budget}, expected at least what it bids for one {PAID_FOR[campaign.model]}"
