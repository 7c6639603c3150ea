"""The published campaigns as columns: one array per figure, so that all campaigns are looked at at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from processors.ads.campaign import Campaign, Creative, Frequency
from processors.ads.campaign_view import CampaignView
from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.common.hashing import hashed


@dataclass(frozen=True)
class Columns:
    """Figures of all campaigns, in the order of their ids; arrays have the shape (campaigns,) unless said otherwise.

    Attributes
    ----------
    cids, views
        Ids, and what was published.
    rows
        The row of each id.
    begins, ends
        When each runs, milliseconds since the epoch.
    paused, needs_user
        Whether it is paused, and whether it can only be shown to users who agreed to be known.
    left_today, left_next_day, day_ends
        What may still be spent today, what on the day after, and when today is over, milliseconds since the epoch.
    rates, floors, calibration, conversions
        As published.
    bids
        The most that it pays for one impression, click or purchase.
    pays_click, pays_purchase
        Whether it pays for clicks or for purchases; it pays for impressions if neither.
    targets_history, excludes_history, has_dayparts
        Rows of the campaigns whose target needs what users did, whose exclusions do, and that are shown at some hours
        only. Each has a length of its own.
    capped, capped_by_advertiser
        Whether impressions of it to one user are limited, and whether those of all its advertiser's campaigns are.
    campaign_keys
        Hash of each id.
    creatives
        The creatives of all campaigns.
    """

    cids: tuple[str, ...]
    views: tuple[CampaignView, ...]
    rows: Mapping[str, int]
    begins: Floats
    ends: Floats
    paused: Flags
    needs_user: Flags
    left_today: Floats
    left_next_day: Floats
    day_ends: Floats
    rates: Floats
    bids: Floats
    floors: Floats
    calibration: Floats
    pays_click: Flags
    pays_purchase: Flags
    conversions: Floats
    targets_history: Ints
    excludes_history: Ints
    has_dayparts: Ints
    capped: Flags
    capped_by_advertiser: Flags
    campaign_keys: Hashes
    creatives: Creatives


@dataclass(frozen=True)
class Creatives:
    """The creatives of all campaigns, one campaign's after the other's.

    Attributes
    ----------
    all, crids
        The creatives, and their ids.
    begins
        Where those of each campaign begin, and the end of the last. Shape (campaigns + 1,).
    keys
        Hash of each with its campaign's id.
    weights
        Logarithm of each one's ``weight``.
    categories, category
        Names of the categories that are promoted, and which of them each creative promotes; -1 for none.
    """

    all: tuple[Creative, ...]
    crids: tuple[str, ...]
    begins: Ints
    keys: Hashes
    weights: Floats
    categories: tuple[str, ...]
    category: Ints


def columns_of(views: Mapping[str, CampaignView]) -> Columns:
    """Lay out what was published of campaigns as columns.

    Parameters
    ----------
    views
        By campaign id; the rows are in its order.
    """
    campaigns = [view.campaign for view in views.values()]
    return Columns(
        cids=tuple(views),
        views=tuple(views.values()),
        rows={cid: row for row, cid in enumerate(views)},
        begins=_milliseconds(c.starts_at.timestamp() if c.starts_at else -np.inf for c in campaigns),
        ends=_milliseconds(c.ends_at.timestamp() if c.ends_at else np.inf for c in campaigns),
        paused=_flags(campaign.paused for campaign in campaigns),
        needs_user=_flags(campaign.needs_user for campaign in campaigns),
        left_today=_floats(view.left_today for view in views.values()),
        left_next_day=_floats(min(view.left, _daily(view.campaign)) for view in views.values()),
        day_ends=_floats(view.day_ends_ms for view in views.values()),
        rates=_floats(view.rate for view in views.values()),
        bids=_floats(campaign.bid_each for campaign in campaigns),
        floors=_floats(campaign.bidfloor for campaign in campaigns),
        calibration=_floats(view.calibration for view in views.values()),
        pays_click=_flags(campaign.model == "cpc" for campaign in campaigns),
        pays_purchase=_flags(campaign.model == "cpa" for campaign in campaigns),
        conversions=_floats(view.conversion for view in views.values()),
        targets_history=np.flatnonzero([campaign.target.uses_history for campaign in campaigns]),
        excludes_history=np.flatnonzero([_excludes_history(campaign) for campaign in campaigns]),
        has_dayparts=np.flatnonzero([bool(c.dayparts.hours or c.dayparts.days) for c in campaigns]),
        capped=_flags(campaign.frequency != _UNLIMITED for campaign in campaigns),
        capped_by_advertiser=_flags(campaign.frequency.counts_advertiser for campaign in campaigns),
        campaign_keys=np.array([hashed(f"campaign:{cid}") for cid in views], np.uint64),
        creatives=_creatives_of(views),
    )


def _creatives_of(views: Mapping[str, CampaignView]) -> Creatives:
    flat = [(cid, creative) for cid, view in views.items() for creative in view.campaign.creatives]
    categories = tuple(sorted({creative.category for _, creative in flat if creative.category is not None}))
    numbers = {name: number for number, name in enumerate(categories)}
    lengths = [len(view.campaign.creatives) for view in views.values()]
    return Creatives(
        all=tuple(creative for _, creative in flat),
        crids=tuple(creative.crid for _, creative in flat),
        begins=np.cumsum([0, *lengths]),
        keys=np.array([hashed(f"creative:{cid}/{creative.crid}") for cid, creative in flat], np.uint64),
        weights=np.log(_floats(creative.weight for _, creative in flat)),
        categories=categories,
        category=np.array([numbers.get(creative.category or "", -1) for _, creative in flat], np.int64),
    )


def _daily(campaign: Campaign) -> float:
    return np.inf if campaign.budget_daily is None else campaign.budget_daily


def _excludes_history(campaign: Campaign) -> bool:
    return campaign.exclude.uses_history or campaign.exclude_purchasers


def _floats(figures: Iterable[float]) -> Floats:
    return np.array(list(figures), np.float64)


def _flags(answers: Iterable[bool]) -> Flags:
    return np.array(list(answers), np.bool_)


def _milliseconds(seconds: Iterable[float]) -> Floats:
    return 1000.0 * _floats(seconds)


_UNLIMITED = Frequency()
