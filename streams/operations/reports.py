"""Reports of campaigns: what each did on each day, from the states that the campaigns plane keeps."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable

import msgspec
from kafka import KafkaConsumer, TopicPartition

from processors.ads.funnel import Funnel, funnel_of
from processors.ads.ledger import Ledger
from processors.ads.lift import Arm, Interval, conversion_lift, revenue_lift
from processors.ads.messages import LoggedDecision
from processors.ads.report import Dimension, ReportRow, ratio, report_of
from processors.common.topics import DECISION_LOG_TOPIC, changelog_topic
from state.store import ChangelogRecord, MemoryStore
from streams.kafka.consumer import read_all
from streams.settings.sections import Settings


class LiftRow(msgspec.Struct, frozen=True):
    """What a campaign brings beyond what is bought without it. What cannot be said yet is :obj:`None`.

    Parameters
    ----------
    cid
        The campaign.
    users, users_held
        Users whose auctions it has won: who are shown it, and who are held out.
    buying, buying_held
        Share of them who bought anything within ``users.ads.lift_ms``.
    conversion_lift, conversion_low, conversion_high
        Difference of these shares, and its 95 % interval.
    revenue_lift, revenue_low, revenue_high
        Difference of what a user spends, and its 95 % interval.
    is_proven
        Whether the whole interval of the shares is above 0.
    """

    cid: str
    users: int
    users_held: int
    buying: float | None
    buying_held: float | None
    conversion_lift: float | None
    conversion_low: float | None
    conversion_high: float | None
    revenue_lift: float | None
    revenue_low: float | None
    revenue_high: float | None
    is_proven: bool


def read_report(settings: Settings, consumer: KafkaConsumer, by: Collection[Dimension] = ()) -> list[ReportRow]:
    """Read the report of all campaigns from the campaigns plane's changelog.

    Parameters
    ----------
    consumer
        A consumer of committed records without subscription.
    by
        What the lines are apart by beside the campaign; nothing for a line per campaign.

    Raises
    ------
    NearstreamError
        If the topic cannot be read in time.
    """
    return report_of(dict(sorted(_ledgers(settings, consumer).items())), by)


def read_lift(settings: Settings, consumer: KafkaConsumer) -> list[LiftRow]:
    """Read the lift of all campaigns with a holdout that have won an auction; arguments and errors as above."""
    return [
        lift_of(cid, ledger.lift_shown, ledger.lift_held)
        for cid, ledger in sorted(_ledgers(settings, consumer).items())
        if ledger.lift_shown.users or ledger.lift_held.users
    ]


def lift_of(cid: str, shown: Arm, held: Arm) -> LiftRow:
    """Make the line of a campaign.

    Examples
    --------
    >>> row = lift_of("spring", Arm(900, 99, 990.0, 12_000.0), Arm(100, 10, 100.0, 1_200.0))
    >>> row.buying, row.buying_held, row.conversion_lift, row.is_proven
    (0.11, 0.1, 0.01, False)
    """
    conversions, revenue = conversion_lift(shown, held), revenue_lift(shown, held)
    found = {"cid": cid, "users": shown.users, "users_held": held.users}
    shares = {"buying": ratio(shown.buyers, shown.users), "buying_held": ratio(held.buyers, held.users)}
    lifts = _bounds("conversion", conversions) | _bounds("revenue", revenue)
    proven = conversions is not None and conversions.low > 0.0
    return msgspec.convert({**found, **shares, **lifts, "is_proven": proven}, LiftRow)


def _bounds(name: str, found: Interval | None) -> dict[str, float | None]:
    """Return the fields of a line for an interval; all are empty if there is none."""
    names = {"lift": "estimate", "low": "low", "high": "high"}
    return {f"{name}_{end}": None if found is None else round(getattr(found, field), 6) for end, field in names.items()}


def read_funnel(settings: Settings, consumer: KafkaConsumer, cid: str) -> Funnel:
    """Count at which stages a campaign leaves the decisions that the log still has; errors as above."""
    partitions = [TopicPartition(DECISION_LOG_TOPIC, number) for number in range(settings.topics.partitions)]
    decode = msgspec.json.Decoder(LoggedDecision).decode
    values = (record.value for record in read_all(consumer, partitions) if record.value)
    return funnel_of(cid, map(decode, values), settings.users.ads.log_losers)


def _ledgers(settings: Settings, consumer: KafkaConsumer) -> dict[str, Ledger]:
    """Read what the campaigns plane keeps of every campaign."""
    ledgers: dict[str, Ledger] = {}
    for partition in range(settings.topics.partitions):
        store: MemoryStore[Ledger] = MemoryStore(Ledger)
        records = read_all(consumer, [TopicPartition(changelog_topic("campaigns"), partition)])
        store.restore([ChangelogRecord(record.key, record.value) for record in records], len(records))
        ledgers.update(store.items())
    return ledgers


def as_csv(rows: Iterable[ReportRow]) -> str:
    """Return the lines as CSV, with a first line of names."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(ReportRow.__struct_fields__)
    for row in rows:
        writer.writerow("" if figure is None else figure for figure in msgspec.structs.astuple(row))
    return out.getvalue()
