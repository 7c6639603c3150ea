"""An impression is read as it is, repaired where that is possible, and refused with the name of the field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.events.event import Context
from processors.events.impression import Impression, repair_impression
from processors.events.reader import RecordReader
from processors.events.record import Refusal
from processors.events.repair import REASONS, IntakeSettings

NOW = 1_700_000_000_000
VALID: dict[str, Any] = {"event_id": "e", "user_id": "u", "timestamp": NOW, "items": ["tent", "lamp"]}
LIST = "expected a list of 1 to 100 item ids"
TEXT = "expected a non-empty text of at most 256 characters"


def read(**changes: Any) -> Impression | Refusal:
    fields = {name: value for name, value in {**VALID, **changes}.items() if value is not ...}
    read = RecordReader().read(json.dumps(fields).encode(), "impression", NOW)
    assert isinstance(read, Impression | Refusal)
    return read


def accepted(**changes: Any) -> Impression:
    impression = read(**changes)
    assert isinstance(impression, Impression), impression
    return impression


def test_what_needs_no_repair_is_taken_over() -> None:
    context = {"page": "front", "placement": "top"}
    texts: dict[str, Any] = {
        "recommendation_id": "r",
        "decision_id": "d",
        "placement": "home",
        "session_id": "s",
        "anonymous_id": "a",
    }
    assert accepted(context=context, **texts) == Impression(
        event_id="e", user_id="u", time_ms=NOW, items=("tent", "lamp"), context=Context(**context), **texts
    )


@pytest.mark.parametrize(
    ("changes", "items", "repairs"),
    [
        ({"items": ..., "item_id": "tent"}, ("tent",), ()),
        ({"items": None, "item_id": "tent"}, ("tent",), ()),
        ({"items": ["b", "a", "b"]}, ("b", "a"), ()),
        ({"items": [7, "a", 8]}, ("7", "a", "8"), ("items:number_to_text",)),
        ({"item_id": "mat"}, ("tent", "lamp"), ("item_id:dropped",)),
        ({"placement": 5}, ("tent", "lamp"), ("placement:number_to_text",)),
        ({"placement": "", "context": 3}, ("tent", "lamp"), ("placement:dropped", "context:dropped")),
        ({"context": {"page": ""}}, ("tent", "lamp"), ("context.page:dropped",)),
        ({"timestamp": NOW - 10**9}, ("tent", "lamp"), ("timestamp:late",)),
        ({"price": 5, "shelf": {"row": 3}}, ("tent", "lamp"), ()),
        ({"items": [f"i{n}" for n in range(100)]}, tuple(f"i{n}" for n in range(100)), ()),
    ],
)
def test_repairs_what_can_be_repaired(changes: Any, items: tuple[str, ...], repairs: tuple[str, ...]) -> None:
    impression = accepted(**changes)
    assert (impression.items, impression.repairs) == (items, repairs)


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"items": ...}, "missing_field", f"items: missing, {LIST}, or one as item_id"),
        ({"items": []}, "bad_items", f"items: 0 ids, {LIST}"),
        ({"items": ["i"] * 101}, "bad_items", f"items: 101 ids, {LIST}"),
        ({"items": "tent"}, "wrong_type", f"items: 'tent', {LIST}"),
        ({"items": {"tent": 1}}, "wrong_type", f"items: {{'tent': 1}}, {LIST}"),
        ({"items": ["a", ["b"]]}, "wrong_type", f"items[1]: ['b'], {TEXT}"),
        ({"items": [True]}, "wrong_type", f"items[0]: True, {TEXT}"),
        ({"items": ["a", None]}, "missing_field", f"items[1]: missing, {TEXT}"),
        ({"items": ["a", ""]}, "empty_id", f"items[1]: '', {TEXT}"),
        ({"items": ["x" * 257]}, "id_too_long", f"items[0]: 257 characters, {TEXT}"),
        ({"items": ..., "item_id": 0.5}, "wrong_type", f"item_id: 0.5, {TEXT}"),
        ({"user_id": ...}, "missing_field", f"user_id: missing, {TEXT}"),
        ({"event_id": ""}, "empty_id", f"event_id: '', {TEXT}"),
        ({"timestamp": "soon"}, "bad_timestamp", "timestamp: 'soon', expected ISO-8601 or epoch milliseconds"),
        ({"timestamp": 0}, "timestamp_ancient", "timestamp: 0 is before 631152000000"),
    ],
)
def test_refuses_with_a_reason_and_names_the_field(changes: Any, reason: str, message: str) -> None:
    assert read(**changes) == Refusal(reason, message)
    assert reason in REASONS


ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(
    st.fixed_dictionaries(
        {"event_id": ids, "user_id": ids, "timestamp": st.integers(NOW - 10**10, NOW + 10**7)},
        optional={
            "items": st.lists(ids, min_size=1, max_size=5) | st.none(),
            "item_id": ids | st.none(),
            "placement": ids | st.none(),
            "recommendation_id": ids,
            "context": st.dictionaries(st.sampled_from(["page", "placement"]), st.text(max_size=3)) | st.none(),
        },
    )
)
def test_the_strict_and_the_lenient_reader_agree(fields: dict[str, Any]) -> None:
    raw = json.dumps(fields).encode()
    found = RecordReader().read(raw, "impression", NOW)
    if isinstance(found, Impression):
        assert found == repair_impression(raw, NOW, IntakeSettings())
    else:
        assert (fields.get("items"), fields.get("item_id")) == (None, None)


@given(st.binary(max_size=64) | st.recursive(st.none() | ids, st.lists).map(lambda value: json.dumps(value).encode()))
def test_never_raises_for_any_bytes(raw: bytes) -> None:
    assert isinstance(RecordReader().read(raw, "impression", NOW), Refusal)
