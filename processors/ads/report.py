"""Reports: what campaigns did, in lines of the figures and ratios that advertisers compare."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal, get_args

import msgspec

from processors.ads.breakdown import OTHER, Cell, cells_of
from processors.ads.day_figures import NOTHING, DayFigures
from processors.ads.ledger import EARLIER, Ledger

Dimension = Literal["day", "creative", "placement"]
"""What the lines of a report may be apart by, beside the campaign."""

DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)

ALL = "all"
"""Stands for the sum over all days, creatives or placements."""


class ReportRow(msgspec.Struct, frozen=True):
    """A line of a report. What cannot be divided is :obj:`None`.

    Parameters
    ----------
    cid, day, creative, placement
        The campaign, the day in its time zone, and the ids of the creative and the placement; ``all`` where the line is
        a sum over them, ``earlier`` for all days that are no longer kept one by one, ``(other)`` for creatives or
        placements that are not.
    eligible
        As in :class:`processors.ads.day_figures.DayFigures`; :obj:`None` in a line of a creative, since opportunities
        are the campaign's.
    won, impressions, clicks, conversions, spend, beyond, revenue, filtered, dismissed
        As in :class:`processors.ads.day_figures.DayFigures`.
    ctr
        Clicks per impression.
    ecpc, ecpa, ecpm
        Money spent per click, per conversion, and per thousand impressions.
    roas
        Revenue per money spent.
    """

    cid: str
    day: str
    creative: str
    placement: str
    eligible: int | None
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
    ecpm: float | None
    roas: float | None


class ReportMessage(ReportRow, frozen=True):
    """A message on ``reports.ads.v1``: a campaign's day as a whole, by creative, and by placement.

    Parameters
    ----------
    by_creative, by_placement
        Lines that add up to it.
    """

    by_creative: tuple[ReportRow, ...] = ()
    by_placement: tuple[ReportRow, ...] = ()


def report_of(ledgers: Mapping[str, Ledger], by: Collection[Dimension] = ()) -> list[ReportRow]:
    """Make the lines of a report.

    Parameters
    ----------
    ledgers
        By campaign.
    by
        What the lines are apart by beside the campaign; nothing for a line per campaign.

    Examples
    --------
    >>> ledger = Ledger(days={"2025-06-01": DayFigures(impressions=100, clicks=4, spend=2.0)})
    >>> [row] = report_of({"c": ledger})
    >>> row.day, row.ctr, row.ecpc, row.ecpa, row.ecpm
    ('all', 0.04, 0.5, None, 20.0)
    """
    return [row for cid, ledger in ledgers.items() for row in _rows(cid, _cells(ledger), by)]


def message_of(cid: str, day: str, ledger: Ledger) -> ReportMessage | None:
    """Make the message of a campaign's day; :obj:`None` if the day is not kept."""
    whole = ledger.figures_on(day)
    if whole is None:
        return None
    cells = list(cells_of(day, whole, ledger.breakdown))
    return ReportMessage(
        **msgspec.structs.asdict(row_of(cid, whole, day)),
        by_creative=tuple(_rows(cid, cells, ("day", "creative"))),
        by_placement=tuple(_rows(cid, cells, ("day", "placement"))),
    )


def row_of(
    cid: str, figures: DayFigures, day: str = ALL, creative: str = ALL, placement: str = ALL, *, eligible: bool = True
) -> ReportRow:
    """Make a line.

    Parameters
    ----------
    eligible
        Whether opportunities can be told apart by what the line is of.
    """
    counted = {name: round(getattr(figures, name), 9) for name in DayFigures.__struct_fields__[1:]}
    return ReportRow(
        cid,
        day,
        creative,
        placement,
        figures.eligible if eligible else None,
        **counted,
        ctr=ratio(figures.clicks, figures.impressions),
        ecpc=ratio(figures.spend, figures.clicks),
        ecpa=ratio(figures.spend, figures.conversions),
        ecpm=ratio(1000.0 * figures.spend, figures.impressions),
        roas=ratio(figures.revenue, figures.spend),
    )


def _cells(ledger: Ledger) -> Iterator[Cell]:
    """Return the parts of all days, the earliest first."""
    for day, whole in ((EARLIER, ledger.earlier), *sorted(ledger.days.items())):
        yield from cells_of(day, whole, ledger.breakdown)


def _rows(cid: str, cells: Iterable[Cell], by: Collection[Dimension]) -> list[ReportRow]:
    """Sum up the parts of a campaign by what its lines are apart by; what is not named comes last."""
    sums: dict[tuple[str, ...], DayFigures] = {}
    for cell in cells:
        figures = cell.figures
        if "creative" in by:
            figures = msgspec.structs.replace(figures, eligible=0)
        if figures != NOTHING:
            key = tuple(getattr(cell, name) if name in by else ALL for name in DIMENSIONS)
            sums.setdefault(key, DayFigures()).add(figures)
    ordered = sorted(sums, key=lambda key: [(name == OTHER, name != EARLIER, name) for name in key])
    return [row_of(cid, sums[key], *key, eligible="creative" not in by) for key in ordered]


def ratio(part: float, whole: float) -> float | None:
    """Divide, to six digits; :obj:`None` where there is nothing to divide by."""
    return round(part / whole, 6) if whole > 0 else None
