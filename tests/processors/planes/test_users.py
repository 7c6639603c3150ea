"""The users plane answers each user it hears of, passes on what is not its own, and loses nothing that it refuses."""

import json
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
import pytest

from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_view import CampaignView
from processors.ads.signals import CampaignSignal
from processors.common.hashing import partition_of
from processors.common.topics import (
    AD_DECISIONS_TOPIC,
    CAMPAIGN_SIGNALS_TOPIC,
    DEAD_LETTERS_TOPIC,
    DECISION_LOG_TOPIC,
    FORWARDED_TOPIC,
    IMPRESSIONS_TOPIC,
    RECOMMENDATIONS_TOPIC,
    SIGNALS_TOPIC,
    TRAINING_TOPIC,
)
from processors.events.record import Record
from processors.events.repair import IntakeSettings
from processors.items.index import ItemIndex
from processors.items.signals import ItemSignals
from processors.items.view import ItemView
from processors.models.examples import Examples
from processors.models.ranker_weights import HEADS
from processors.planes.base import Output, Step
from processors.planes.users import UsersPlane
from processors.planes.users_settings import UsersSettings
from processors.ranking.settings import Placement, RankingSettings
from processors.users.profile import Profile
from processors.users.settings import ProfileSettings

NOW = 1_700_000_000_000
CLICKS = "events.click.v1"
ORIGIN = "nearstream.origin"
PARTITIONS = 2
Headers = tuple[tuple[str, bytes], ...]

AT_HOME = [f"user {n}" for n in range(40) if partition_of(f"user {n}", PARTITIONS) == 0]
ABROAD = next(f"user {n}" for n in range(40) if partition_of(f"user {n}", PARTITIONS) == 1)
ANN, BEN, *_ = AT_HOME


def catalogue() -> ItemIndex:
    index = ItemIndex(neighbours=2)
    whole = np.array([1.0], "<f4").tobytes()
    index.apply("tent", ItemView((2.0, 2.0, 2.0), 1, 0, 0, ["lamp"], whole, whole))
    index.apply("lamp", ItemView((1.0, 1.0, 1.0), 1, 0, 0, ["tent"], whole, whole))
    index.apply("mat", ItemView((0.0, 0.0, 0.0), 1, 0, 0, [], b"", b""))
    return index


class Users:
    """One partition of the plane and its states."""

    def __init__(self, partition: int = 0, settings: UsersSettings | None = None) -> None:
        self.plane = UsersPlane(settings or UsersSettings(), catalogue(), PARTITIONS)
        self.partition = partition
        self.stored: dict[str, bytes] = {}
        self.last: Step[Profile] = Step()

    def read(self, keys: Sequence[str], /) -> list[Profile | None]:
        found = [self.stored.get(key) for key in keys]
        return [None if data is None else msgspec.msgpack.decode(data, type=Profile) for data in found]

    def take(self, *records: Record) -> list[Output]:
        self.last = self.plane.step(self.read, records, self.partition)
        self.stored.update({key: msgspec.msgpack.encode(state) for key, state in self.last.states.items()})
        return self.last.outputs

    def profile(self, user: str) -> Profile:
        (profile,) = self.read([user])
        assert profile is not None
        return profile


def event(user: str, item: str = "tent", n: int | str = 1, **fields: Any) -> bytes:
    return msgspec.json.encode(
        {"event_id": f"e{n}", "user_id": user, "item_id": item, "timestamp": NOW, **fields},
    )


def record(
    value: bytes | None,
    topic: str = CLICKS,
    offset: int = 7,
    key: bytes | None = b"key",
    headers: Headers = (),
    timestamp: int = NOW + 123,
    partition: int = 0,
) -> Record:
    return Record(topic, partition, offset, timestamp, key, value, headers)


def delivered(output: Output, offset: int = 0) -> Record:
    """An output as its receiver gets it."""
    return Record(output.topic, output.partition, offset, NOW + 456, output.key, output.value, output.headers)


def on(topic: str, outputs: list[Output]) -> list[Output]:
    return [output for output in outputs if output.topic == topic]


def recommendations(outputs: list[Output]) -> list[dict[str, Any]]:
    return [json.loads(output.value or b"") for output in on(RECOMMENDATIONS_TOPIC, outputs)]


def shown(outputs: list[Output], placement: str) -> list[list[str]]:
    messages = [message for message in recommendations(outputs) if message["placement"] == placement]
    return [[item["item_id"] for item in message["items"]] for message in messages]


def test_a_recommendation_says_what_the_apps_were_promised() -> None:
    *_, home = recommendations(Users().take(record(event(ANN))))
    assert home == {
        "recommendation_id": "events.click.v1/0/7/home",
        "user_id": ANN,
        "placement": "home",
        "generated_at": "2023-11-14T22:13:20.123Z",
        "caused_by": {"event_id": "e1", "topic": "events.click.v1", "partition": 0, "offset": 7},
        "model_version": "covisitation",
        "items": [
            {
                "item_id": "lamp",
                "rank": 1,
                "score": 6.957107,
                "source": "together",
                "reasons": [
                    {"kind": "viewed_together", "item_id": "tent", "text": "Often viewed together with tent"},
                ],
                "propensity": 1.0,
            },
            {
                "item_id": "tent",
                "rank": 2,
                "score": 5.5,
                "source": "recent",
                "reasons": [{"kind": "viewed_before", "text": "You looked at this before"}],
                "propensity": 1.0,
            },
            {
                "item_id": "mat",
                "rank": 3,
                "score": 0.625,
                "source": "popular",
                "reasons": [{"kind": "viewed_by_others", "text": "Others have looked at this"}],
                "propensity": 1.0,
            },
        ],
    }


def test_a_recommendation_goes_to_the_partition_of_its_user_with_the_user_as_key() -> None:
    outputs = on(RECOMMENDATIONS_TOPIC, Users().take(record(event(ANN, item="ключ"))))
    assert [(o.key, o.partition, o.headers, o.chained) for o in outputs] == [(ANN.encode(), 0, (), False)] * 2


def test_each_user_gets_one_message_per_placement_however_many_events_came() -> None:
    batch = [record(event(user, n=f"{user}{n}"), offset=n) for n in range(5) for user in (ANN, BEN)]
    found = [(message["user_id"], message["placement"]) for message in recommendations(Users().take(*batch))]
    assert found == [(ANN, "discover"), (ANN, "home"), (BEN, "discover"), (BEN, "home")]


def test_the_first_placement_is_what_a_compacted_topic_keeps() -> None:
    ranking = RankingSettings(placements=(Placement("first"), Placement("second"), Placement("third")))
    outputs = Users(settings=UsersSettings(ranking=ranking)).take(record(event(ANN)))
    assert [message["placement"] for message in recommendations(outputs)] == ["third", "second", "first"]


def test_a_recommendation_is_caused_by_the_users_latest_event_of_the_batch() -> None:
    batch = [record(event(ANN, n=1), offset=1), record(event(ANN, n=2), offset=2), record(event(BEN, n=3), offset=3)]
    causes = {message["user_id"]: message["caused_by"] for message in recommendations(Users().take(*batch))}
    assert [(causes[user]["event_id"], causes[user]["offset"]) for user in (ANN, BEN)] == [("e2", 2), ("e3", 3)]


def test_recommendation_ids_are_never_used_twice() -> None:
    users = Users()
    ids = [
        message["recommendation_id"]
        for offset in range(0, 20, 2)
        for message in recommendations(
            users.take(record(event(ANN, n=offset), offset=offset), record(event(BEN, n=offset + 1), offset=offset + 1))
        )
    ]
    assert len(set(ids)) == len(ids) == 40


def test_the_click_just_made_has_its_effect() -> None:
    users = Users()
    first = users.take(record(event(ANN, item="mat", n=1)))
    assert (shown(first, "home"), shown(first, "discover")) == ([["mat", "tent", "lamp"]], [["tent", "lamp"]])
    second = users.take(record(event(ANN, item="lamp", n=2)))
    assert (shown(second, "home"), shown(second, "discover")) == ([["tent", "lamp", "mat"]], [["tent"]])


def test_what_is_asked_for_is_what_would_be_published() -> None:
    users = Users()
    outputs = users.take(record(event(ANN)))
    home, discover = users.plane.recommend(
        [users.profile(ANN)], [users.profile(ANN).last_seen], users.profile(ANN).last_seen
    )
    published = [message["items"] for message in recommendations(outputs)]
    slates = [part.items(0, users.plane.read) for part in (discover, home)]
    assert json.loads(msgspec.json.encode(slates)) == published
    assert home.item_ids(0, users.plane.read) == [item["item_id"] for item in published[1]]


def test_a_plane_that_does_not_publish_learns_the_same() -> None:
    quiet, loud = Users(), Users()
    quiet.plane.publishes = False
    batch = [record(event(ANN, n=1)), record(event(ANN, item="lamp", n=2))]
    expected = [output for output in loud.take(*batch) if output.topic != RECOMMENDATIONS_TOPIC]
    assert {output.topic for output in expected} == {TRAINING_TOPIC, SIGNALS_TOPIC}
    assert quiet.take(*batch) == expected
    assert quiet.stored == loud.stored


def test_a_batch_of_duplicates_changes_and_says_nothing() -> None:
    users = Users()
    users.take(record(event(ANN)))
    before = users.stored.copy()
    outputs = users.take(record(event(ANN)), record(event(ANN)))
    assert (outputs, users.last.states, users.stored) == ([], {}, before)


def test_an_empty_batch_is_nothing() -> None:
    assert Users().take() == []


@pytest.mark.parametrize(
    ("value", "partition", "outcome"),
    [
        (event(ANN, n=2), 0, "accepted"),
        (event(ANN, n=2, price=-1), 0, "repaired"),
        (event(ANN, n=1), 0, "duplicate"),
        (event(ABROAD), 0, "forwarded"),
        (b"garbage", 0, "refused"),
    ],
)
def test_counts_what_became_of_each_record(value: bytes, partition: int, outcome: str) -> None:
    users = Users(partition)
    users.take(record(event(ANN, n=1)))
    users.take(record(value))
    assert users.last.outcomes == Counter({(CLICKS, outcome): 1})


@pytest.mark.parametrize(
    ("topic", "action"), [(CLICKS, "click"), ("events.browse.v1", "view"), ("events.purchase.v1", "purchase")]
)
def test_the_topic_says_what_the_user_did(topic: str, action: str) -> None:
    users = Users()
    users.take(record(event(ANN), topic=topic))
    assert users.profile(ANN).item_actions == [action]


def test_signals_go_to_the_partitions_of_their_items_once_per_batch_and_chained() -> None:
    items = [f"item {n}" for n in range(10)]
    users = Users()
    outputs = on(SIGNALS_TOPIC, users.take(*(record(event(ANN, item, n=item)) for item in items)))
    found = {o.partition: msgspec.msgpack.decode(o.value or b"", type=ItemSignals) for o in outputs}
    assert [(o.partition, o.key, o.chained) for o in outputs] == [(0, None, True), (1, None, True)]
    for partition, signals in found.items():
        touched = [signals.items[touch.item] for touch in signals.touches]
        assert touched == [item for item in items if partition_of(item, PARTITIONS) == partition]


def test_an_event_on_the_wrong_partition_is_passed_on_as_it_came() -> None:
    users = Users()
    value = event(ABROAD, price="12,50")
    (output,) = users.take(record(value, key=None, headers=(("trace", b"1"),)))
    found = (output.topic, output.partition, output.key, output.value, output.chained)
    assert found == (FORWARDED_TOPIC, 1, ABROAD.encode(), value, False)
    assert output.headers[0] == ("trace", b"1")
    assert users.stored == {}


def test_an_event_that_was_passed_on_counts_as_if_it_had_come_directly() -> None:
    sent = record(event(ABROAD), topic="events.purchase.v1", offset=9, partition=0)
    (forwarded,) = Users(0).take(sent)
    receiver, direct = Users(1), Users(1)
    outputs = receiver.take(delivered(forwarded))
    assert (outputs, receiver.stored) == (direct.take(sent), direct.stored)
    assert receiver.last.outcomes == Counter({("events.purchase.v1", "accepted"): 1})


def test_an_event_that_was_passed_on_is_checked_against_the_time_it_first_arrived() -> None:
    settings = UsersSettings(intake=IntakeSettings(late_after_ms=200))
    (forwarded,) = Users(0, settings).take(record(event(ABROAD)))
    receiver = Users(1, settings)
    receiver.take(delivered(forwarded))
    assert list(receiver.last.outcomes) == [(CLICKS, "accepted")]


def test_an_event_that_was_passed_on_to_the_wrong_partition_is_refused_and_not_passed_on_again() -> None:
    (forwarded,) = Users(0).take(record(event(ABROAD), offset=9))
    users = Users(0)
    (letter,) = users.take(delivered(forwarded))
    assert (letter.topic, letter.value, letter.key) == (DEAD_LETTERS_TOPIC, event(ABROAD), ABROAD.encode())
    assert dict(letter.headers)["__streams.errors.exception"] == b"wrong_partition"
    assert dict(letter.headers)["__streams.errors.offset"] == b"9"
    message = dict(letter.headers)["__streams.errors.message"]
    assert message == b"user_id: belongs to partition 1, the record was forwarded to 0"
    assert users.last.refusals == Counter({"wrong_partition": 1})


def test_a_dead_letter_carries_the_original_and_the_headers_of_kafka_streams() -> None:
    users = Users()
    (letter,) = users.take(record(b'{"a":NaN}', offset=12, headers=(("trace", b"1"),)))
    assert (letter.topic, letter.partition, letter.key, letter.value, letter.chained) == (
        DEAD_LETTERS_TOPIC,
        0,
        b"key",
        b'{"a":NaN}',
        False,
    )
    (first, exception, message, *where) = letter.headers
    assert (first, exception) == (("trace", b"1"), ("__streams.errors.exception", b"not_json"))
    assert message[0] == "__streams.errors.message"
    assert message[1].startswith(b"value: b'{\"a\":NaN}' is not JSON: ")
    assert where == [
        ("__streams.errors.topic", b"events.click.v1"),
        ("__streams.errors.partition", b"0"),
        ("__streams.errors.offset", b"12"),
    ]


@pytest.mark.parametrize("key", [None, b"", b"\xff"], ids=str)
@pytest.mark.parametrize("value", [None, b"", b"\xff\x00", b"x" * 300_000], ids=["tombstone", "empty", "binary", "big"])
def test_dead_letters_carry_any_key_and_value(key: bytes | None, value: bytes | None) -> None:
    (letter,) = Users().take(record(value, key=key))
    assert (letter.key, letter.value) == (key, value)


def test_a_bad_record_does_not_touch_its_neighbours() -> None:
    alone, among = Users(), Users()
    expected = alone.take(record(event(ANN), offset=2))
    outputs = among.take(record(b"bad", offset=1), record(event(ANN), offset=2), record(None, offset=3))
    assert [output for output in outputs if output.topic != DEAD_LETTERS_TOPIC] == expected
    assert among.last.refusals == Counter({"not_json": 1, "empty_value": 1})


def test_a_key_that_does_not_match_the_user_does_not_matter() -> None:
    users = Users()
    users.take(record(event(ANN), key=None))
    users.take(record(event(ANN, n=2), key=ABROAD.encode()))
    assert users.profile(ANN).events == 2


@pytest.mark.parametrize(
    "spoofed",
    [b"", b"garbage", b"\x93\x01\x02\x03", msgspec.msgpack.encode(("events.purchase.v1", 9, 9, 9))],
    ids=["empty", "garbage", "wrong types", "well formed"],
)
def test_a_spoofed_origin_on_an_event_topic_changes_nothing(spoofed: bytes) -> None:
    honest, spoofing = Users(), Users()
    expected = honest.take(record(event(ANN)))
    assert spoofing.take(record(event(ANN), headers=((ORIGIN, spoofed),))) == expected


ELSEWHERE = msgspec.msgpack.encode(["somewhere.else", 0, 0, NOW])


@pytest.mark.parametrize(
    "headers",
    [(), ((ORIGIN, b"garbage"),), (("other", b"1"),), ((ORIGIN, ELSEWHERE),)],
    ids=["none", "garbage", "other", "another topic"],
)
def test_a_forwarded_record_that_does_not_say_where_it_is_from_is_refused(headers: Headers) -> None:
    users = Users()
    (letter,) = users.take(record(event(ANN), topic=FORWARDED_TOPIC, headers=headers))
    assert dict(letter.headers)["__streams.errors.exception"] == b"no_origin"
    assert users.last.outcomes == Counter({(FORWARDED_TOPIC, "refused"): 1})


@pytest.mark.parametrize("time_ms", [-1, 253_402_300_800_000, 1_700_000_000_000_000_000])
def test_a_record_from_no_time_that_can_be_written_is_refused(time_ms: int) -> None:
    users = Users()
    (letter,) = users.take(record(event(ANN), timestamp=time_ms))
    assert (letter.value, users.last.refusals) == (event(ANN), Counter({"bad_record_time": 1}))


@pytest.mark.parametrize(
    "origin",
    [
        None,
        msgspec.msgpack.encode((CLICKS, 0, 0, 2**62)),
        msgspec.msgpack.encode((CLICKS, 0, 0, -1)),
        msgspec.msgpack.encode((CLICKS, -5, 0, NOW)),
        msgspec.msgpack.encode((CLICKS, 0, -1, NOW)),
    ],
)
def test_an_origin_that_cannot_be_is_none(origin: bytes) -> None:
    users = Users()
    users.take(record(event(ANN), topic=FORWARDED_TOPIC, headers=((ORIGIN, origin),)))
    assert users.last.refusals == Counter({"no_origin": 1})


SMALL = 2**16


def small(partition: int = 0, profile: ProfileSettings | None = None) -> Users:
    """A partition whose topics take little."""
    settings = UsersSettings(intake=IntakeSettings(max_event_bytes=2**20), profile=profile or ProfileSettings())
    users = Users(partition, settings)
    users.plane = UsersPlane(settings, catalogue(), PARTITIONS, SMALL)
    return users


@pytest.mark.parametrize(
    ("key", "value", "headers", "cut"),
    [
        (b"key", b"x" * 2**17, (("trace", b"1"),), b"value"),
        (b"k" * 2**17, b"bad", (("trace", b"1"),), b"key"),
        (b"key", b"bad", (("trace", b"1" * 2**17),), b"headers"),
        (b"k" * 2**17, b"x" * 2**17, (("trace", b"1"),) * 10_000, b"headers,key,value"),
        (None, b"x" * 2**17, (("empty", None),), b"value"),
    ],
)
def test_a_dead_letter_that_is_too_large_is_cut_and_says_so(
    key: bytes | None, value: bytes, headers: Any, cut: bytes
) -> None:
    (letter,) = small().take(record(value, key=key, headers=headers))
    found = dict(letter.headers)
    assert letter.batch_bytes() <= SMALL
    assert found["nearstream.cut"] == cut
    assert found["nearstream.value.bytes"] == str(len(value)).encode()
    assert found["nearstream.value.sha256"] == sha256(value).hexdigest().encode()
    assert value.startswith(letter.value or b"-")


def test_a_record_too_large_to_be_passed_on_becomes_a_dead_letter() -> None:
    users = small()
    (letter,) = users.take(record(event(ABROAD), headers=(("trace", b"1" * SMALL),)))
    assert (letter.topic, letter.value) == (DEAD_LETTERS_TOPIC, event(ABROAD))
    assert (users.last.refusals, users.last.outcomes) == (Counter(too_large=1), Counter({(CLICKS, "refused"): 1}))


def test_signals_that_are_too_large_lose_what_is_furthest_apart_and_say_how_much() -> None:
    users = small(profile=ProfileSettings(window_items=100, recent_items=100))
    events = [record(event(ANN, f"{n}-" + "\N{GRINNING FACE}" * 40, n=n), offset=n) for n in range(60)]
    signals = on(SIGNALS_TOPIC, users.take(*events))
    messages = [msgspec.msgpack.decode(output.value or b"", type=ItemSignals) for output in signals]
    pairs = sum(len(message.times) // 8 for message in messages)
    assert max(output.batch_bytes() for output in signals) <= SMALL
    assert sum(len(message.touches) for message in messages) == 60
    assert users.last.outcomes[SIGNALS_TOPIC, "left_out"] == 60 * 59 - pairs


def seen(user: str, *items: str, n: int | str = 1, **fields: Any) -> bytes:
    return msgspec.json.encode(
        {"event_id": f"s{n}", "user_id": user, "timestamp": NOW, "items": items, **fields},
    )


def impression(value: bytes, offset: int = 7) -> Record:
    return record(value, topic=IMPRESSIONS_TOPIC, offset=offset)


def test_an_impression_is_noted_and_has_no_other_effect() -> None:
    users = Users()
    assert users.take(impression(seen(ANN, "tent", "lamp"))) == []
    assert users.last.outcomes == Counter({(IMPRESSIONS_TOPIC, "accepted"): 1})
    profile = users.profile(ANN)
    assert (profile.unclicked.ids, profile.unclicked.counts) == (["lamp", "tent"], [1, 1])
    profile.unclicked = Profile().unclicked
    assert profile == Profile(last_active=NOW)


def test_impressions_among_clicks_change_neither_signals_nor_lessons_nor_who_is_answered() -> None:
    alone, among = Users(), Users()
    clicks = [record(event(ANN, "tent", 1), offset=1), record(event(ANN, "mat", 2), offset=2)]
    other = [impression(seen(BEN, "tent", n=1)), impression(seen(ANN, "lamp", n=2))]
    first, second = alone.take(*clicks), among.take(other[0], clicks[0], other[1], clicks[1])
    assert second == first
    assert set(among.last.states) == {ANN, BEN}
    assert among.profile(ANN).unclicked.ids == ["lamp"]


def test_within_a_batch_a_touch_clears_what_was_shown_before_it() -> None:
    users = Users()
    users.take(
        impression(seen(ANN, "tent", "lamp", n=1)),
        record(event(ANN, "tent", timestamp=NOW + 1)),
        impression(seen(ANN, "tent", n=2, timestamp=NOW + 2)),
    )
    kept = users.profile(ANN).unclicked
    assert (kept.ids, kept.counts) == (["lamp", "tent"], [1, 1])


def test_a_duplicate_impression_is_counted_as_one_and_changes_nothing() -> None:
    users = Users()
    users.take(impression(seen(ANN, "tent")))
    assert users.take(impression(seen(ANN, "lamp"), offset=8)) == []
    assert users.last.outcomes == Counter({(IMPRESSIONS_TOPIC, "duplicate"): 1})
    assert users.last.states == {}


def test_an_impression_on_the_wrong_partition_reaches_its_user() -> None:
    here, there = Users(), Users(partition=1)
    (forwarded,) = here.take(impression(seen(ABROAD, "tent")))
    assert (forwarded.topic, forwarded.partition, forwarded.key) == (FORWARDED_TOPIC, 1, ABROAD.encode())
    assert here.last.outcomes == Counter({(IMPRESSIONS_TOPIC, "forwarded"): 1})
    assert there.take(delivered(forwarded)) == []
    assert there.last.outcomes == Counter({(IMPRESSIONS_TOPIC, "accepted"): 1})
    assert there.profile(ABROAD).unclicked.ids == ["tent"]


def test_a_bad_impression_becomes_a_dead_letter_that_names_the_field() -> None:
    users, value = Users(), seen(ANN)
    (letter,) = users.take(impression(value))
    assert (letter.topic, letter.value) == (DEAD_LETTERS_TOPIC, value)
    headers = dict(letter.headers)
    assert headers["__streams.errors.exception"] == b"bad_items"
    assert headers["__streams.errors.message"] == b"items: 0 ids, expected a list of 1 to 100 item ids"
    assert users.last.refusals == Counter({"bad_items": 1})


def test_what_was_shown_too_often_moves_down_in_the_next_slate() -> None:
    users = Users()
    users.take(record(event(ANN, "tent")))
    assert shown(users.last.outputs, "home") == [["lamp", "tent", "mat"]]
    many = [impression(seen(ANN, "lamp", n=n, timestamp=NOW + 1), offset=n) for n in range(40)]
    users.take(*many, record(event(ANN, "tent", 2, timestamp=NOW + 2)))
    assert shown(users.last.outputs, "home") == [["tent", "lamp", "mat"]]
    users.take(record(event(ANN, "tent", 3, timestamp=NOW + 14 * 86_400_000), timestamp=NOW + 14 * 86_400_000))
    assert shown(users.last.outputs, "home") == [["lamp", "tent", "mat"]]


def offered(user: str, n: int) -> Record:
    return Record("events.browse.v1", 0, n, NOW + n, user.encode(), event(user, n=n, context={"placement": "top"}))


def test_without_a_campaign_opportunities_are_counted_and_nothing_is_decided() -> None:
    users = Users()
    outputs = users.take(offered(ANN, 0), offered(BEN, 1), Record(CLICKS, 0, 2, NOW + 2, ANN.encode(), event(ANN, n=2)))
    assert users.last.decisions == {"no_campaign": 2}  # type: ignore[attr-defined]  # of the step of this plane
    assert not {output.topic for output in outputs} & {AD_DECISIONS_TOPIC, DECISION_LOG_TOPIC, CAMPAIGN_SIGNALS_TOPIC}


def test_signals_go_to_the_partitions_of_the_campaigns_that_they_concern() -> None:
    users = Users()
    cid = next(f"c{n}" for n in range(9) if partition_of(f"c{n}", PARTITIONS) == 1)
    campaign = Campaign("shop", (Creative("a", "Tents", "https://shop.example"),), bid=1.0, budget=100.0)
    users.plane.ads.campaigns.apply(cid, CampaignView(campaign, left=100.0, left_today=100.0))
    sent = [output for output in users.take(offered(ANN, 0)) if output.topic == CAMPAIGN_SIGNALS_TOPIC]
    (signals,) = (msgspec.msgpack.decode(output.value or b"", type=list[CampaignSignal]) for output in sent)
    assert [output.partition for output in sent] == [1]
    assert [(signal.cid, signal.opportunities) for signal in signals] == [(cid, 1)]
    plain = users.take(Record(CLICKS, 0, 1, NOW + 1, BEN.encode(), event(BEN, n=1)))
    assert CAMPAIGN_SIGNALS_TOPIC not in {output.topic for output in plain}


@pytest.mark.parametrize("few", [0, 16])
def test_a_lesson_is_of_the_profile_before_the_event_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """Few lessons are made beside the slates, which know the event already."""
    monkeypatch.setattr("processors.planes.users._FEW", few)
    users = Users()
    users.take(Record(CLICKS, 0, 0, NOW, ANN.encode(), event(ANN, "tent", n=0)))
    (output,) = on(TRAINING_TOPIC, users.take(Record(CLICKS, 0, 1, NOW + 1, ANN.encode(), event(ANN, "lamp", n=1))))
    assert output.value is not None
    examples = msgspec.msgpack.decode(output.value, type=Examples)
    # For the lesson the lamp was still new: the head that learns from new items alone has an example of it.
    assert [HEADS[head] for head in examples.heads] == ["any", "new"]
    (output,) = on(TRAINING_TOPIC, users.take(Record(CLICKS, 0, 2, NOW + 2, ANN.encode(), event(ANN, "lamp", n=2))))
    assert output.value is not None
    assert [HEADS[head] for head in msgspec.msgpack.decode(output.value, type=Examples).heads] == ["any"]
