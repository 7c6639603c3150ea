"""The published campaigns as columns: one array per figure, so that all campaigns are looked at at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from processors.ads.campaign import Campaign, Creative, Frequency
from processors.ads.campaign_view import CampaignView
from processors.ads.conditions import Conditions, checks_of, excluded_by, questions_of
from processors.ads.creative_limits import CreativeLimits, why_unapproved
from processors.ads.goal_worth import GoalColumns
from processors.ads.user_facts import Questions
from processors.common.arrays import Flags, Floats, Hashes, Ints
from processors.common.hashing import hashed


@dataclass(frozen=True)
class Columns:
    """Figures of all campaigns, in the order of their ids; arrays have the shape (campaigns,) unless said otherwise.

    What is published of a campaign that stays as it is changes its row in place (:meth:`update`).

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
    left_in_all, held, held_ms, held_fades
        What may still be spent in all; what is kept back of it for decisions made so far, as of which moment, and how
        fast that fades.
    rates, floors, calibration, conversions
        As published.
    doubts
        Variance of the logarithm of what its clicks are worth, as far as its own clicks tell.
    bids
        The most that it pays for one impression, click or purchase.
    stakes
        The same as it counts in auctions: campaigns of the house pay nothing, and compete by how likely a click is.
    pays_click, pays_purchase
        What counts: clicks, also for the house, or purchases; impressions if neither.
    tiers
        Which campaigns come before which (:attr:`processors.ads.campaign.Campaign.tier`).
    unapproved
        Why none of its creatives may be shown, a :class:`processors.ads.no_bid.NoBid`; 0 if one may.
    questions, targets, exclusions
        What campaigns ask of users' histories, which of them are for users who match, and which exclude those.
    has_dayparts
        Rows of the campaigns that are shown at some hours only.
    capped, capped_by_advertiser
        By id the campaigns whose impressions to one user are limited, and the ids of those that limit the impressions
        of all campaigns of their advertiser.
    campaign_keys
        Hash of each id.
    creatives
        The creatives of all campaigns that are approved.
    limits
        Finds those that a request does not want.
    goals
        The goals of those that have one.
    factors, purchase_values
        What the cost allowed to a purchase is multiplied with, and what one brings in on average, as published of
        campaigns with a goal.
    """

    cids: tuple[str, ...]
    views: list[CampaignView]
    rows: Mapping[str, int]
    begins: Floats
    ends: Floats
    paused: Flags
    needs_user: Flags
    left_today: Floats
    left_next_day: Floats
    left_in_all: Floats
    held: Floats
    held_ms: Floats
    held_fades: Floats
    day_ends: Floats
    rates: Floats
    bids: Floats
    stakes: Floats
    tiers: Ints
    unapproved: Ints
    floors: Floats
    calibration: Floats
    pays_click: Flags
    pays_purchase: Flags
    conversions: Floats
    doubts: Floats
    questions: Questions
    targets: Conditions
    exclusions: Conditions
    has_dayparts: Ints
    holdouts: Floats
    capped: Mapping[str, Campaign]
    capped_by_advertiser: tuple[str, ...]
    campaign_keys: Hashes
    creatives: Creatives
    limits: CreativeLimits
    goals: GoalColumns
    factors: Floats
    purchase_values: Floats

    def update(self, row: int, view: CampaignView) -> None:
        """Take over what was published of a campaign that itself is as before."""
        self.views[row] = view
        for name, figure in _PUBLISHED.items():
            getattr(self, name)[row] = figure(view)


@dataclass(frozen=True)
class Creatives:
    """The approved creatives of all campaigns, one campaign's after the other's.

    Attributes
    ----------
    all, crids
        The creatives, and their ids.
    begins
        Where those of each campaign begin, and the end of the last. Shape (campaigns + 1,).
    keys
        Hash of each with its campaign's id.
    facts
        The same, as the click model is told of it: of a creative that is its campaign's only one, that it is alone.
    weights
        Logarithm of each one's ``weight``.
    of_item
        The creatives that promote each item.
    category_numbers, category
        Numbers of the categories that are promoted, and which of them each creative promotes; -1 for none.
    """

    all: tuple[Creative, ...]
    crids: tuple[str, ...]
    begins: Ints
    keys: Hashes
    facts: Hashes
    weights: Floats
    of_item: Mapping[str, list[int]]
    category_numbers: Mapping[str, int]
    category: Ints


def columns_of(views: Mapping[str, CampaignView]) -> Columns:
    """Lay out what was published of campaigns as columns.

    Parameters
    ----------
    views
        By campaign id; the rows are in its order.
    """
    campaigns = [view.campaign for view in views.values()]
    published = {name: _floats(map(figure, views.values())) for name, figure in _PUBLISHED.items()}
    targets = [checks_of(campaign.target) for campaign in campaigns]
    exclusions = [excluded_by(campaign) for campaign in campaigns]
    questions = questions_of((*targets, *exclusions))
    return Columns(
        **published,
        cids=tuple(views),
        views=list(views.values()),
        rows={cid: row for row, cid in enumerate(views)},
        begins=_milliseconds(c.starts_at.timestamp() if c.starts_at else -np.inf for c in campaigns),
        ends=_milliseconds(c.ends_at.timestamp() if c.ends_at else np.inf for c in campaigns),
        paused=_flags(campaign.paused for campaign in campaigns),
        needs_user=_flags(campaign.needs_user for campaign in campaigns),
        bids=_floats(campaign.bid_each for campaign in campaigns),
        stakes=_floats(1.0 if campaign.house else campaign.bid_each for campaign in campaigns),
        tiers=np.array([campaign.tier for campaign in campaigns], np.int64),
        unapproved=np.array([why_unapproved(campaign) for campaign in campaigns], np.int64),
        floors=_floats(campaign.floor_each for campaign in campaigns),
        pays_click=_flags(campaign.model == "cpc" or campaign.house for campaign in campaigns),
        pays_purchase=_flags(campaign.model == "cpa" for campaign in campaigns),
        questions=questions,
        targets=Conditions.of(targets, questions),
        exclusions=Conditions.of(exclusions, questions),
        has_dayparts=np.flatnonzero([bool(c.dayparts.hours or c.dayparts.days) for c in campaigns]),
        holdouts=_floats(campaign.holdout for campaign in campaigns),
        capped={cid: c for cid, c in zip(views, campaigns, strict=True) if c.frequency != _UNLIMITED},
        capped_by_advertiser=tuple(cid for cid, view in views.items() if view.campaign.frequency.counts_advertiser),
        campaign_keys=np.array([hashed(f"campaign:{cid}") for cid in views], np.uint64),
        creatives=_creatives_of(views),
        limits=CreativeLimits.of(campaigns),
        goals=GoalColumns.of(campaigns),
    )


def _creatives_of(views: Mapping[str, CampaignView]) -> Creatives:
    flat = [(cid, creative) for cid, view in views.items() for creative in view.campaign.approved]
    categories = sorted({creative.category for _, creative in flat if creative.category is not None})
    numbers = {name: number for number, name in enumerate(categories)}
    lengths = [len(view.campaign.approved) for view in views.values()]
    of_item: dict[str, list[int]] = {}
    for number, (_, creative) in enumerate(flat):
        if creative.item_id is not None:
            of_item.setdefault(creative.item_id, []).append(number)
    keys = np.array([hashed(f"creative:{cid}/{creative.crid}") for cid, creative in flat], np.uint64)
    return Creatives(
        all=tuple(creative for _, creative in flat),
        crids=tuple(creative.crid for _, creative in flat),
        begins=np.cumsum([0, *lengths]),
        keys=keys,
        facts=np.where(np.repeat(lengths, lengths) > 1, keys, _ALONE),
        weights=np.log(_floats(creative.weight for _, creative in flat)),
        of_item=of_item,
        category_numbers=numbers,
        category=np.array([numbers.get(creative.category or "", -1) for _, creative in flat], np.int64),
    )


def _floats(figures: Iterable[float]) -> Floats:
    return np.array(list(figures), np.float64)


def _flags(answers: Iterable[bool]) -> Flags:
    return np.array(list(answers), np.bool_)


def _milliseconds(seconds: Iterable[float]) -> Floats:
    return 1000.0 * _floats(seconds)


def _left_next_day(view: CampaignView) -> float:
    daily = view.campaign.budget_daily
    return _left_in_all(view) if daily is None else min(view.left, daily)


def _left_in_all(view: CampaignView) -> float:
    return math.inf if view.campaign.house else view.left


def _purchase_value(view: CampaignView) -> float:
    campaign, goal = view.campaign, view.campaign.goal
    if view.goal is not None or goal is None:
        return 0.0 if view.goal is None else view.goal.purchase_value
    return goal.first_value(campaign.bid_each, campaign.model)


_PUBLISHED: Mapping[str, Callable[[CampaignView], float]] = {
    "left_today": lambda view: math.inf if view.campaign.house else view.left_today,
    "left_in_all": _left_in_all,
    "held": lambda view: view.held,
    "held_ms": lambda view: view.held_ms,
    "held_fades": lambda view: max(view.held_fades_ms, 1.0),
    "left_next_day": _left_next_day,
    "day_ends": lambda view: view.day_ends_ms,
    "rates": lambda view: 1.0 if view.campaign.house else view.rate,
    "calibration": lambda view: view.calibration,
    "conversions": lambda view: view.conversion,
    "doubts": lambda view: 1.0 / (view.evidence + _PRIOR_CLICKS),
    "factors": lambda view: 1.0 if view.goal is None else view.goal.factor,
    "purchase_values": _purchase_value,
}
"""The columns that change while a campaign stays as it is."""

# This name chooses the weights in the learned table: with another one the model would begin anew.
_ALONE = np.uint64(hashed("alone"))
_PRIOR_CLICKS = 1.0
"""Clicks that what is known of all campaigns is worth for a new one."""

_UNLIMITED = Frequency()
