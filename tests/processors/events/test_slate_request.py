"""Requests for slates: read strictly or with repairs, refused with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.events.reader import RecordReader
from processors.events.record import Refusal
from processors.events.repair import IntakeSettings
from processors.events.slate_request import SlateRequest, repair_slate_request

NOW = 1_700_000_000_000
ASKED = {"request_id": "r", "user_id": "u", "timestamp": NOW, "placement": "home"}


def read(**fields: object) -> SlateRequest | Refusal:
    raw = json.dumps({**ASKED, **fields}).encode()
    found = RecordReader().read(raw, "slate", NOW)
    assert isinstance(found, SlateRequest | Refusal)
    return found


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "item_id": st.sampled_from("abc"),
            "items": st.lists(st.sampled_from("abc"), max_size=3),
            "exclude": st.lists(st.sampled_from("abc"), max_size=3),
            "size": st.integers(1, 100),
            "channel": st.just("app"),
            "purposes": st.just(["recommend"]),
        },
    )
)
def test_a_request_reads_the_same_strictly_and_with_repairs(fields: dict[str, object]) -> None:
    raw = json.dumps({**ASKED, **fields}).encode()
    assert read(**fields) == repair_slate_request(raw, NOW, IntakeSettings())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"placement": None}, "missing_field"),
        ({"placement": 7.5}, "wrong_type"),
        ({"items": "tent"}, "bad_items"),
        ({"exclude": ["i"] * 101}, "bad_items"),
        ({"exclude": [{}]}, "wrong_type"),
        ({"user_id": ""}, "empty_id"),
    ],
)
def test_what_cannot_be_answered_is_refused(fields: dict[str, object], reason: str) -> None:
    found = read(**fields)
    assert isinstance(found, Refusal)
    assert found.reason == reason


@pytest.mark.parametrize(("size", "held"), [(0, 1), (1000, 100), ("7", 7), (2.5, 2), ("many", None)])
def test_sizes_are_held_within_bounds(size: object, held: int | None) -> None:
    found = read(size=size)
    assert isinstance(found, SlateRequest)
    assert found.size == held
