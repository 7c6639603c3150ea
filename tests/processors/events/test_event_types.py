"""Event types: each goes to a topic that apps write to, and the type that says more than its topic stays as action."""

import pytest

from processors.common.errors import FieldError
from processors.events.event import ACTION_WEIGHTS, EVENT_TOPICS
from processors.events.event_types import EVENT_TYPES, take_topic


def test_every_topic_of_apps_has_a_type_and_every_type_such_a_topic() -> None:
    assert set(EVENT_TYPES.values()) == set(EVENT_TOPICS)


def test_every_action_with_a_weight_can_be_named_as_a_type() -> None:
    assert ACTION_WEIGHTS.keys() <= EVENT_TYPES.keys()


@pytest.mark.parametrize("kind", EVENT_TYPES)
def test_a_type_is_taken_out_and_stays_as_action_only_if_it_says_more_than_the_topic(kind: str) -> None:
    fields = {"type": kind, "user_id": "u"}
    assert take_topic(fields) == EVENT_TYPES[kind]
    named_by_topic = kind in ("browse", "impression", "request", "slate")
    assert fields == ({"user_id": "u"} if named_by_topic else {"user_id": "u", "action": kind})


def test_an_action_of_its_own_is_kept() -> None:
    fields = {"type": "click", "action": "fav"}
    assert (take_topic(fields), fields) == ("events.click.v1", {"action": "fav"})


def test_a_topic_named_goes_before_the_type_and_the_default_comes_last() -> None:
    assert take_topic({"topic": "events.purchase.v1", "type": "click"}) == "events.purchase.v1"
    assert take_topic({}, "events.browse.v1") == "events.browse.v1"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "event_type: missing, expected one of browse"),
        ({"event_type": "wink"}, "event_type: 'wink', expected one of browse"),
        ({"topic": "recommendations.v1"}, "topic: 'recommendations.v1', expected one of events.browse.v1"),
        ({"topic": 7}, "topic: 7, expected one of"),
    ],
)
def test_an_event_of_no_known_type_is_refused_with_what_is_expected(fields: dict[str, object], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        take_topic(fields)
