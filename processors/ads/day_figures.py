"""What a campaign did on each of its last days, for reports."""

from __future__ import annotations

import msgspec

from processors.ads.signals import CampaignSignal

DAYS_REPORTED = 60
"""Days of each campaign that are kept for reports."""


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

    def add(self, signal: CampaignSignal, charged: float, unbilled: float) -> None:
        """Add what happened, in place.

        Parameters
        ----------
        signal
            What happened.
        charged, unbilled
            What of its charges is billed, and what of its refunds had not been.
        """
        self.eligible += signal.opportunities
        self.won += signal.decided
        self.impressions += signal.shown
        self.clicks += signal.clicks
        self.conversions += signal.conversions - signal.returned
        self.spend += charged - (signal.refunded - unbilled)
        self.beyond += signal.charged - charged - unbilled
        self.revenue += signal.revenue - signal.returned_revenue
        self.filtered += signal.filtered
        self.dismissed += signal.dismissed
