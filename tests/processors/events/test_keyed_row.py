"""Keys of rows, rules and campaigns are read alike, and every topic keeps its own words for what is wrong with one."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ads.campaign import Campaign, Creative
from processors.common.hashing import partition_of
from processors.common.topics import CAMPAIGNS_TOPIC, CATALOG_TOPIC, RULES_TOPIC
from processors.events.json_object import Refused
from processors.events.keyed_row import KeyWords, read_row
from processors.events.record import Record
from processors.items.state import ItemSettings
from processors.models.state import ModelsSettings
from processors.planes.campaigns import CampaignsPlane
from processors.planes.items import ItemsPlane
from processors.planes.models import ModelsPlane

WORDS = KeyWords.of("thing")
CAMPAIGN = Campaign("shop", (Creative("a", "A", "https://shop.example"),), bid=900.0, budget=100.0)


def record(key: bytes | None, value: bytes | None = b"{}", topic: str = "t", partition: int = 0) -> Record:
    return Record(topic, partition, 7, 1_700_000_000_000, key, value)


@given(st.one_of(st.none(), st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode())))
def test_any_bytes_are_a_key_or_are_refused(raw: bytes | None) -> None:
    usable = raw is not None and raw.decode(errors="replace").encode() == raw and 0 < len(raw.decode()) <= 256
    usable = usable and raw is not None and b"\0" not in raw
    if raw is not None and usable:
        assert read_row(record(raw), WORDS) == (raw.decode(), b"{}")
        return
    with pytest.raises(Refused) as caught:
        read_row(record(raw), WORDS)
    assert caught.value.reason == ("missing_key" if raw is None else "bad_key")


def test_where_a_row_lives_is_looked_at_only_if_that_matters() -> None:
    home = partition_of("tent", 4)
    for partition in range(4):
        assert read_row(record(b"tent"), WORDS)[0] == "tent"
        if partition == home:
            assert read_row(record(b"tent"), WORDS, on=(partition, 4))[0] == "tent"
        else:
            with pytest.raises(Refused, match=f"'tent' belongs to partition {home}, the record is on {partition}"):
                read_row(record(b"tent"), WORDS, on=(partition, 4))


def test_a_tombstone_has_no_size_and_a_value_may_be_just_as_large_as_allowed() -> None:
    assert read_row(record(b"tent", None), WORDS, max_bytes=0) == ("tent", None)
    assert read_row(record(b"tent", b"12"), WORDS, max_bytes=2) == ("tent", b"12")
    with pytest.raises(Refused, match="value: 3 bytes, expected at most 2"):
        read_row(record(b"tent", b"123"), WORDS, max_bytes=2)


ELSEWHERE = next(f"k{n}" for n in range(99) if partition_of(f"k{n}", 2) == 1)
LONG = next("k" * 70 + f"{n}" for n in range(99) if partition_of("k" * 70 + f"{n}", 2) == 1)
CUT = repr(LONG)[:61] + "..."
VALUES = {
    RULES_TOPIC: b'{"kind": "exclude", "items": {"ids": ["tent"]}}',
    CAMPAIGNS_TOPIC: msgspec.json.encode(CAMPAIGN),
    CATALOG_TOPIC: b"{}",
}
PLANES: dict[str, Any] = {
    RULES_TOPIC: ModelsPlane(ModelsSettings()),
    CAMPAIGNS_TOPIC: CampaignsPlane("EUR", 2),
    CATALOG_TOPIC: ItemsPlane(ItemSettings(), 2),
}
OF_RULES = "expected 1 to 256: the id of the rule"
OF_CAMPAIGNS = "expected 1 to 256: the id of the campaign"
KAFKAS = "let the producer partition as Kafka's own does (murmur2)"


@pytest.mark.parametrize(
    ("topic", "key", "reason", "said"),
    [
        (RULES_TOPIC, None, "bad_rule", f"key: 0 characters, {OF_RULES}"),
        (RULES_TOPIC, b"", "bad_rule", f"key: 0 characters, {OF_RULES}"),
        (RULES_TOPIC, b"k" * 257, "bad_rule", f"key: 257 characters, {OF_RULES}"),
        (RULES_TOPIC, b"k\xff", "bad_rule", "key: not UTF-8, expected the id of the rule"),
        (CAMPAIGNS_TOPIC, None, "bad_campaign", f"key: 0 characters, {OF_CAMPAIGNS}"),
        (CAMPAIGNS_TOPIC, b"k\xff", "bad_campaign", "key: not UTF-8, expected the id of the campaign"),
        (
            CAMPAIGNS_TOPIC,
            b"\0marker",
            "bad_campaign",
            "key: '\\x00marker', expected an id without the character U+0000",
        ),
        (
            CAMPAIGNS_TOPIC,
            LONG.encode(),
            "bad_campaign",
            f"key: {LONG!r} belongs to partition 1, the record is on 0; key records by campaign, and {KAFKAS}",
        ),
        (CATALOG_TOPIC, None, "missing_key", "key: missing, expected the item_id"),
        (CATALOG_TOPIC, b"", "bad_key", "key: 0 characters, expected an item_id of 1 to 256 characters"),
        (CATALOG_TOPIC, b"k\xff", "bad_key", "key: byte 1 is not UTF-8, expected the item_id"),
        (
            CATALOG_TOPIC,
            ELSEWHERE.encode(),
            "wrong_partition",
            f"key: {ELSEWHERE!r} belongs to partition 1, the record is on 0; key records by item_id and {KAFKAS}",
        ),
        (
            CATALOG_TOPIC,
            LONG.encode(),
            "wrong_partition",
            f"key: {CUT} belongs to partition 1, the record is on 0; key records by item_id and {KAFKAS}",
        ),
    ],
)
def test_every_topic_has_its_own_words(topic: str, key: bytes | None, reason: str, said: str) -> None:
    step = PLANES[topic].step(lambda keys: [None for _ in keys], [record(key, VALUES[topic], topic)], 0)
    (letter,) = step.outputs
    headers = dict(letter.headers)
    assert headers["__streams.errors.message"].decode() == said
    assert step.refusals == {reason: 1}


@pytest.mark.parametrize("topic", [RULES_TOPIC, CAMPAIGNS_TOPIC])
def test_values_that_are_too_large_are_refused_unread(topic: str) -> None:
    home = next(f"k{n}" for n in range(99) if partition_of(f"k{n}", 2) == 0)
    value = VALUES[topic] + b" " * 2**18
    step = PLANES[topic].step(lambda keys: [None for _ in keys], [record(home.encode(), value, topic)], 0)
    message = dict(step.outputs[0].headers)["__streams.errors.message"]
    assert message.decode() == f"value: {len(value)} bytes, expected at most 262144"
