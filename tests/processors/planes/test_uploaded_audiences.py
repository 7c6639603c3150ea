"""The shop's lists: who is on them is targeted by them, and nothing else comes of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from processors.ads.campaign import read_campaign
from processors.ads.doubts import doubts_of
from processors.ads.no_bid import NoBid
from processors.common.time import DAY_MS
from processors.common.topics import AUDIENCES_TOPIC, DEAD_LETTERS_TOPIC, RECOMMENDATIONS_TOPIC, changelog_topic
from processors.events.consent import ConsentSettings
from processors.events.record import Record
from processors.planes.users import UsersPlane
from processors.planes.users_settings import UsersSettings
from processors.users.profile import Profile
from processors.users.settings import ProfileSettings
from state.codec import StateCodec
from streams.engine.driver import TopologyDriver
from streams.operations.known_user import describe, in_words
from streams.settings.sections import Settings, TopicSettings, WorkerSettings
from tests.processors.ads.shop import NOW, TOPICS, Shop, campaign
from tests.support import event

INTERNAL = ("internal.item-signals", "internal.training", "internal.campaign-signals", changelog_topic("users"))


def nothing_known(keys: Sequence[str], /) -> list[Profile | None]:
    return [None for _ in keys]


class Listing(Shop):
    """A shop that uploads who is on which list."""

    topics = (*TOPICS, *INTERNAL)

    def upload(self, user: str, *lists: str, after_ms: int = 1000, **fields: Any) -> None:
        self.now += after_ms
        value = json.dumps({"audiences": lists, **fields}).encode()
        self.driver.pipe(AUDIENCES_TOPIC, user.encode(), value, self.now)

    def withdraw(self, user: str) -> None:
        self.driver.pipe(AUDIENCES_TOPIC, user.encode(), None, self.now)

    def stored(self, user: str = "u") -> Profile | None:
        return next(filter(None, (p.store.read([user])[0] for p in self.driver.processors["users"])), None)

    def told(self, user: str = "u", **fields: Any) -> Any:
        """What a user's request gets: a campaign's id, or why not."""
        decision = self.request(user, **fields)
        return decision.get("cid") or decision["nbr"]


@pytest.mark.parametrize(
    ("lists", "asked", "matches"),
    [
        (["vip"], ["vip"], True),
        (["vip", "news"], ["news", "other"], True),
        (["VIP"], ["vip"], True),
        (["café"], ["CAFE\u0301"], True),
        (["vip"], ["news"], False),
        ([], ["vip"], False),
    ],
)
def test_a_list_is_sought_and_left_out(lists: list[str], asked: list[str], matches: bool) -> None:
    shop = Listing()
    shop.upload("u", *lists)
    shop.put("c", campaign(target={"lists": asked}))
    assert shop.told() == ("c" if matches else NoBid.NOT_MEANT)
    shop.put("c", campaign(exclude={"lists": asked}))
    assert shop.told() == (NoBid.EXCLUDED if matches else "c")
    assert shop.told("somebody else") == "c"


def test_the_last_upload_counts_as_a_whole_and_a_tombstone_ends_it() -> None:
    shop = Listing()
    shop.put("c", campaign(target={"lists": ["vip"]}))
    shop.upload("u", "vip", "news")
    assert shop.told() == "c"
    shop.upload("u", "news")
    assert shop.told() == NoBid.NOT_MEANT
    shop.upload("u", "vip")
    assert shop.told() == "c"
    shop.withdraw("u")
    assert shop.told() == NoBid.NOT_MEANT
    assert shop.stored() is not None
    assert shop.stored().lists == []  # type: ignore[union-attr]  # it is there


def test_why_an_ad_is_shown_names_the_list() -> None:
    shop = Listing()
    shop.put("c", campaign(target={"lists": ["other", "Vip"]}))
    shop.upload("u", "vip")
    assert [(one["kind"], one["value"]) for one in shop.request()["reasons"]] == [("list", "Vip")]


@pytest.mark.parametrize("purposes", [[], ["store", "learn", "recommend", "measure"]])
@pytest.mark.parametrize("side", ["target", "exclude"])
def test_who_does_not_agree_to_be_targeted_is_on_no_list(purposes: list[str], side: str) -> None:
    shop = Listing()
    shop.upload("u", "vip")
    shop.put("c", campaign(**{side: {"lists": ["vip"]}}))
    assert shop.told(purposes=purposes) == NoBid.NO_CONSENT
    assert shop.told(purposes=["target"]) == ("c" if side == "target" else NoBid.EXCLUDED)


def test_an_upload_is_stored_whatever_is_assumed_of_those_who_say_nothing() -> None:
    users = UsersSettings(consent=ConsentSettings("required"))
    driver = TopologyDriver(Settings(topics=TopicSettings(partitions=1), users=users))
    driver.pipe("events.click.v1", b"u", event(1, "u", "tent", NOW), NOW)
    assert driver.state("users") == {}
    driver.pipe(AUDIENCES_TOPIC, b"u", b'{"audiences": ["vip"]}', NOW)
    assert driver.state("users")["u"].lists == ["vip"]


# What else comes of it: nothing


def test_who_is_only_on_a_list_is_nobody_else() -> None:
    """No slate, no opportunity, no lesson, no signal; the profile is that of a stranger but for the lists."""
    shop = Listing()
    shop.put("new", campaign(target={"visitors": "new"}))
    for topic in shop.topics:
        shop.driver.read(topic)
    shop.upload("u", "vip")
    stored = shop.stored()
    assert stored == Profile(lists=["vip"], last_active=shop.now)
    for topic in (*TOPICS, *INTERNAL[:-1]):
        assert shop.driver.read(topic) == [], topic
    assert shop.told() == shop.told("stranger") == "new"
    slates = [shop.driver.recommend(user) for user in ("u", "a stranger")]
    assert slates[0] == slates[1]
    shop.send("events.click.v1", "u")
    assert (shop.profile("u").sessions, shop.profile("u").events) == (1, 1)


def play(shop: Listing, uploads: bool) -> dict[str, list[Any]]:
    """A day of two users; all that comes out, save states."""
    shop.put("c", campaign(target={"viewed_items": ["tent"]}, frequency={"per_day": 4}))
    for n in range(12):
        if uploads:
            shop.upload(f"u{n % 2}", "vip", f"list {n % 5}", after_ms=0)
        shop.send("events.click.v1", f"u{n % 2}", item_id=("tent", "lamp", "mat")[n % 3], category="outdoor")
        shop.send("events.purchase.v1", f"u{n % 2}", item_id=("tent", "lamp")[n % 2], price=9)
        shop.send("events.browse.v1", f"u{n % 2}", context={"placement": "top"})
        shop.send("events.impression.v1", f"u{n % 2}", items=["lamp", "mat"])
        shop.request(f"u{n % 2}")
    return {topic: shop.driver.read(topic) for topic in (*TOPICS, *INTERNAL[:-1])}


def test_where_no_campaign_asks_for_lists_they_change_nothing() -> None:
    plain, with_lists = play(Listing(), uploads=False), play(Listing(), uploads=True)
    for topic, records in plain.items():
        found = [(record.key, record.value) for record in with_lists[topic]]
        assert found == [(record.key, record.value) for record in records], topic
    assert plain["recommendations.v1"]


def test_an_upload_counts_for_the_opportunities_of_its_batch() -> None:
    shop = Listing(partitions=1)
    shop.put("c", campaign(target={"lists": ["vip"]}))
    browse = event("e", "u", "tent", shop.now, context={"placement": "top"})
    records = [
        Record("events.browse.v1", 0, 0, shop.now, b"u", browse),
        Record(AUDIENCES_TOPIC, 0, 0, shop.now, b"u", b'{"audiences": ["vip"]}'),
    ]
    step = shop.driver.topology.users.step(nothing_known, records, 0)
    assert step.outcomes == {("events.browse.v1", "accepted"): 1, (AUDIENCES_TOPIC, "accepted"): 1}
    assert (step.states["u"].lists, step.states["u"].events, step.clock_ms) == (["vip"], 1, shop.now)
    (decision,) = [output.value for output in step.outputs if output.topic == "ad-decisions.v1"]
    assert json.loads(decision or b"")["cid"] == "c"


def test_what_says_nothing_new_is_not_stored() -> None:
    shop = Listing(partitions=1)
    shop.upload("u", "vip", "news")
    before = shop.stored()
    shop.driver.read(changelog_topic("users"))
    shop.upload("u", "news", "vip", "VIP", after_ms=DAY_MS)
    shop.withdraw("stranger")
    shop.upload("stranger")
    assert [
        record.key for record in shop.driver.read(changelog_topic("users")) if (record.key or b"").startswith(b"\x01")
    ] == []
    assert shop.stored() == before
    assert shop.stored("stranger") is None


# Bad records, old states


def test_a_bad_upload_is_a_dead_letter_and_changes_nothing() -> None:
    shop = Listing()
    shop.upload("u", "vip")
    for value in (b'{"audiences": "vip"}', b"vip"):
        shop.driver.pipe(AUDIENCES_TOPIC, b"u", value, shop.now)
    first, second = shop.driver.read(DEAD_LETTERS_TOPIC)
    headers = dict(first.headers)
    assert (first.key, first.value) == (b"u", b'{"audiences": "vip"}')
    assert headers["__streams.errors.exception"] == b"wrong_type"
    assert headers["__streams.errors.message"] == b"audiences: 'vip', expected a list of at most 64 names"
    assert headers["__streams.errors.topic"] == AUDIENCES_TOPIC.encode()
    assert dict(second.headers)["__streams.errors.exception"] == b"not_json"
    stored = shop.stored()
    assert stored is not None
    assert stored.lists == ["vip"]


@pytest.mark.parametrize("at_ms", [-1, 2**60])
def test_so_is_one_that_was_appended_at_no_time(at_ms: int) -> None:
    plane = TopologyDriver(Settings(topics=TopicSettings(partitions=1))).topology.users
    record = Record(AUDIENCES_TOPIC, 0, 0, at_ms, b"u", None)
    step = plane.step(nothing_known, [record], 0)
    assert (step.refusals, step.states) == ({"bad_record_time": 1}, {})


def test_profiles_of_older_releases_are_on_no_list() -> None:
    *older, lists = msgspec.msgpack.decode(msgspec.msgpack.encode(Profile(events=3)))
    assert lists == []
    packed = StateCodec(Profile).encode(Profile())[:1] + msgspec.msgpack.encode(older)
    assert StateCodec(Profile).decode(packed) == Profile(events=3)


# Expiry


def expiring(days: float = 30.0) -> TopologyDriver:
    users = UsersSettings(profile=ProfileSettings(expire_after_days=days))
    settings = Settings(topics=TopicSettings(partitions=1), worker=WorkerSettings(broadcast_interval_ms=0), users=users)
    # Shorter than refunds may take is fine for those who are shown no ad.
    return TopologyDriver(settings, keep=(RECOMMENDATIONS_TOPIC,))


def days_pass(driver: TopologyDriver, first: int, last: int) -> None:
    for day in range(first, last + 1):
        at_ms = NOW + day * DAY_MS
        driver.pipe("events.click.v1", b"daily", event(f"d{day}", "daily", "tent", at_ms), at_ms)


def test_who_is_only_on_a_list_expires_by_the_time_of_events() -> None:
    driver = expiring()
    driver.pipe(AUDIENCES_TOPIC, b"u", b'{"audiences": ["vip"]}', NOW)
    driver.pipe(AUDIENCES_TOPIC, b"gone", b'{"audiences": ["vip"]}', NOW)
    driver.pipe(AUDIENCES_TOPIC, b"gone", None, NOW + 1)
    days_pass(driver, 1, 29)
    assert driver.state("users").keys() == {"u", "gone", "daily"}
    driver.pipe(AUDIENCES_TOPIC, b"u", b'{"audiences": ["vip", "news"]}', NOW + 29 * DAY_MS)
    days_pass(driver, 30, 40)
    assert driver.state("users").keys() == {"u", "daily"}, "a change of the lists is a sign of life"
    driver.pipe(AUDIENCES_TOPIC, b"u", b'{"audiences": ["vip", "news"]}', NOW + 40 * DAY_MS)
    days_pass(driver, 41, 70)
    assert driver.state("users").keys() == {"daily"}, "the same once more is none"


def test_uploads_do_not_move_the_clock() -> None:
    driver = expiring()
    driver.pipe("events.click.v1", b"u", event(1, "u", "tent", NOW), NOW)
    for day in range(1, 90):
        driver.pipe(AUDIENCES_TOPIC, b"v%d" % day, b'{"audiences": ["vip"]}', NOW + day * DAY_MS)
    (processor,) = driver.processors["users"]
    assert processor.position.clock_ms == NOW
    assert "u" in driver.state("users")


# What is shown of it


def test_the_profile_shows_the_lists() -> None:
    shop = Listing()
    shop.upload("u", "vip", "news")
    stored = shop.stored()
    assert stored is not None
    known = describe("u", stored, shop.driver.topology, shop.driver.settings)
    assert known.lists == ("news", "vip")
    lines = list(in_words(known))
    assert lines[0] == "u: no events"
    assert "  lists         news, vip" in lines
    assert not any("lists" in line for line in in_words(describe("v", Profile(), shop.driver.topology, Settings())))


def test_lists_that_contradict_each_other_are_named() -> None:
    raw = campaign(target={"lists": ["Vip", "news"]}, exclude={"lists": ["VIP"]})
    found = read_campaign(json.dumps(raw).encode())
    assert doubts_of(found) == ("lists: target and exclude both have Vip",)
    assert found.needs_user


def test_the_users_plane_reads_the_topic_after_all_others_of_the_same_time() -> None:
    assert UsersPlane.source_topics[-1] == AUDIENCES_TOPIC
