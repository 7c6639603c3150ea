"""Reports: what campaigns did, in lines of the figures and ratios that advertisers compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from processors.ads.day_figures import DayFigures

By = Literal["campaign", "day"]


class ReportRow(msgspec.Struct, frozen=True):
    """A line of a report, and a message on ``reports.ads.v1``. What cannot be divided is :obj:`None`.

    Parameters
    ----------
    cid, day
        The campaign, and the day in its time zone; ``all`` for the sum of its days.
    eligible, won, impressions, clicks, conversions, spend, beyond, revenue, filtered, dismissed
        As in :class:`processors.ads.day_figures.DayFigures`.
    ctr
        Clicks per impression.
    ecpc, ecpa
        Money spent per click, and per conversion.
    roas
        Revenue per money spent.
    """

    cid: str
    day: str
    eligible: int
    won: int
    impressions: int
    clicks: int
    conversions: int
    spend: float
    beyond: float
    revenue: float
    filtered: int
    dismissed: int
    ctr: float | None
    ecpc: float | None
    ecpa: float | None
    roas: float | None


def report_of(days: Mapping[str, Mapping[str, DayFigures]], by: By) -> list[ReportRow]:
    """Make the lines of a report.

    Parameters
    ----------
    days
        By campaign and day.
    by
        ``campaign`` for a line per campaign, ``day`` for one per campaign and day.

    Examples
    --------
    >>> days = {"c": {"2025-06-01": DayFigures(impressions=100, clicks=4, spend=2.0)}}
    >>> [row] = report_of(days, "campaign")
    >>> row.day, row.ctr, row.ecpc, row.ecpa
    ('all', 0.04, 0.5, None)
    """
    if by == "day":
        return [row_of(cid, day, figures) for cid, found in days.items() for day, figures in sorted(found.items())]
    return [row_of(cid, "all", _sum(found.values())) for cid, found in days.items()]


def row_of(cid: str, day: str, figures: DayFigures) -> ReportRow:
    """Make the line of a campaign for a day, or for a sum of days."""
    counted = {name: round(getattr(figures, name), 6) for name in DayFigures.__struct_fields__}
    ratios = {
        "ctr": ratio(figures.clicks, figures.impressions),
        "ecpc": ratio(figures.spend, figures.clicks),
        "ecpa": ratio(figures.spend, figures.conversions),
        "roas": ratio(figures.revenue, figures.spend),
    }
    return msgspec.convert({"cid": cid, "day": day, **counted, **ratios}, ReportRow)


def _sum(days: Iterable[DayFigures]) -> DayFigures:
    columns = zip(*(msgspec.structs.astuple(day) for day in days), strict=True)
    return DayFigures(*(sum(column) for column in columns))


def ratio(part: float, whole: float) -> float | None:
    """Divide, to six digits; :obj:`None` where there is nothing to divide by."""
    return round(part / whole, 6) if whole > 0 else None
