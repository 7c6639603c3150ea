"""Uploads of audiences are read, or refused with the field, its value and what was expected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.bounds import MAX_MS
from processors.common.hashing import partition_of
from processors.common.text import folded
from processors.common.topics import AUDIENCES_TOPIC
from processors.events.audience_upload import AUDIENCE_REASONS, MAX_LISTS, AudienceUpload, read_upload
from processors.events.json_object import Refused
from processors.events.record import Record
from processors.events.repair import IntakeSettings

NOW = 1_700_000_000_000
HOME = partition_of("u", 2)


def read(value: bytes | None, key: bytes | None = b"u", partition: int = HOME) -> AudienceUpload:
    return read_upload(Record(AUDIENCES_TOPIC, partition, 7, NOW, key, value), (partition, 2), IntakeSettings())


def upload(**fields: Any) -> bytes:
    return msgspec.json.encode({"audiences": ["vip"], **fields})


@pytest.mark.parametrize(
    ("value", "lists", "time_ms", "repairs"),
    [
        (None, (), NOW, ()),
        (upload(), ("vip",), NOW, ()),
        (upload(audiences=[]), (), NOW, ()),
        (upload(audiences=["b", "a", "B"], user_id="u"), ("a", "b"), NOW, ()),
        (upload(audiences=["café", "CAFE\u0301"]), ("café",), NOW, ()),
        (upload(audiences=["b", 7, 8.0]), ("7", "8", "b"), NOW, ("audiences:number_to_text",)),
        (upload(timestamp=NOW - 9 * 86_400_000), ("vip",), NOW - 9 * 86_400_000, ()),
        (upload(timestamp="2023-11-14T22:13:19Z"), ("vip",), NOW - 1000, ()),
        (upload(timestamp=None), ("vip",), NOW, ()),
        (upload(timestamp=NOW + 80_000_000), ("vip",), NOW, ("timestamp:future_set_to_arrival",)),
        (upload(audiences=[f"l{n}" for n in range(MAX_LISTS)] * 2), None, NOW, ()),
    ],
)
def test_an_upload_says_which_lists_and_when(
    value: bytes | None, lists: tuple[str, ...] | None, time_ms: int, repairs: tuple[str, ...]
) -> None:
    expected = tuple(sorted(f"l{n}" for n in range(MAX_LISTS))) if lists is None else lists
    assert read(value) == AudienceUpload("u", expected, time_ms, repairs)


A_LIST = "expected a list of at most 64 names"
A_NAME = "expected a non-empty text of at most 256 characters"
REFUSALS = [
    ("empty_value", b"", "value: empty, expected a JSON object"),
    ("too_large", b" " * 262_145, "value: 262145 bytes, expected at most 262144"),
    ("invalid_utf8", b'{"a":"\xff"}', "value: byte 6 is not UTF-8"),
    ("not_json", b"vip", "value: b'vip' is not JSON"),
    ("too_deep", b'{"a":' + b"[" * 40 + b"]" * 40 + b"}", "value: nested too deeply"),
    ("not_an_object", b'["vip"]', "value: ['vip'], expected a JSON object"),
    ("unknown_field", upload(purposes=["target"]), "purposes: ['target'], expected no other fields than audiences,"),
    ("unknown_field", b'{"lists": ["vip"]}', "lists: ['vip'], expected no other fields than audiences, timestamp,"),
    ("missing_field", b"{}", f"audiences: missing, {A_LIST}"),
    ("missing_field", upload(audiences=None), f"audiences: missing, {A_LIST}"),
    ("wrong_type", upload(audiences="vip"), f"audiences: 'vip', {A_LIST}"),
    ("wrong_type", upload(audiences=["vip", ["x"]]), f"audiences[1]: ['x'], {A_NAME}"),
    ("wrong_type", upload(timestamp=[1]), "timestamp: [1], expected ISO-8601 or epoch milliseconds"),
    ("too_many", upload(audiences=[f"l{n}" for n in range(65)]), f"audiences: 65 names, {A_LIST}"),
    ("empty_id", upload(audiences=[""]), f"audiences[0]: '', {A_NAME}"),
    ("id_too_long", upload(audiences=["x" * 257]), f"audiences[0]: 257 characters, {A_NAME}"),
    ("key_mismatch", upload(user_id="v"), "user_id: 'v', expected the record's key 'u'"),
    ("bad_timestamp", upload(timestamp="noon"), "timestamp: 'noon', expected ISO-8601 or epoch milliseconds"),
    ("timestamp_ancient", upload(timestamp=NOW // 1000), "timestamp: 1700000000 is before 631152000000; epoch milli"),
    ("timestamp_future", upload(timestamp=NOW + 86_400_001), f"timestamp: {NOW + 86_400_001} is 86400001 ms after"),
]
KEYS = [
    ("missing_key", None, HOME, "key: 0 characters, expected 1 to 256: the id of the user"),
    ("bad_key", b"u\xff", HOME, "key: not UTF-8, expected the id of the user"),
    ("bad_key", b"u" * 257, HOME, "key: 257 characters, expected 1 to 256: the id of the user"),
    ("wrong_partition", b"u", 1 - HOME, f"key: 'u' belongs to partition {HOME}, the record is on {1 - HOME}; key rec"),
]


@pytest.mark.parametrize(("reason", "value", "said"), REFUSALS, ids=lambda part: part if isinstance(part, str) else "")
def test_what_makes_no_sense_is_refused_by_name(reason: str, value: bytes, said: str) -> None:
    with pytest.raises(Refused) as caught:
        read(value)
    assert (caught.value.reason, str(caught.value)[: len(said)]) == (reason, said)


@pytest.mark.parametrize("value", [None, upload()])
@pytest.mark.parametrize(("reason", "key", "partition", "said"), KEYS)
def test_so_is_a_key_that_is_no_user_of_the_partition(
    reason: str, key: bytes | None, partition: int, said: str, value: bytes | None
) -> None:
    with pytest.raises(Refused) as caught:
        read(value, key, partition)
    assert (caught.value.reason, str(caught.value)[: len(said)]) == (reason, said)


def test_every_reason_is_reached_save_that_of_the_plane() -> None:
    assert {reason for reason, *_ in (*REFUSALS, *KEYS)} == AUDIENCE_REASONS.keys() - {"bad_record_time"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), MAX_MS * 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=70) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=80,
)


def outcome(value: bytes) -> AudienceUpload | str:
    try:
        return read(value)
    except Refused as refused:
        return refused.reason


@given(st.binary(max_size=40) | st.fixed_dictionaries({"audiences": json_values, "timestamp": json_values}))
def test_anything_is_read_or_refused(value: bytes | dict[str, Any]) -> None:
    found = outcome(value if isinstance(value, bytes) else msgspec.json.encode(value))
    if isinstance(found, str):
        assert found in AUDIENCE_REASONS
        return
    assert len({*map(folded, found.lists)}) == len(found.lists) <= MAX_LISTS
    assert 0 <= found.time_ms <= MAX_MS
