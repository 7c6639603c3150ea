"""Reports say what happened: every figure is counted here from what was sent and decided, without the ledger."""

import json
from typing import Any

import msgspec

from processors.ads.report import Dimension, ReportRow, report_of
from processors.common.time import DAY_MS
from streams.engine.driver import TopologyDriver
from streams.operations.reports import as_csv
from tests.processors.ads.shop import Shop, campaign, creative


def report(shop: Shop, *by: Dimension) -> list[ReportRow]:
    return report_of({"c": shop.ledger()}, by)


def bought(shop: Shop, price: float, quantity: float = 1.0) -> None:
    """See, click and buy."""
    decision = shop.request()
    shop.see(decision)
    shop.click(decision)
    fields = {"decision_id": decision["decision_id"], "item_id": "tent", "price": price, "quantity": quantity}
    shop.send("events.purchase.v1", "u", **fields)


def test_a_report_has_what_came_of_the_ads() -> None:
    shop = Shop(bought_rest_ms=0)
    shop.put("c", campaign(model="cpc", bid=2.0, budget=100.0, bidfloor=10.0, creatives=[creative(item_id="tent")]))
    bought(shop, 40.0, 2.0)
    bought(shop, 20.0)
    shop.see(shop.request())
    shop.request("somebody else")
    (row,) = report(shop)
    assert (row.cid, row.day, row.eligible, row.won, row.impressions) == ("c", "all", 4, 4, 3)
    assert (row.clicks, row.conversions, row.revenue) == (2, 2, 100.0)
    spent = shop.ledger().spent
    assert row.spend == round(spent, 9) > 0.0
    assert (row.ctr, row.ecpc, row.roas) == (round(2 / 3, 6), round(spent / 2, 6), round(100.0 / spent, 6))
    shop.send("events.purchase.v1", "u", item_id="tent", action="refund", price=20.0)
    (row,) = report(shop)
    assert (row.conversions, row.revenue) == (1, 80.0)


def test_days_are_apart_and_add_up() -> None:
    shop = Shop(bought_rest_ms=0)
    shop.put("c", campaign())
    for _ in range(3):
        shop.see(shop.request())
        shop.now += DAY_MS
    days = report(shop, "day")
    assert [(row.day, row.impressions) for row in days] == [
        ("2023-11-14", 1),
        ("2023-11-15", 1),
        ("2023-11-16", 1),
    ]
    (whole,) = report(shop)
    assert whole.spend == sum(row.spend for row in days)


def test_only_the_last_days_are_kept_one_by_one_and_the_others_as_one() -> None:
    shop = Shop()
    shop.put("c", campaign())
    for _ in range(70):
        shop.see(shop.request())
        shop.now += DAY_MS
    days = report(shop, "day")
    assert (len(days), days[0].day, days[0].impressions, days[1].day) == (61, "earlier", 10, "2023-11-24")
    assert [row.impressions for row in report(shop)] == [70]


def test_creatives_and_placements_are_apart_and_add_up_to_the_campaign() -> None:
    shop = Shop(floor=500.0, lift_ms=1)
    shop.put("c", campaign(creatives=[creative("a", item_id="tent"), creative("b", item_id="boat")]))
    counts: dict[tuple[str, str], list[float]] = {}
    for n in range(24):
        decision = shop.ask(f"u{n}", placement=("top", "side", "foot")[n % 3])
        counted = counts.setdefault((decision["crid"], decision["placement"]), [0, 0, 0, 0.0, 0.0])
        counted[0] += 1
        if n % 4:
            shop.see(decision)
            counted[1] += 1
            counted[3] = round(counted[3] + decision["charge"], 9)
        if n % 4 == 1:
            shop.click(decision)
            counted[2] += 1
        if n % 8 == 1:
            fields = {"decision_id": decision["decision_id"], "item_id": decision["item_id"], "price": 7.3}
            shop.send("events.purchase.v1", f"u{n}", **fields)
            counted[4] = round(counted[4] + 7.3, 6)
    rows = report(shop, "creative", "placement")
    assert len(rows) == 6
    assert {
        (row.creative, row.placement): [row.won, row.impressions, row.clicks, row.spend, row.revenue] for row in rows
    } == counts
    assert {row.eligible for row in rows} == {None}, "opportunities are the campaign's"
    assert [(row.placement, row.eligible) for row in report(shop, "placement")] == [
        ("foot", 8),
        ("side", 8),
        ("top", 8),
    ]
    (whole,) = report(shop)
    for by in ("creative", "placement"):
        parts = report(shop, "creative" if by == "creative" else "placement")
        assert {row.day for row in parts} == {"all"}
        for field in ("won", "impressions", "clicks", "conversions", "spend", "beyond", "revenue"):
            assert round(sum(getattr(row, field) for row in parts), 9) == getattr(whole, field)


def test_what_an_ad_brings_later_counts_for_its_creative_and_placement() -> None:
    shop = Shop(floor=10.0, clicks_per_minute=1)
    shop.put("c", campaign(model="cpa", bid=90.0))
    first, second = shop.ask(placement="side"), shop.ask(placement="top")
    for decision in (first, second):
        shop.see(decision)
        shop.click(decision)
    shop.send("events.purchase.v1", "u", decision_id=first["decision_id"], price=20.0)
    shop.send("events.purchase.v1", "u", decision_id=first["decision_id"], action="refund")
    shop.send("events.click.v1", "u", decision_id=second["decision_id"], action="dismiss")
    found = {row.placement: row for row in report(shop, "placement", "creative")}
    assert (found["side"].clicks, found["side"].conversions, found["side"].spend, found["side"].revenue) == (1, 0, 0, 0)
    assert (found["top"].clicks, found["top"].filtered, found["top"].dismissed) == (0, 1, 1)


def test_an_ad_for_somebody_who_must_not_be_known_counts_for_its_creative() -> None:
    shop = Shop(floor=500.0)
    shop.put("c", campaign())
    shop.request(purposes=[])
    (row,) = report(shop, "creative", "placement")
    assert (row.creative, row.placement, row.won, row.impressions, row.spend) == ("a", "top", 1, 1, 0.5)
    assert (row.ecpm, row.ecpc, row.ecpa, row.roas) == (500.0, None, None, 0.0)


def test_csv_has_names_and_leaves_out_what_cannot_be_divided() -> None:
    shop = Shop()
    shop.put("c", campaign())
    shop.request()
    names, row = as_csv(report(shop)).splitlines()
    figures = dict(zip(names.split(","), row.split(","), strict=True))
    assert (figures["cid"], figures["won"], figures["impressions"], figures["ctr"]) == ("c", "1", "0", "")


def test_the_topic_of_reports_ends_with_what_the_report_says_by_day() -> None:
    shop = Shop(bought_rest_ms=0)
    driver = TopologyDriver(shop.driver.settings, keep=[*shop.topics, "reports.ads.v1"])
    shop.driver = driver
    shop.put("c", campaign(model="cpc", bid=2.0, budget=1000.0, bidfloor=10.0, creatives=[creative(item_id="tent")]))
    last: dict[str, dict[str, Any] | None] = {}
    messages = 0
    for n in range(90):
        bought(shop, 10.0 + n)
        shop.now += DAY_MS // 2 if n % 2 else DAY_MS
        for record in driver.read("reports.ads.v1"):
            messages += 1
            last[(record.key or b"").decode()] = None if record.value is None else json.loads(record.value)
    shop.now += 2 * 60_000
    shop.request("somebody else")
    for record in driver.read("reports.ads.v1"):
        last[(record.key or b"").decode()] = None if record.value is None else json.loads(record.value)
    kept = {row.day: msgspec.to_builtins(row) for row in report(shop, "day")}
    assert len(kept) == 61
    messages_kept = {key.removeprefix("c/"): row for key, row in last.items() if row is not None}
    detailed = shop.ledger().breakdown.days.keys()
    for name, by in (("creative", "by_creative"), ("placement", "by_placement")):
        found = {day: message.pop(by) for day, message in messages_kept.items()}
        dimension: Dimension = "creative" if name == "creative" else "placement"
        lines = [msgspec.to_builtins(line) for line in report(shop, "day", dimension)]
        assert 40 < len(detailed) < 60, "the topic has the others as they were when they were over"
        for day in kept:
            assert found[day] == [line for line in lines if line["day"] == day] or day not in detailed
            named = "(other)" if day == "earlier" else {"creative": "a", "placement": "top"}[name]
            assert [line[name] for line in found[day]] == [named]
    assert messages_kept == kept
    assert sum(row is None for row in last.values()) > 0, "days that are no longer kept are tombstones"
    assert messages < 90 * 5, "a report a minute at most, and one for each day"
