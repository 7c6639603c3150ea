"""What an app sees of the whole topology, through the driver: events in, recommendations and dead letters out."""

import json
from typing import Any

import msgspec
import pytest

from processors.common.errors import NearstreamError
from processors.common.hashing import partition_of
from processors.common.topics import CATALOG_TOPIC
from processors.events.repair import IntakeSettings
from processors.items.state import ItemSettings
from processors.planes.users_settings import UsersSettings
from processors.simulator import EMBEDDING_SIZE, build_catalogue, catalogue_rows
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings, TopicSettings, WorkerSettings
from tests.support import event

NOW = 1_700_000_000_000
CLICK = "events.click.v1"


def slates(driver: TopologyDriver) -> dict[tuple[str, str], dict[str, Any]]:
    """Latest message per user and placement."""
    messages = [msgspec.json.decode(record.value or b"") for record in driver.read("recommendations.v1")]
    return {(message["user_id"], message["placement"]): message for message in messages}


def click(driver: TopologyDriver, user: str, item: str, second: int, **fields: Any) -> None:
    at = NOW + 1000 * second
    driver.pipe(CLICK, user.encode(), event(f"{user}{second}", user, item, at, **fields), at)


def shown(message: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in message["items"]]


def test_the_click_just_made_changes_the_slate() -> None:
    driver = TopologyDriver()
    for second, item in enumerate(("tent", "lamp", "stove")):
        click(driver, "guide", item, second)
    click(driver, "novice", "boots", 3)
    before = slates(driver)["novice", "discover"]
    click(driver, "novice", "tent", 4)
    after = slates(driver)["novice", "discover"]
    assert {item["source"] for item in before["items"]} <= {"trending", "popular"}
    assert shown(after)[0] == "lamp"
    assert after["items"][0]["reasons"] == [
        {"kind": "viewed_together", "item_id": "tent", "text": "Often viewed together with tent"}
    ]


def test_a_recommendation_has_the_promised_shape() -> None:
    driver = TopologyDriver()
    click(driver, "u", "tent", 0)
    click(driver, "u", "lamp", 1)
    driver.read("recommendations.v1")
    click(driver, "u", "tent", 2)
    message = slates(driver)["u", "home"]
    assert message == {
        "recommendation_id": f"{CLICK}/{partition_of('u', 4)}/2/home",
        "user_id": "u",
        "placement": "home",
        "generated_at": "2023-11-14T22:13:22.000Z",
        "caused_by": {"event_id": "eu2", "topic": CLICK, "partition": partition_of("u", 4), "offset": 2},
        "model_version": "covisitation",
        "items": message["items"],
    }
    assert [(item["item_id"], item["rank"], item["source"]) for item in message["items"]] == [
        ("lamp", 1, "together"),
        ("tent", 2, "together"),
    ]


def test_discover_leaves_out_what_the_user_touched() -> None:
    driver = TopologyDriver()
    for second, item in enumerate(("a", "b", "c", "d")):
        click(driver, "guide", item, second)
    for second, item in enumerate(("a", "b"), 4):
        click(driver, "u", item, second)
    found = slates(driver)
    assert set(shown(found["u", "discover"])) == {"c", "d"}
    assert set(shown(found["u", "home"])) == {"a", "b", "c", "d"}


def test_there_is_one_message_per_user_and_placement_in_a_batch() -> None:
    driver = TopologyDriver(Settings(topics=TopicSettings(partitions=1)))
    records = [(b"k", event(n, f"u{n % 2}", f"i{n}", NOW), ()) for n in range(6)]
    driver.pipe_batch(CLICK, records, NOW)
    messages = [json.loads(record.value or b"") for record in driver.read("recommendations.v1")]
    assert [(m["user_id"], m["placement"], m["caused_by"]["offset"]) for m in messages] == [
        ("u0", "discover", 4),
        ("u0", "home", 4),
        ("u1", "discover", 5),
        ("u1", "home", 5),
    ]


def test_a_duplicate_is_dropped_without_a_word() -> None:
    driver = TopologyDriver()
    click(driver, "u", "tent", 0)
    driver.read("recommendations.v1")
    driver.pipe(CLICK, b"u", event("u0", "u", "tent", NOW), NOW + 5)
    driver.assert_empty()
    assert driver.state("users")["u"].events == 1


def test_assert_empty_names_what_was_not_read() -> None:
    driver = TopologyDriver()
    click(driver, "u", "tent", 0)
    with pytest.raises(AssertionError, match=r"unread records: {'recommendations.v1': 2}"):
        driver.assert_empty()


def test_a_record_on_the_wrong_partition_reaches_its_user_once() -> None:
    driver = TopologyDriver(keep=("recommendations.v1", "internal.events"))
    wrong = (partition_of("u", 4) + 1) % 4
    driver.pipe(CLICK, None, event(1, "u", "tent", NOW), NOW, (("trace", b"7"),), partition=wrong)
    (forwarded,) = driver.read("internal.events")
    assert (forwarded.key, forwarded.partition, forwarded.headers[0]) == (b"u", partition_of("u", 4), ("trace", b"7"))
    message = slates(driver)["u", "home"]
    assert message["caused_by"] == {"event_id": "e1", "topic": CLICK, "partition": wrong, "offset": 0}
    assert driver.state("users")["u"].events == 1


BAD = {
    "not JSON": (b"<html>", "not_json"),
    "10 MiB of JSON": (b'{"event_id":"' + b"x" * 10 * 2**20 + b'"}', "too_large"),
    "deep nesting": (b"[" * 100_000, "too_deep"),
    "NaN": (b'{"event_id":"e","user_id":"u","item_id":"i","timestamp":NaN}', "not_json"),
    "wrong type": (b'{"event_id":"e","user_id":["u"],"item_id":"i","timestamp":1}', "wrong_type"),
    "missing field": (b'{"event_id":"e","user_id":"u","timestamp":1700000000000}', "missing_field"),
    "a future year": (event("e", "u", "i", 4_102_444_800_000), "timestamp_future"),
    "an ancient time": (event("e", "u", "i", 86_400_000), "timestamp_ancient"),
    "a 10 kB id": (event("e", "u" * 10_000, "i", NOW), "id_too_long"),
    "invalid UTF-8": (b'{"event_id":"\xff\xfe","user_id":"u","item_id":"i","timestamp":1}', "invalid_utf8"),
    "an empty value": (None, "empty_value"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_record_becomes_a_dead_letter_and_stops_nothing(name: str) -> None:
    value, reason = BAD[name]
    driver = TopologyDriver()
    good = [(b"g", event(n, "g", f"i{n}", NOW), ()) for n in (1, 2)]
    at = partition_of("g", 4)
    driver.pipe_batch(CLICK, [good[0], (None, value, (("own", b"header"),)), good[1]], NOW, partition=at)
    (letter,) = driver.read("dead-letters.v1")
    assert (letter.key, letter.value, letter.headers[0]) == (None, value, ("own", b"header"))
    headers = dict(letter.headers)
    assert headers["__streams.errors.exception"] == reason.encode()
    assert headers["__streams.errors.message"]
    assert (headers["__streams.errors.topic"], headers["__streams.errors.partition"]) == (CLICK.encode(), b"%d" % at)
    assert headers["__streams.errors.offset"] == b"1"
    assert driver.state("users")["g"].item_ids == ["i1", "i2"]
    assert slates(driver)["g", "home"]["caused_by"]["offset"] == 2


def test_unknown_fields_and_a_null_key_are_no_reason_to_refuse() -> None:
    driver = TopologyDriver(Settings(topics=TopicSettings(partitions=1)))
    driver.pipe(CLICK, None, event(1, "u", "tent", NOW, shelf={"row": 3}), NOW)
    assert driver.read("dead-letters.v1") == []
    assert driver.state("users")["u"].events == 1


def test_impressions_reach_no_item_and_bring_no_slate() -> None:
    plain, seen = TopologyDriver(), TopologyDriver()
    for driver in (plain, seen):
        for second, item in enumerate(("tent", "lamp", "stove")):
            if driver is seen:
                at = NOW + 1000 * second - 500
                value = msgspec.json.encode(
                    {"event_id": item, "user_id": "u", "timestamp": at, "items": ["mat", "lamp"]}
                )
                before = len(driver.read("recommendations.v1"))
                driver.pipe("events.impression.v1", b"u", value, at)
                driver.assert_empty()
                assert before == (2 if second else 0)
            click(driver, "u", item, second)
        driver.flush()
    assert seen.state("items") == plain.state("items")
    assert seen.state("models") == plain.state("models")
    assert seen.state("users")["u"].unclicked.ids == ["lamp", "mat"]


def test_limits_come_from_the_settings() -> None:
    users = UsersSettings(intake=IntakeSettings(max_event_bytes=10))
    driver = TopologyDriver(Settings(users=users))
    click(driver, "u", "tent", 0)
    assert len(driver.read("dead-letters.v1")) == 1


def test_items_wait_for_their_interval() -> None:
    driver = TopologyDriver()
    for at, item in ((NOW, "a"), (NOW + 100, "b"), (NOW + 200, "c")):
        driver.pipe(CLICK, b"u", event(at, "u", item, at), at)
    assert sorted(driver.state("items")) == ["a"]
    driver.advance(NOW + 250)
    assert sorted(driver.state("items")) == ["a", "b", "c"]


def test_flush_does_not_wait() -> None:
    driver = TopologyDriver()
    for at, item in ((NOW, "a"), (NOW + 100, "b")):
        driver.pipe(CLICK, b"u", event(at, "u", item, at), at)
    driver.flush()
    assert sorted(driver.state("items")) == ["a", "b"]


def test_time_must_not_go_back() -> None:
    driver = TopologyDriver()
    driver.advance(NOW)
    with pytest.raises(NearstreamError, match="time must not go back"):
        driver.advance(NOW - 1)


def test_only_event_topics_are_inputs() -> None:
    with pytest.raises(NearstreamError, match=r"recommendations\.v1 is not an input"):
        TopologyDriver().pipe("recommendations.v1", None, b"", NOW)


def catalogue_settings(**items: Any) -> Settings:
    return Settings(
        items=ItemSettings(**items), worker=WorkerSettings(broadcast_interval_ms=0), topics=TopicSettings(partitions=3)
    )


def shown_to(driver: TopologyDriver, user: str) -> set[str]:
    return {item.item_id for slate in driver.recommend(user) for item in slate}


def test_an_item_that_nobody_has_visited_is_shown_to_who_likes_what_is_alike() -> None:
    driver = TopologyDriver(catalogue_settings(embedding_size=EMBEDDING_SIZE))
    catalogue = build_catalogue(seed=1, size=60)
    for key, value in catalogue_rows(catalogue, embeddings=True):
        driver.pipe(CATALOG_TOPIC, key, value, NOW)
    assert driver.read("dead-letters.v1") == []
    assert len(driver.topology.index) == len(catalogue.products)
    liked = catalogue.products[0]
    driver.pipe("events.click.v1", b"ada", event(1, "ada", liked.item_id, NOW + 1), NOW + 1)
    category = {product.item_id for product in catalogue.products if product.category == liked.category}
    assert category <= shown_to(driver, "ada")


def test_a_withdrawn_item_leaves_every_slate_at_once_and_for_good() -> None:
    driver = TopologyDriver(catalogue_settings())
    for n, item in enumerate(["tent", "lamp", "mat"]):
        driver.pipe("events.click.v1", b"ada", event(n, "ada", item, NOW + n, category="camping"), NOW + n)
    assert shown_to(driver, "ada") == {"tent", "lamp", "mat"}
    driver.pipe(CATALOG_TOPIC, b"lamp", None, NOW + 10)
    assert shown_to(driver, "ada") == {"tent", "mat"}
    driver.pipe("events.click.v1", b"bob", event(9, "bob", "lamp", NOW + 20, category="camping"), NOW + 20)
    assert shown_to(driver, "ada") == shown_to(driver, "bob") == {"tent", "mat"}
    driver.pipe(CATALOG_TOPIC, b"lamp", b"{}", NOW + 30)
    assert shown_to(driver, "ada") == {"tent", "lamp", "mat"}


def test_a_row_that_is_keyed_wrongly_is_refused_with_what_to_do() -> None:
    driver = TopologyDriver(catalogue_settings())
    home = partition_of("tent", 3)
    driver.pipe(CATALOG_TOPIC, b"tent", b"{}", NOW, partition=(home + 1) % 3)
    (letter,) = driver.read("dead-letters.v1")
    assert b"key records by item_id" in dict(letter.headers)["__streams.errors.message"]
    assert driver.state("items") == {}
