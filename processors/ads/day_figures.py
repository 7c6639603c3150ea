"""What a campaign did on one day, in all or by one of its creatives at one placement, for reports.

Money is kept to a billionth. So are prices, charges and what purchases come to: sums of parts are exact.
"""

from __future__ import annotations

import msgspec

from processors.ads.signals import CampaignSignal, PartSignal

DAYS_REPORTED = 60
"""Days of each campaign that are kept for reports one by one."""


def to_billionths(money: float) -> float:
    """Round money to a billionth; nothing is never negative.

    Examples
    --------
    >>> to_billionths(0.1 + 0.2), to_billionths(-1e-17)
    (0.3, 0.0)
    """
    return round(money, 9) + 0.0


class DayFigures(msgspec.Struct, array_like=True):
    """What a campaign did on one day of its time zone. Money in its currency.

    Parameters
    ----------
    eligible, won, impressions, clicks, conversions
        Opportunities that it could have taken part in, decisions for it, and what came of them; purchases that were
        undone are taken off the day on which they were.
    spend, beyond, revenue
        What was billed, what was delivered beyond its budget and is not billed, and what the purchases came to.
    filtered, dismissed
        Clicks that are invalid traffic, and dismissals.
    """

    eligible: int = 0
    won: int = 0
    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    spend: float = 0.0
    beyond: float = 0.0
    revenue: float = 0.0
    filtered: int = 0
    dismissed: int = 0

    def add(self, other: DayFigures, sign: int = 1) -> None:
        """Add figures, or take them off if the sign is -1, in place.

        Examples
        --------
        >>> figures = DayFigures(clicks=1, spend=0.1)
        >>> figures.add(DayFigures(clicks=2, spend=0.2))
        >>> figures.clicks, figures.spend
        (3, 0.3)
        """
        self.eligible += sign * other.eligible
        self.won += sign * other.won
        self.impressions += sign * other.impressions
        self.clicks += sign * other.clicks
        self.conversions += sign * other.conversions
        self.spend = to_billionths(self.spend + sign * other.spend)
        self.beyond = to_billionths(self.beyond + sign * other.beyond)
        self.revenue = to_billionths(self.revenue + sign * other.revenue)
        self.filtered += sign * other.filtered
        self.dismissed += sign * other.dismissed


NOTHING = DayFigures()
"""What happened where nothing did; not to be changed."""


def figures_of(happened: CampaignSignal | PartSignal, billed: float, unbilled: float, eligible: int = 0) -> DayFigures:
    """Return the figures of what happened.

    Parameters
    ----------
    happened
        What happened to a campaign, or the part of it that is one creative's at one placement.
    billed, unbilled
        What of its charges is billed, and what of its refunds had not been.
    eligible
        Opportunities that it could have taken part in.
    """
    billed, unbilled = to_billionths(billed), to_billionths(unbilled)
    charged, refunded = to_billionths(happened.charged), to_billionths(happened.refunded)
    return DayFigures(
        eligible,
        happened.decided,
        happened.shown,
        happened.clicks,
        happened.conversions - happened.returned,
        to_billionths(billed - refunded + unbilled),
        to_billionths(charged - billed - unbilled),
        to_billionths(happened.revenue - happened.returned_revenue),
        happened.filtered,
        happened.dismissed,
    )
