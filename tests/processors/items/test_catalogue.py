"""Rows of the catalogue are read as they are meant, or refused with the field, the value and what was expected."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.hashing import partition_of
from processors.common.topics import CATALOG_TOPIC
from processors.events.json_object import Refused
from processors.events.record import Record, Refusal
from processors.items.catalogue import CATALOG_REASONS, CatalogReader, Row
from processors.items.catalogue_fields import EMBEDDING_STEP, direction
from processors.items.view import Attributes

NOW = 1_700_000_000_000
READER = CatalogReader(embedding_size=2, max_row_bytes=100_000)


def read(value: bytes | None, key: bytes | None = b"tent", at: int = NOW, partition: int = 0) -> Row | Refusal:
    return READER.read(Record(CATALOG_TOPIC, partition, 0, at, key, value), partition)


def attributes(**fields: Any) -> Attributes:
    row = read(json.dumps(fields).encode())
    assert isinstance(row, Row), row
    assert row.attributes is not None
    return row.attributes


def repairs(**fields: Any) -> tuple[str, ...]:
    row = read(json.dumps(fields).encode())
    assert isinstance(row, Row), row
    return row.repairs


def message(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_a_whole_row_is_taken_over_field_by_field() -> None:
    assert attributes(
        item_id="tent",
        title="Alm tent",
        category="camping",
        brand="Alm",
        supplier="Berg & Co",
        price=89.5,
        currency="EUR",
        tags=["light", "two persons"],
        url="https://shop.example/tent",
        image_url="https://shop.example/tent.jpg",
        available=False,
        margin=0.25,
        embedding=[0, -3],
        published_at="2023-11-14T22:13:20Z",
        min_age=18,
        regions=["DE", "AT"],
        shelf=7,
    ) == Attributes(
        title="Alm tent",
        category="camping",
        brand="Alm",
        supplier="Berg & Co",
        price=89.5,
        currency="EUR",
        tags=("light", "two persons"),
        url="https://shop.example/tent",
        image_url="https://shop.example/tent.jpg",
        available=False,
        margin=0.25,
        embedding=np.array([0, -1], "<f2").tobytes(),
        published_ms=NOW,
        min_age=18,
        regions=("DE", "AT"),
    )


def test_a_row_need_not_say_anything() -> None:
    assert read(b"{}") == Row("tent", Attributes(), NOW)


def test_nothing_is_said_by_null_by_empty_texts_and_by_empty_lists() -> None:
    nothing = dict.fromkeys(("title", "category", "price", "available", "margin", "embedding", "published_at"))
    assert attributes(**nothing, brand="", tags=[], regions=["", None], embedding_=[]) == Attributes()
    assert attributes(embedding=[]) == Attributes()


def test_a_tombstone_withdraws() -> None:
    assert read(None) == Row("tent", None, NOW)


@pytest.mark.parametrize(
    ("field", "given", "expected", "repair"),
    [
        ("category", 7, "7", "category:number_to_text"),
        ("price", "89.5", 89.5, "price:text_to_number"),
        ("margin", "0.5", 0.5, "margin:text_to_number"),
        ("min_age", "18", 18, "min_age:text_to_number"),
        ("available", "False", False, "available:to_truth_value"),
        ("available", 1, True, "available:to_truth_value"),
        ("title", "x" * 600, "x" * 512, "title:cut"),
        ("tags", ["a", 7, "a"], ("a", "7"), "tags:number_to_text"),
    ],
)
def test_what_has_one_meaning_is_mended_and_noted(field: str, given: object, expected: object, repair: str) -> None:
    assert (getattr(attributes(**{field: given}), field), repairs(**{field: given})) == (expected, (repair,))


def test_a_time_without_a_zone_is_taken_as_utc_and_noted() -> None:
    assert attributes(published_at="2023-11-14T22:13:20").published_ms == NOW
    assert repairs(published_at="2023-11-14T22:13:20") == ("published_at:utc_assumed",)


def test_an_item_id_that_is_a_number_matches_its_key() -> None:
    assert read(b'{"item_id": 7}', b"7") == Row("7", Attributes(), NOW, ("item_id:number_to_text",))


@pytest.mark.parametrize("field", ["available", "tags", "price"])
def test_what_is_given_counts_once(field: str) -> None:
    given = {"available": True, "tags": ["a"] * 100, "price": 0}[field]
    expected = {"available": True, "tags": ("a",), "price": 0.0}[field]
    assert getattr(attributes(**{field: given}), field) == expected


LONG = "x" * 300
REFUSALS: list[tuple[str, bytes | None, bytes | None, str]] = [
    ("missing_key", None, b"{}", "key: missing, expected the item_id"),
    ("missing_key", None, None, "key: missing, expected the item_id"),
    ("bad_key", b"\xff", b"{}", "key: byte 0 is not UTF-8, expected the item_id"),
    ("bad_key", b"", b"{}", "key: 0 characters, expected an item_id of 1 to 256 characters"),
    ("bad_key", LONG.encode(), None, "key: 300 characters, expected an item_id of 1 to 256 characters"),
    ("key_mismatch", b"tent", message(item_id="lamp"), "item_id: 'lamp', expected the record's key 'tent'"),
    ("wrong_type", b"tent", message(item_id=["tent"]), "item_id: ['tent'], expected a text"),
    ("empty_value", b"tent", b"", "value: empty, expected a JSON object"),
    ("too_large", b"tent", b" " * 100_001, "value: 100001 bytes, expected at most 100000"),
    ("invalid_utf8", b"tent", b'{"title": "\xff"}', "value: byte 11 is not UTF-8"),
    ("not_json", b"tent", b"<html>", "value: b'<html>' is not JSON: "),
    ("not_json", b"tent", b'{"price": NaN}', "value: b'{\"price\": NaN}' is not JSON: "),
    ("not_json", b"tent", b'{"price": 1e999}', "value: b'{\"price\": 1e999}' is not JSON: "),
    ("not_json", b"tent", b'{"title": "\\ud800"}', 'value: b\'{"title": "\\\\ud800"}\' is not JSON: '),
    ("too_deep", b"tent", b'{"a":' * 40 + b"1" + b"}" * 40, "value: nested too deeply, expected at most 32 levels"),
    ("not_an_object", b"tent", b"[]", "value: [], expected a JSON object"),
    ("wrong_type", b"tent", message(title={}), "title: {}, expected a text"),
    ("wrong_type", b"tent", message(category=True), "category: True, expected a text"),
    ("wrong_type", b"tent", message(brand=1.5), "brand: 1.5, expected a text"),
    ("too_long", b"tent", message(supplier=LONG), "supplier: 300 characters, expected at most 256"),
    ("too_long", b"tent", message(url="x" * 2049), "url: 2049 characters, expected at most 2048"),
    ("wrong_type", b"tent", message(price="cheap"), "price: 'cheap', expected a number from 0 to 1e+09"),
    ("wrong_type", b"tent", message(price=True), "price: True, expected a number from 0 to 1e+09"),
    ("out_of_range", b"tent", message(price=-1), "price: -1, expected a number from 0 to 1e+09"),
    ("out_of_range", b"tent", b'{"price": 1' + b"0" * 400 + b"}", "price: 1000"),
    ("wrong_type", b"tent", message(price="inf"), "price: 'inf', expected a number from 0 to 1e+09"),
    ("out_of_range", b"tent", message(margin=25), "margin: 25, expected a number from 0 to 1"),
    ("out_of_range", b"tent", message(min_age=200), "min_age: 200, expected a number from 0 to 150"),
    ("wrong_type", b"tent", message(min_age=17.5), "min_age: 17.5, expected whole years"),
    ("wrong_type", b"tent", message(available="no"), "available: 'no', expected true or false"),
    ("wrong_type", b"tent", message(available=2), "available: 2, expected true or false"),
    ("wrong_type", b"tent", message(available=[]), "available: [], expected true or false"),
    ("wrong_type", b"tent", message(tags="light"), "tags: 'light', expected a list of texts"),
    ("wrong_type", b"tent", message(tags=[["light"]]), "tags: ['light'], expected a text"),
    ("too_long", b"tent", message(tags=["x" * 65]), "tags: 65 characters, expected at most 64"),
    ("too_many", b"tent", message(tags=list(range(33))), "tags: 33 texts, expected at most 32"),
    ("too_many", b"tent", message(regions=list(range(65))), "regions: 65 texts, expected at most 64"),
    ("bad_timestamp", b"tent", message(published_at="soon"), "published_at: 'soon', expected ISO-8601 or epoch"),
    ("bad_timestamp", b"tent", message(published_at=10**17), "published_at: 100000000000000000, expected ISO-8601"),
    ("wrong_type", b"tent", message(published_at=[]), "published_at: [], expected ISO-8601 or epoch milliseconds"),
    ("wrong_type", b"tent", message(embedding="1,2"), "embedding: '1,2', expected a list of numbers"),
    ("wrong_type", b"tent", message(embedding=[1, "2"]), "embedding: [1, '2'], expected a list of numbers"),
    ("wrong_type", b"tent", message(embedding=[1, True]), "embedding: [1, True], expected a list of numbers"),
    ("wrong_type", b"tent", message(embedding=[1, None]), "embedding: [1, None], expected a list of numbers"),
    ("bad_embedding", b"tent", message(embedding=[1]), "embedding: 1 numbers, expected 2 (items.embedding_size)"),
    ("bad_embedding", b"tent", message(embedding=[1, 2, 3]), "embedding: 3 numbers, expected 2 (items.embedding"),
    ("bad_embedding", b"tent", message(embedding=[0, -0.0]), "embedding: 2 zeros, expected a direction"),
    ("bad_embedding", b"tent", b'{"embedding": [1, 1' + b"0" * 400 + b"]}", "embedding: [1, 1000"),
]


@pytest.mark.parametrize(
    ("reason", "key", "value", "said"), REFUSALS, ids=lambda part: part if isinstance(part, str) else ""
)
def test_refuses_with_a_reason_and_names_field_value_and_expectation(
    reason: str, key: bytes | None, value: bytes | None, said: str
) -> None:
    refusal = read(value, key)
    assert isinstance(refusal, Refusal), refusal
    assert (refusal.reason, refusal.message[: len(said)]) == (reason, said)


def test_every_reason_is_reached_save_those_of_the_record_itself() -> None:
    assert {reason for reason, *_ in REFUSALS} == CATALOG_REASONS.keys() - {"wrong_partition", "bad_record_time"}


def test_an_embedding_that_nobody_expects_is_refused_with_the_setting_to_change() -> None:
    refusal = CatalogReader().read(Record(CATALOG_TOPIC, 0, 0, NOW, b"tent", message(embedding=[1.0])), 0)
    assert refusal == Refusal("bad_embedding", "embedding: 1 numbers, expected none: items.embedding_size is 0")


@pytest.mark.parametrize("value", [b"{}", None], ids=["row", "tombstone"])
def test_a_record_on_the_wrong_partition_is_refused_with_what_to_do(value: bytes | None) -> None:
    home = partition_of("tent", 4)
    reader, wrong = CatalogReader(partitions=4), (home + 1) % 4
    refusal = reader.read(Record(CATALOG_TOPIC, wrong, 0, NOW, b"tent", value), wrong)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "wrong_partition"
    assert f"key: 'tent' belongs to partition {home}, the record is on {wrong}; key records by item_id" in (
        refusal.message
    )
    assert isinstance(reader.read(Record(CATALOG_TOPIC, home, 0, NOW, b"tent", value), home), Row)


@pytest.mark.parametrize("at", [-1, 253_402_300_800_000])
def test_a_record_without_a_sensible_time_is_refused(at: int) -> None:
    refusal = read(b"{}", at=at)
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "bad_record_time"


numbers = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=64).filter(any)


@given(numbers)
def test_an_embedding_is_kept_as_a_direction_that_is_near_enough_and_adds_up_exactly(given: list[float]) -> None:
    unit = np.frombuffer(direction(given, len(given)), "<f2").astype(float)
    exact = np.array(given) / max(map(abs, given))
    exact /= np.linalg.norm(exact)
    assert np.abs(unit - exact).max() <= EMBEDDING_STEP / 2 + 1e-12
    assert (unit / EMBEDDING_STEP == np.round(unit / EMBEDDING_STEP)).all()
    single = unit.astype(np.float32)
    assert np.float32(0) + sum(single * single) == sum((single * single)[::-1]) == float(unit @ unit)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_direction_needs_finite_numbers(number: float) -> None:
    with pytest.raises(Refused, match="expected finite numbers"):
        direction([1.0, number], 2)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["item_id", *Attributes.__struct_fields__, "published_at"])


@given(st.dictionaries(fields, anything, max_size=6))
def test_whatever_the_fields_hold_the_answer_is_facts_in_their_ranges_or_a_known_reason(row: dict[str, Any]) -> None:
    found = read(json.dumps(row).encode("utf-8", "surrogatepass"))
    if isinstance(found, Refusal):
        assert found.reason in CATALOG_REASONS
        assert len(found.message) < 500
        return
    assert found.attributes is not None
    known = found.attributes
    assert known.price is None or 0 <= known.price <= 1e9
    assert known.margin is None or 0 <= known.margin <= 1
    assert len(known.tags) <= 32
    assert len(known.embedding) in (0, 4)
    assert all(known.tags)


@given(st.binary(max_size=60), st.none() | st.binary(max_size=60))
def test_no_bytes_make_it_raise(key: bytes, value: bytes | None) -> None:
    found = read(value, key)
    assert isinstance(found, Row) or found.reason in CATALOG_REASONS


@pytest.mark.parametrize(
    ("word", "available"),
    [("in_stock", True), ("out of stock", False), ("https://schema.org/OutOfStock", False), ("Preorder", True)],
)
def test_availability_in_the_words_of_feeds_counts(word: str, available: bool) -> None:
    assert attributes(availability=word).available is available
    assert repairs(availability=word) == ("availability:taken_as_available",)
    assert attributes(availability=word, available=not available).available is not available


@pytest.mark.parametrize("word", ["perhaps", 3, True])
def test_an_availability_that_is_not_known_is_refused(word: object) -> None:
    refused = read(message(availability=word))
    assert isinstance(refused, Refusal)
    assert (refused.reason, refused.message.startswith(f"availability: {word!r}, expected one of in_stock")) == (
        "wrong_type",
        True,
    )


@pytest.mark.parametrize("moment", [1_700_000_000, "1700000000"])
def test_a_date_in_seconds_is_refused_and_an_old_one_is_not(moment: object) -> None:
    refused = read(message(published_at=moment))
    assert isinstance(refused, Refusal)
    assert refused.message == f"published_at: {moment}; epoch milliseconds are expected, not seconds"
    assert attributes(published_at="1970-01-20T16:13:20Z").published_ms == 1_700_000_000
