"""How often a user is shown a campaign, whatever the order in which things happen."""

import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.campaign import read_campaign
from processors.ads.doubts import doubts_of
from processors.ads.no_bid import NoBid
from processors.users.ad_history import MAX_TIMES, CampaignImpressions
from tests.oracle import DecidedBefore
from tests.processors.ads.shop import NOW, Shop, campaign

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
        ({"per_week": 2}, DAY, ["c", "c", NoBid.FREQUENCY_CAP]),
        ({"per_week": 2}, 2 * DAY, ["c", "c", NoBid.FREQUENCY_CAP, NoBid.FREQUENCY_CAP, "c"]),
        ({"per_week": 2}, 4 * DAY, ["c", "c", "c", "c"]),
        ({"per_month": 2}, 10 * DAY, ["c", "c", NoBid.FREQUENCY_CAP, "c", "c"]),
        ({"per_month": 2}, 15 * DAY, ["c", "c", "c", "c"]),
        ({"per_month": 3, "per_day": 1}, DAY // 2, ["c", 9, "c", 9, "c", 9, 506]),
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


@given(
    st.lists(st.integers(0, 3 * DAY) | st.integers(0, HOUR), min_size=1, max_size=150),
    st.sampled_from([DAY, 7 * DAY, 30 * DAY]),
    st.data(),
)
def test_what_is_kept_counts_any_cap_exactly(gaps: list[int], keep_ms: int, data: st.DataObject) -> None:
    """Against all times ever, for every span up to the one that is kept; and the number kept is bounded."""
    counted, all_times, at_ms = CampaignImpressions("shop"), list[int](), NOW
    for at_ms in itertools.accumulate(gaps, initial=NOW):
        counted.add(at_ms, keep_ms)
        all_times.append(at_ms)
        if data.draw(st.integers(0, 9)) == 0:
            forgiven = all_times.pop(data.draw(st.integers(0, len(all_times) - 1)))
            counted.take_off(forgiven)
        kept = sorted((*counted.earlier, *counted.times))
        assert len(kept) <= MAX_TIMES
        assert all(time > at_ms - keep_ms for time in kept)
        assert counted.total == len(all_times)
    for span_ms in (HOUR, DAY, 7 * DAY, 30 * DAY):
        if span_ms <= keep_ms and len(gaps) < MAX_TIMES:
            assert counted.since(at_ms - span_ms) == sum(time > at_ms - span_ms for time in all_times)


def test_times_of_a_month_are_kept_only_for_campaigns_with_such_caps() -> None:
    shop = Shop(partitions=1)
    shop.put("c", campaign(frequency={"per_day": 9}))
    shown(shop, 5, DAY)
    kept = shop.profile("u").ads.impressions["c"]
    assert (len(kept.times), kept.earlier, kept.total) == (1, [], 5)
    shop.put("c", campaign(frequency={"per_month": 9}))
    shown(shop, 3, DAY)
    kept = shop.profile("u").ads.impressions["c"]
    assert (len(kept.times), len(kept.earlier), kept.total) == (1, 3, 8)


def test_what_older_releases_kept_is_read_as_it_is() -> None:
    old = ["shop", [NOW - HOUR], 7, 0]
    counted = msgspec.convert(old, CampaignImpressions)
    assert (counted.earlier, counted.conversions, counted.since(NOW - 30 * DAY)) == ([], 0, 1)
    counted.add(NOW + DAY, keep_ms=7 * DAY)
    assert (counted.earlier, counted.times, counted.total) == ([NOW - HOUR], [NOW + DAY], 8)


def buy(shop: Shop, **fields: Any) -> dict[str, Any]:
    decision = shop.ask()
    shop.see(decision)
    shop.send("events.purchase.v1", "u", decision_id=decision["decision_id"], price=5.0, **fields)
    return decision


def test_who_has_bought_often_enough_is_not_shown_it_any_more() -> None:
    shop = Shop()
    shop.put("c", campaign(frequency={"conversions": 2}))
    buy(shop)
    last = buy(shop)
    told = shop.ask(after_ms=100 * DAY)
    assert (told["nbr"], told["nbr_text"]) == (536, "the user has bought through it often enough")
    assert shop.ask("somebody else")["cid"] == "c"
    assert last["cid"] == "c"


def test_what_was_returned_does_not_count_as_bought() -> None:
    shop = Shop()
    shop.put("c", campaign(frequency={"conversions": 1}))
    last = buy(shop)
    assert shop.ask()["nbr"] == NoBid.BOUGHT_OFTEN
    for _ in range(2):
        shop.send("events.purchase.v1", "u", action="refund", decision_id=last["decision_id"])
    assert shop.profile("u").ads.impressions["c"].conversions == 0
    assert shop.ask()["cid"] == "c"


@pytest.mark.parametrize(
    ("caps", "said"),
    [
        ({"per_hour": 1, "per_day": 2, "per_week": 3, "per_month": 4, "total": 5}, ()),
        ({"per_day": 3, "per_week": 3}, ()),
        ({"per_day": 5, "per_week": 3}, ("frequency.per_day: 5 is never reached, as per_week is 3",)),
        (
            {"per_hour": 9, "per_month": 8, "total": 4},
            (
                "frequency.per_month: 8 is never reached, as total is 4",
                "frequency.per_hour: 9 is never reached, as total is 4",
            ),
        ),
        (
            {"advertiser_per_hour": 3, "advertiser_per_day": 2},
            ("frequency.advertiser_per_hour: 3 is never reached, as advertiser_per_day is 2",),
        ),
    ],
)
def test_caps_that_are_never_reached_are_named(caps: dict[str, int], said: tuple[str, ...]) -> None:
    assert doubts_of(read_campaign(json.dumps(campaign(frequency=caps)).encode())) == said


@pytest.mark.parametrize("caps", [{"per_week": 3}, {"per_month": 3}, {"conversions": 1}])
def test_the_new_caps_need_to_know_the_user(caps: dict[str, int]) -> None:
    assert read_campaign(json.dumps(campaign(frequency=caps)).encode()).needs_user


def test_the_log_says_how_long_times_are_kept() -> None:
    """A replay of what was decided keeps the same times."""
    shop = Shop(partitions=1)
    for cap, expected in (("per_day", None), ("per_week", 7 * DAY), ("per_month", 30 * DAY)):
        shop.put("c", campaign(frequency={cap: 50}))
        shop.ask()
        assert shop.read("decision-log.v1")[-1].get("caps_ms") == expected


@pytest.mark.parametrize("cap", ["per_day", "per_week", "per_month"])
def test_a_replay_by_the_log_keeps_the_same_times(cap: str) -> None:
    def run(decider: DecidedBefore | None) -> tuple[Shop, list[Any]]:
        shop = Shop(partitions=1)
        shop.put("c", campaign(frequency={cap: 3}))
        if decider is not None:
            shop.driver.topology.users.ads.decider = decider
        shown(shop, 9, 4 * DAY)
        return shop, [record.value for record in shop.driver.read("decision-log.v1")]

    first, log = run(None)
    again, _ = run(DecidedBefore(log))
    assert first.profile("u").ads == again.profile("u").ads
    assert bool(first.profile("u").ads.impressions["c"].earlier) is (cap != "per_day")
