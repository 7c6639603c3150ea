"""Reports of campaigns: what each did on each day, from the states that the campaigns plane keeps."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
from kafka import KafkaConsumer, TopicPartition

from processors.ads.day_figures import DayFigures
from processors.ads.ledger import Ledger
from processors.common.topics import changelog_topic
from state.store import ChangelogRecord, MemoryStore
from streams.kafka.consumer import read_all
from streams.settings.sections import Settings

By = Literal["campaign", "day"]


class ReportRow(msgspec.Struct, frozen=True):
    """A line of a report. What cannot be divided is :obj:`None`.

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


def read_report(settings: Settings, consumer: KafkaConsumer, by: By = "campaign") -> list[ReportRow]:
    """Read the report of all campaigns from the campaigns plane's changelog.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.
    by
        ``campaign`` for a line per campaign, ``day`` for one per campaign and day.

    Raises
    ------
    NearstreamError
        If the topic cannot be read in time.
    """
    ledgers: dict[str, Ledger] = {}
    for partition in range(settings.topics.partitions):
        store: MemoryStore[Ledger] = MemoryStore(Ledger)
        records = read_all(consumer, [TopicPartition(changelog_topic("campaigns"), partition)])
        store.restore([ChangelogRecord(record.key, record.value) for record in records], len(records))
        ledgers.update({cid: state for cid, state in store.items() if state.days})
    return report_of({cid: ledger.days for cid, ledger in sorted(ledgers.items())}, by)


def report_of(days: Mapping[str, Mapping[str, DayFigures]], by: By) -> list[ReportRow]:
    """Make the lines of a report.

    Parameters
    ----------
    days
        By campaign and day.
    by
        As for :func:`read_report`.

    Examples
    --------
    >>> days = {"c": {"2025-06-01": DayFigures(impressions=100, clicks=4, spend=2.0)}}
    >>> [row] = report_of(days, "campaign")
    >>> row.day, row.ctr, row.ecpc, row.ecpa
    ('all', 0.04, 0.5, None)
    """
    if by == "day":
        return [_row(cid, day, figures) for cid, found in days.items() for day, figures in sorted(found.items())]
    return [_row(cid, "all", _sum(found.values())) for cid, found in days.items()]


def as_csv(rows: Iterable[ReportRow]) -> str:
    """Return the lines as CSV, with a first line of names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(ReportRow.__struct_fields__)
    for row in rows:
        writer.writerow("" if figure is None else figure for figure in msgspec.structs.astuple(row))
    return out.getvalue()


def _row(cid: str, day: str, figures: DayFigures) -> ReportRow:
    counted = {name: round(getattr(figures, name), 6) for name in DayFigures.__struct_fields__}
    ratios = {
        "ctr": _ratio(figures.clicks, figures.impressions),
        "ecpc": _ratio(figures.spend, figures.clicks),
        "ecpa": _ratio(figures.spend, figures.conversions),
        "roas": _ratio(figures.revenue, figures.spend),
    }
    return msgspec.convert({"cid": cid, "day": day, **counted, **ratios}, ReportRow)


def _sum(days: Iterable[DayFigures]) -> DayFigures:
    columns = zip(*(msgspec.structs.astuple(day) for day in days), strict=True)
    return DayFigures(*(sum(column) for column in columns))


def _ratio(part: float, whole: float) -> float | None:
    return round(part / whole, 6) if whole > 0 else None
