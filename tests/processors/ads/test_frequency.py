"""How often a user is shown a campaign, whatever the order in which things happen."""

from typing import Any

import pytest

from processors.ads.no_bid import NoBid
from tests.processors.ads.shop import Shop, campaign

HOUR, DAY = 3_600_000, 86_400_000


def shown(shop: Shop, times: int, after_ms: int, seen: bool = True) -> list[str | int]:
    answers: list[str | int] = []
    for _ in range(times):
        decision = shop.ask(after_ms=after_ms)
        answers.append(decision.get("cid") or decision["nbr"])
        if seen and "cid" in decision:
            shop.see(decision, after_ms=0)
    return answers


@pytest.mark.parametrize(
    ("caps", "after_ms", "expected"),
    [
        ({"per_hour": 2}, 1000, ["c", "c", NoBid.FREQUENCY_CAP]),
        ({"per_hour": 2}, HOUR // 2, ["c", "c", "c", "c"]),
        ({"per_hour": 2}, HOUR // 3, ["c", "c", NoBid.FREQUENCY_CAP, "c"]),
        ({"per_day": 1}, HOUR, ["c", NoBid.DAILY_USER_CAP]),
        ({"per_day": 1}, DAY, ["c", "c"]),
        ({"total": 2}, DAY, ["c", "c", NoBid.FREQUENCY_CAP]),
        ({"advertiser_per_day": 1}, HOUR, ["c", NoBid.DAILY_USER_CAP]),
        ({"advertiser_per_hour": 1}, HOUR // 2, ["c", NoBid.FREQUENCY_CAP, "c"]),
        ({"advertiser_total": 2}, DAY, ["c", "c", NoBid.FREQUENCY_CAP]),
    ],
)
def test_caps_hold(caps: dict[str, Any], after_ms: int, expected: list[str | int]) -> None:
    shop = Shop()
    shop.put("c", campaign(frequency=caps))
    assert shown(shop, len(expected), after_ms) == expected


@pytest.mark.parametrize("cap", ["advertiser_per_hour", "advertiser_per_day", "advertiser_total"])
def test_a_cap_of_the_advertiser_counts_all_of_its_campaigns(cap: str) -> None:
    shop = Shop()
    for cid in ("c", "d"):
        shop.put(cid, campaign(frequency={cap: 1}))
    shop.put("other", campaign(advertiser="else", bid=1))
    assert shown(shop, 2, 1000)[1] == "other"


def test_impressions_of_a_campaign_that_was_withdrawn_count_against_its_advertisers_caps() -> None:
    shop = Shop()
    shop.put("c", campaign())
    assert shown(shop, 2, 1000) == ["c", "c"]
    shop.put("c", None)
    shop.put("d", campaign(frequency={"advertiser_per_day": 2}))
    assert shown(shop, 1, 1000) == [NoBid.DAILY_USER_CAP]


def test_two_opportunities_at_once_do_not_get_around_a_cap() -> None:
    shop = Shop(partitions=1)
    shop.put("c", campaign(frequency={"total": 1}))
    raw = b'{"event_id":"%d","user_id":"u","item_id":"mat","timestamp":1700000001000,"context":{"placement":"top"}}'
    records = [(b"u", raw % n, ()) for n in range(3)]
    shop.driver.pipe_batch("events.browse.v1", records, shop.now + 1000)
    assert [decision.get("nbr") for decision in shop.read("ad-decisions.v1")] == [None, 506, 506]


def test_what_was_never_seen_is_forgiven_when_it_expires() -> None:
    shop = Shop(expires_ms=10_000)
    shop.put("c", campaign(frequency={"total": 1}))
    assert shown(shop, 2, 1000, seen=False) == ["c", NoBid.FREQUENCY_CAP]
    shop.now += 10_000
    assert shown(shop, 1, 1000, seen=False) == [NoBid.FREQUENCY_CAP], "what says that it was seen may be late"
    shop.now += 3_600_000
    assert shown(shop, 2, 1000, seen=True) == ["c", NoBid.FREQUENCY_CAP]
    shop.now += 10_000
    assert shown(shop, 1, 1000) == [NoBid.FREQUENCY_CAP]


@pytest.mark.parametrize("how", ["dismissed", "bought"])
def test_a_campaign_rests_after_a_dismissal_or_a_purchase(how: str) -> None:
    shop = Shop()
    shop.put("c", campaign(frequency={"cool_down_ms": HOUR}))
    decision = shop.ask()
    shop.see(decision)
    if how == "dismissed":
        shop.click(decision, action="dismiss")
    else:
        shop.send("events.purchase.v1", "u", decision_id=decision["decision_id"])
    assert shop.ask()["nbr"] == NoBid.COOL_DOWN
    assert shop.ask(after_ms=HOUR)["cid"] == "c"


def test_the_history_stays_bounded() -> None:
    shop = Shop(partitions=1, decisions=5, campaigns=3)
    for n in range(6):
        shop.put(f"c{n}", campaign(frequency={"total": 2}))
    for _ in range(14):
        shop.see(shop.ask())
    profile = shop.profile("u")
    assert (len(profile.ads.decisions), len(profile.ads.impressions)) == (5, 3)


def test_an_impression_that_is_late_forgives_no_other_ad() -> None:
    shop = Shop()
    shop.put("c", campaign(frequency={"per_hour": 2}))
    begun = shop.now
    first, _ = shop.request(), shop.request()
    shop.see(first, after_ms=1_900_000)
    assert shop.ledger().shown == 0, "it had expired"
    assert shop.request(timestamp=begun + 3000)["nbr"] == NoBid.FREQUENCY_CAP
