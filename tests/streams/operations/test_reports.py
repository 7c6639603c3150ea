"""Reports say what happened: every figure is counted here from what was sent and decided, without the ledger."""

import json

import msgspec

from processors.ads.report import ReportRow, report_of
from processors.common.time import DAY_MS
from streams.engine.driver import TopologyDriver
from streams.operations.reports import as_csv
from tests.processors.ads.shop import Shop, campaign, creative


def report(shop: Shop, by: str = "campaign") -> list[ReportRow]:
    return report_of({"c": shop.ledger().days}, "day" if by == "day" else "campaign")


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
    assert row.spend == round(spent, 6) > 0.0
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


def test_only_the_last_days_are_kept() -> None:
    shop = Shop()
    shop.put("c", campaign())
    for _ in range(70):
        shop.see(shop.request())
        shop.now += DAY_MS
    assert len(report(shop, "day")) == 60


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
    last: dict[str, dict[str, object] | None] = {}
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
    assert len(kept) == 60
    assert {key.removeprefix("c/"): row for key, row in last.items() if row is not None} == kept
    assert sum(row is None for row in last.values()) > 0, "days that are no longer kept are tombstones"
    assert messages < 90 * 5, "a report a minute at most, and one for each day"
