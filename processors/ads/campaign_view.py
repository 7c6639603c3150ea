"""What is published of a campaign: itself, and what it may spend."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean

import msgspec

from processors.ads.campaign import Campaign
from processors.ads.day_figures import DayFigures
from processors.ads.goal_figures import GoalView
from processors.ads.spent_for import SpentFor


class CampaignView(msgspec.Struct, array_like=True, frozen=True):
    """What is published of a campaign. Money is in its currency.

    Parameters
    ----------
    rate
        Share of the opportunities that it may take part in; the others are left to campaigns that pacing lets through.
    left, left_today, day_ends_ms
        What may still be spent in all, what today, and when today is over, milliseconds since the epoch.
    spent
        What was spent in all.
    over
        What was delivered beyond the budget, and not billed.
    spent_today, planned, day_budget
        What was spent today, what was planned to be spent by the time that this was published, and what may be spent
        today.
    calibration, conversion
        Factors for the predicted probabilities of a click, and of a purchase after it.
    evidence
        Clicks that the first factor rests on, decayed.
    held
        What decisions made so far are still expected to be charged: it is kept back of what is left.
    held_ms, held_fades_ms
        The moment that ``held`` is for, milliseconds since the epoch, and within how many milliseconds, about, it falls
        to a third by itself.
    able_ms, waiting_ms
        When it could last have taken part, and since when it could have, again and again, without being shown; 0 if it
        was shown. Milliseconds since the epoch.
    today
        What it did today, as reports have it.
    goal
        How it pursues its goal; :obj:`None` if it has none.
    withdrawn
        Whether it was withdrawn: it is published for what it has spent of its advertiser's budget, and otherwise as if
        it did not exist.
    spent_for
        What of ``spent`` and ``spent_today`` is the money of advertisers that it had before.
    """

    campaign: Campaign
    rate: float = 1.0
    left: float = 0.0
    left_today: float = 0.0
    day_ends_ms: int = 0
    spent: float = 0.0
    calibration: float = 1.0
    conversion: float = 1.0
    spent_today: float = 0.0
    planned: float = 0.0
    day_budget: float = 0.0
    over: float = 0.0
    evidence: float = 0.0
    held: float = 0.0
    held_ms: int = 0
    held_fades_ms: float = 0.0
    able_ms: int = 0
    waiting_ms: int = 0
    today: DayFigures = msgspec.field(default_factory=DayFigures)
    goal: GoalView | None = None
    withdrawn: bool = False
    spent_for: tuple[SpentFor, ...] = ()


def pacing_error(views: Iterable[CampaignView]) -> float:
    """Average the distance of what was spent today from the plan, as a share of the day's budget.

    Only campaigns that are paced evenly count; 0 if there is none.

    Examples
    --------
    >>> from processors.ads.campaign import Creative
    >>> campaign = Campaign("shop", (Creative("a", "A tent", "https://shop.example/tent"),), 2.0, 100.0)
    >>> pacing_error([CampaignView(campaign, left=50.0, spent_today=12.0, planned=10.0, day_budget=20.0)])
    0.1
    """
    paced = [view for view in views if view.campaign.is_paced and view.day_budget > 0.0]
    return mean(abs(view.spent_today - view.planned) / view.day_budget for view in paced) if paced else 0.0


def decode_campaign_view(value: bytes | None) -> CampaignView | None:
    """Decode the value of a broadcast record; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(CampaignView)
