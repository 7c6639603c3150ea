"""What somebody who runs campaigns should look at: found from what is published of a campaign, and from the shop."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

from processors.ads.advertisers import LEAST
from processors.ads.campaign import Campaign
from processors.ads.campaign_view import CampaignView
from processors.common.text import folded
from processors.common.time import HOUR_MS
from processors.items.index import ItemIndex

Alert = Literal[
    "paused",
    "ended",
    "not_begun",
    "not_approved",
    "spent",
    "advertiser_spent",
    "spent_80",
    "behind_plan",
    "not_shown",
    "out_of_stock",
    "learning",
    "goal_missed",
]
"""One of :data:`TEXTS`."""

TEXTS: dict[Alert, str] = {
    "paused": "it is paused",
    "ended": "it is over",
    "not_begun": "it has not begun",
    "not_approved": "it rests, as none of its creatives is approved",
    "spent": "its budget is spent",
    "advertiser_spent": "it rests, as its advertiser's budget, in all or of the day, is spent",
    "spent_80": "four fifths of its budget are spent",
    "behind_plan": "today it spends less than planned, charges to come included, by over a fifth of the day's budget",
    "not_shown": "it was not shown for an hour, though it could have been",
    "out_of_stock": "nothing that it promotes can be bought",
    "learning": "what it is worth is still being learned: fewer than twenty clicks",
    "goal_missed": "lately a purchase costs over a fifth more than its goal says, or spending returns a fifth less",
}

_MOSTLY_SPENT = 0.8
_BEHIND = 0.2
_QUIET_MS = HOUR_MS
_LEARNED_CLICKS = 20.0

InStock = Callable[[Campaign], bool]


_NOBODY: Mapping[str, float] = {}


def alerts_of(
    view: CampaignView, now_ms: int, in_stock: InStock = lambda _: True, short: Mapping[str, float] = _NOBODY
) -> tuple[Alert, ...]:
    """Say what is the matter with a campaign; nothing if it runs as it should.

    Parameters
    ----------
    view
        What is published of it.
    now_ms
        The present, milliseconds since the epoch.
    in_stock
        Tells whether anything that a campaign promotes can be bought.
    short
        What advertisers have left that have too little (:meth:`processors.ads.advertisers.Advertisers.short`).

    Examples
    --------
    >>> from processors.ads.campaign import Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent")
    >>> campaign = Campaign("shop", (tent,), bid=2.0, budget=100.0)
    >>> alerts_of(CampaignView(campaign, left=15.0, spent=85.0), 0)
    ('spent_80',)
    >>> alerts_of(CampaignView(campaign, left=50.0, able_ms=9_000_000, waiting_ms=1_000_000), 9_000_000)
    ('not_shown',)
    """
    campaign, rests = view.campaign, _why_it_rests(view, now_ms, short)
    if rests is not None:
        return (rests,)
    found = list[Alert]()
    if not in_stock(campaign):
        found.append("out_of_stock")
    elif view.waiting_ms and view.able_ms - view.waiting_ms > _QUIET_MS and now_ms - view.able_ms < _QUIET_MS:
        found.append("not_shown")
    if not campaign.house and view.spent >= _MOSTLY_SPENT * campaign.budget:
        found.append("spent_80")
    keeps_its_plan = campaign.is_paced and folded(campaign.advertiser) not in short
    if keeps_its_plan and _behind(view, now_ms) > _BEHIND * view.day_budget:
        found.append("behind_plan")
    if campaign.model != "cpm" and view.evidence < _LEARNED_CLICKS:
        found.append("learning")
    return (*found, *_missed(view))


def _missed(view: CampaignView) -> tuple[Alert, ...]:
    goal = view.campaign.goal
    return ("goal_missed",) if goal is not None and view.goal is not None and view.goal.misses(goal) else ()


def _why_it_rests(view: CampaignView, now_ms: int, short: Mapping[str, float]) -> Alert | None:
    campaign = view.campaign
    if campaign.paused:
        return "paused"
    if campaign.has_ended(now_ms):
        return "ended"
    if campaign.starts_at is not None and campaign.starts_at.timestamp() * 1000.0 > now_ms:
        return "not_begun"
    if not campaign.approved:
        return "not_approved"
    if campaign.house:
        return None
    if view.spent > 0.0 and view.left <= 0.0:
        return "spent"
    return "advertiser_spent" if short.get(folded(campaign.advertiser), LEAST) < LEAST else None


def _behind(view: CampaignView, now_ms: int) -> float:
    """Return by how much less was spent than planned, less what decisions made so far are expected to be charged."""
    age_ms = max(now_ms - view.held_ms, 0)
    return view.planned - view.spent_today - view.held * math.exp(-age_ms / max(view.held_fades_ms, 1.0))


def in_stock_of(items: ItemIndex) -> InStock:
    """Return what tells whether anything that a campaign promotes can be bought.

    Parameters
    ----------
    items
        The read model of items. What it does not know, and creatives that promote no item, count as in stock.
    """

    def in_stock(campaign: Campaign) -> bool:
        return any(creative.item_id is None or not _is_gone(items, creative.item_id) for creative in campaign.approved)

    return in_stock


def _is_gone(items: ItemIndex, item_id: str) -> bool:
    slot = items.slot(item_id)
    return items.is_withdrawn(item_id) if slot < 0 else not bool(items.attributes.available[slot])
