"""Attribution where it is not plain: what came before the ad, late, twice, or from something else."""

from datetime import UTC, datetime

import pytest

from tests.processors.ads.shop import NOW, Shop, campaign, creative

HOUR, DAY = 3_600_000, 86_400_000


def tent(**fields: object) -> dict[str, object]:
    return campaign(**{"creatives": [creative(item_id="tent")], **fields})


def test_what_happened_before_the_ad_is_not_its_doing() -> None:
    shop = Shop(floor=10.0)
    shop.put("c", tent(model="cpa", bid=90.0))
    shop.see(shop.ask())
    shop.send("events.purchase.v1", "u", item_id="tent", timestamp=NOW - 10 * DAY)
    assert (shop.ledger().conversions, shop.ledger().spent) == (0, 0.0)


def test_a_second_click_on_an_item_is_no_click_on_the_ad_before() -> None:
    shop = Shop(floor=10.0, clicks_only_by_id=False)
    for cid in ("c", "d"):
        shop.put(cid, tent(model="cpc", bid=5.0))
    for _ in range(2):
        shop.see(shop.ask())
    for _ in range(3):
        shop.send("events.click.v1", "u", item_id="tent")
    assert sum(bool(decision.clicked_ms) for decision in shop.profile("u").ads.decisions) == 1


def test_a_click_on_a_recommendation_is_none_on_the_ad() -> None:
    shop = Shop()
    shop.put("c", tent())
    shop.see(shop.ask())
    shop.send("events.click.v1", "u", item_id="tent", recommendation_id="events.click.v1/0/1/home")
    assert shop.ledger().clicks == 0


def test_a_look_is_no_click() -> None:
    shop = Shop()
    shop.put("c", tent())
    decision = shop.ask()
    shop.send("events.browse.v1", "u", item_id="tent", decision_id=decision["decision_id"])
    assert (shop.ledger().shown, shop.ledger().clicks) == (1, 0)


def test_a_click_says_that_an_ad_was_seen_though_it_has_expired() -> None:
    shop = Shop()
    shop.put("c", tent())
    shop.click(shop.ask(), after_ms=11 * 60_000)
    assert (shop.ledger().shown, shop.ledger().clicks) == (1, 1)


def test_the_ad_that_was_clicked_last_gets_the_purchase() -> None:
    shop = Shop()
    shop.put("c", tent())
    first, second = shop.ask(), shop.ask()
    shop.click(second)
    shop.click(first)
    shop.send("events.purchase.v1", "u", item_id="tent")
    assert [decision.converted for decision in shop.profile("u").ads.decisions] == [True, False]


@pytest.mark.parametrize("by_id", [True, False])
def test_a_dismissal_counts_whenever_it_comes(by_id: bool) -> None:
    shop = Shop()
    shop.put("c", tent(frequency={"cool_down_ms": 2 * HOUR}))
    decision = shop.ask()
    shop.see(decision)
    named = {"decision_id": decision["decision_id"]} if by_id else {}
    shop.send("events.click.v1", "u", HOUR, item_id="tent", action="dismiss", **named)
    assert shop.ledger().dismissed == 1
    assert shop.ask()["nbr"] == 507


def test_a_refund_may_come_after_the_windows() -> None:
    shop = Shop(floor=10.0)
    shop.put("c", tent(model="cpa", bid=90.0))
    decision = shop.ask()
    shop.click(decision)
    shop.send("events.purchase.v1", "u", 6 * DAY, item_id="tent")
    shop.send("events.purchase.v1", "u", 2 * DAY - 2000, action="refund", decision_id=decision["decision_id"])
    state = shop.ledger()
    assert (state.spent, state.conversions, state.bought) == (0.0, 0, 0.0)


def test_a_refund_takes_off_first_what_was_not_billed() -> None:
    shop = Shop(floor=200.0)
    shop.put("c", tent(model="cpa", bid=100.0, budget=100.0))
    decisions = [shop.ask(f"u{n}") for n in range(2)]
    for decision in decisions:
        shop.click(decision)
        shop.send("events.purchase.v1", decision["user_id"], item_id="tent")
    before = shop.ledger()
    delivered = before.spent + before.over
    shop.send("events.purchase.v1", "u1", item_id="tent", action="refund")
    after = shop.ledger()
    assert after.spent + after.over == pytest.approx(delivered - decisions[1]["charge"])
    assert after.over == max(0.0, before.over - decisions[1]["charge"])


def test_one_id_may_name_a_request_and_an_impression() -> None:
    shop = Shop(floor=500.0)
    shop.put("c", tent())
    decision = shop.request(request_id="x1")
    shop.send("events.impression.v1", "u", event_id="x1", decision_id=decision["decision_id"])
    assert shop.ledger().spent == 0.5


def test_what_comes_too_late_gets_no_ad() -> None:
    shop = Shop()
    shop.put("c", tent())
    shop.send("events.browse.v1", "u", context={"placement": "top"}, timestamp=NOW - 2 * HOUR)
    assert shop.read("ad-decisions.v1") == []
    answer = shop.request(timestamp=shop.now - 2 * HOUR, purposes=[])
    assert (answer["nbr"], answer["nbr_text"]) == (512, "the request came too late")


def test_a_local_time_without_a_zone_is_named_as_the_cause() -> None:
    shop = Shop()
    shop.put("c", tent())
    local = datetime.fromtimestamp((shop.now - 5 * HOUR) / 1000, UTC).replace(tzinfo=None).isoformat()
    answer = shop.request(timestamp=local)
    assert answer["nbr"] == 512
    assert answer["nbr_text"] == (
        "the request came too late: its time has no time zone, and was taken to be UTC (users.intake.timezone)"
    )


def test_who_only_asks_is_forgiven_what_was_never_seen() -> None:
    shop = Shop(expires_ms=10_000)
    shop.put("c", tent(frequency={"total": 1}))
    assert [shop.request(after_ms=after).get("nbr") for after in (1000, 60_000, HOUR)] == [None, 506, None]


@pytest.mark.parametrize("field", ["starts_at", "ends_at"])
def test_dates_that_nobody_means_are_refused(field: str) -> None:
    shop = Shop()
    shop.put("c", tent(**{field: "9999-12-31T23:59:59-12:00"}))
    (letter,) = shop.driver.read("dead-letters.v1")
    assert f"{field}: 9999".encode() in dict(letter.headers)["__streams.errors.message"]


def test_equal_bids_win_alike() -> None:
    shop = Shop(partitions=1)
    for cid in "ab":
        shop.put(cid, tent())
    shown = [shop.ask(f"u{n}")["cid"] for n in range(40)]
    assert 10 <= shown.count("a") <= 30
