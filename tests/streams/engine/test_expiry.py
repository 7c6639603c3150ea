"""Users and items that nothing happens to are deleted: the same ones in every replay, a few looks at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from processors.common.time import DAY_MS
from processors.common.topics import (
    BROADCAST_ITEMS_TOPIC,
    CATALOG_TOPIC,
    IMPRESSIONS_TOPIC,
    RECOMMENDATIONS_TOPIC,
    REQUESTS_TOPIC,
    changelog_topic,
)
from processors.items.state import ItemSettings
from processors.planes.users_settings import UsersSettings
from processors.users.ad_history import AdHistory, Decision
from processors.users.profile import Profile
from processors.users.settings import ProfileSettings
from processors.users.unclicked_impressions import UnclickedImpressions
from state.rocks import RocksStore
from streams.engine.driver import TopologyDriver
from streams.engine.expiry import EVERY_MS, idle_keys
from streams.settings.sections import Settings, TopicSettings, WorkerSettings
from tests.support import event

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

NOW = 1_700_000_000_000
REGULARS = {"ann", "bob", "cleo", "dan", "eve"}  # on both partitions
CLICK = "events.click.v1"
DAYS = 30.0


def settings(days: float = DAYS) -> Settings:
    return Settings(
        topics=TopicSettings(partitions=2),
        worker=WorkerSettings(broadcast_interval_ms=0),
        users=UsersSettings(profile=ProfileSettings(expire_after_days=days)),
        items=ItemSettings(expire_after_days=days),
    )


def click(driver: TopologyDriver, user: str, item: str, at_ms: int) -> None:
    driver.pipe(CLICK, user.encode(), event(f"{user}-{at_ms}", user, item, at_ms), at_ms)


def kept(driver: TopologyDriver, plane: str) -> set[str]:
    return {key for processor in driver.processors[plane] for key, _ in processor.store.items()}


def play(driver: TopologyDriver, users: int, days: int) -> None:
    """Let many come once, and some every day from then on."""
    for n in range(users):
        click(driver, f"u{n}", f"i{n % 40}", NOW + n)
    for day in range(1, days + 1):
        for user in sorted(REGULARS):
            click(driver, user, f"daily-{user}", NOW + day * DAY_MS)


def test_users_and_items_without_an_event_are_deleted() -> None:
    driver = TopologyDriver(settings(), keep=(RECOMMENDATIONS_TOPIC, BROADCAST_ITEMS_TOPIC))
    play(driver, users=300, days=29)
    assert len(kept(driver, "users")) == 305, "nobody is away for long enough yet"
    driver.read(RECOMMENDATIONS_TOPIC)
    driver.read(BROADCAST_ITEMS_TOPIC)

    for day in range(30, 36):
        for user in sorted(REGULARS):
            click(driver, user, f"daily-{user}", NOW + day * DAY_MS)

    assert kept(driver, "users") == REGULARS
    assert kept(driver, "items") == {f"daily-{user}" for user in REGULARS}
    gone = [record.key or b"" for record in driver.read(RECOMMENDATIONS_TOPIC) if record.value is None]
    suffixes = ("", "/related", "/together")
    slates = [f"u{n}{suffix}".encode() for n in range(300) for suffix in suffixes]
    assert sorted(gone) == sorted(slates), "each user's slates, once"
    withdrawn = {record.key for record in driver.read(BROADCAST_ITEMS_TOPIC) if record.value is None}
    assert withdrawn == {f"i{n}".encode() for n in range(40)}
    assert set(filter(None, driver.topology.index.ids)) == {f"daily-{user}" for user in REGULARS}


def test_who_comes_back_begins_anew() -> None:
    driver = TopologyDriver(settings())
    play(driver, users=20, days=40)
    assert "u7" not in kept(driver, "users")

    click(driver, "u7", "tent", NOW + 41 * DAY_MS)
    (profile,) = [
        state for processor in driver.processors["users"] for key, state in processor.store.items() if key == "u7"
    ]
    assert (profile.events, profile.item_ids, profile.first_seen) == (1, ["tent"], NOW + 41 * DAY_MS)


def test_nothing_expires_where_the_settings_say_never() -> None:
    driver = TopologyDriver(settings(days=0.0))
    play(driver, users=20, days=60)
    assert len(kept(driver, "users")) == 25


def test_what_the_catalogue_lists_stays_and_what_it_withdrew_never_comes_back() -> None:
    driver = TopologyDriver(settings())
    for item in ("listed", "withdrawn"):
        driver.pipe(CATALOG_TOPIC, item.encode(), b'{"title":"x"}', NOW)
    for n in range(5):
        for at, item in enumerate(("listed", "withdrawn", "daily-ann")):
            click(driver, f"u{n}", item, NOW + 10 * n + at)
    driver.pipe(CATALOG_TOPIC, b"withdrawn", None, NOW + 20 * DAY_MS)
    for day in range(21, 45):
        for user in sorted(REGULARS):
            click(driver, user, f"daily-{user}", NOW + day * DAY_MS)
    for day in range(45, 56):
        for user in sorted(REGULARS):
            click(driver, user, f"daily-{user}", NOW + day * DAY_MS)
    assert kept(driver, "items") == {"listed", "withdrawn", *(f"daily-{user}" for user in REGULARS)}
    index = driver.topology.index
    assert index.slot("withdrawn") < 0 <= index.slot("listed"), "seen together with what is clicked every day"


def test_impressions_and_requests_are_signs_of_life() -> None:
    driver = TopologyDriver(settings())
    play(driver, users=3, days=29)
    at_ms = NOW + 29 * DAY_MS
    shown = {"event_id": "s", "user_id": "u0", "items": ["i0"], "timestamp": at_ms}
    asked = {"request_id": "r", "user_id": "u1", "placement": "top", "timestamp": at_ms}
    driver.pipe(IMPRESSIONS_TOPIC, b"u0", msgspec.json.encode(shown), at_ms)
    driver.pipe(REQUESTS_TOPIC, b"u1", msgspec.json.encode(asked), at_ms)
    for day in range(30, 56):
        for user in sorted(REGULARS):
            click(driver, user, "daily", NOW + day * DAY_MS)
    assert {"u0", "u1"} <= kept(driver, "users")
    assert "u2" not in kept(driver, "users")


def test_events_dated_in_the_future_do_not_move_the_clock() -> None:
    driver = TopologyDriver(settings())
    at_ms, ahead_ms = NOW + DAY_MS, 4 * 60_000
    for user in sorted(REGULARS):
        driver.pipe(CLICK, user.encode(), event(f"far-{user}", user, "i1", at_ms + ahead_ms), at_ms)
    times = {state.last_seen for processor in driver.processors["users"] for _, state in processor.store.items()}
    assert times == {at_ms + ahead_ms}, "the events were taken as they are"
    for plane in ("users", "items"):
        clocks = {processor.position.clock_ms for processor in driver.processors[plane]}
        assert clocks <= {0, at_ms}
        assert at_ms in clocks


@pytest.mark.parametrize(
    "known",
    [
        Profile(last_seen=9),
        Profile(last_seen=3, last_active=9),
        Profile(last_seen=3, unclicked=UnclickedImpressions(ids=["i"], counts=[1], times=[9])),
        Profile(last_seen=3, ads=AdHistory([Decision(1, "c", "a", "shop", 9, 99, 1.0, "cpm", 0.1)])),
    ],
)
def test_a_profile_of_an_older_release_is_as_old_as_the_latest_that_it_knows(known: Profile) -> None:
    driver = TopologyDriver(settings())
    assert driver.topology.users.last_active_ms(known) == 9


def test_every_store_and_every_replay_deletes_the_same_at_the_same_places(tmp_path: Path) -> None:
    def make_store(plane: Any, partition: int) -> RocksStore[Any]:
        return RocksStore(tmp_path / f"{plane.name}-{partition}", plane.state_type)

    logs = []
    topics = (changelog_topic("users"), changelog_topic("items"), RECOMMENDATIONS_TOPIC)
    for make in (None, None, make_store):
        driver = TopologyDriver(settings(), make, keep=topics)
        play(driver, users=150, days=40)
        logs.append([(topic, record.key, record.value) for topic in topics for record in driver.read(topic)])
    assert logs[0] == logs[1] == logs[2]
    assert sum(value is None for _, _, value in logs[0]) > 150


def test_a_look_is_bounded_whatever_the_number_of_states() -> None:
    driver = TopologyDriver(settings())
    play(driver, users=1200, days=1)  # of whom each partition has more than any look may be at
    (processor, _) = driver.processors["users"]
    assert sum(1 for _ in processor.store.items()) > 512
    looked: list[int] = []
    after = processor.store.after

    def counted(key: str, count: int) -> list[tuple[str, Any]]:
        found = after(key, count)
        looked.append(len(found))
        return found

    processor.store.after = counted  # type: ignore[method-assign]
    position = processor.position.copy()
    for passed_ms, most in ((EVERY_MS - 1, 0), (EVERY_MS, 4), (3_600_000, 24), (99 * DAY_MS, 512)):
        looked.clear()
        position.swept, position.swept_ms = "", position.clock_ms - passed_ms
        idle_keys(processor.plane, processor.store, position, ())
        assert sum(looked) == most


@pytest.mark.parametrize("plane", ["campaigns", "models"])
def test_other_states_are_kept(plane: str) -> None:
    driver = TopologyDriver(settings())
    (processor, _) = driver.processors[plane]
    assert processor.plane.expire_after_ms == 0
    assert processor.plane.last_active_ms(processor.plane.state_type()) == 0
    assert processor.plane.expired(["a"], 0) == []
