"""Whatever arrives, the intake gives a clean event or a refusal that says why; it never raises."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from processors.common.errors import ConfigurationError
from processors.events.event import Context, Event, EventKind
from processors.events.json_object import MAX_DEPTH, Refused
from processors.events.reader import RecordReader
from processors.events.record import Refusal
from processors.events.repair import MAX_EXTRA_FIELDS, REASONS, IntakeSettings, repair_event
from processors.planes.users_settings import UsersSettings

NOW = 1_700_000_000_000
VALID: dict[str, Any] = {"event_id": "e", "user_id": "u", "item_id": "i", "timestamp": NOW}
INTAKE = RecordReader()
SETTINGS = INTAKE.settings


def message(**fields: Any) -> bytes:
    """A valid event with other fields; a field of `...` is left out."""
    merged = {**VALID, **fields}
    return json.dumps({name: value for name, value in merged.items() if value is not ...}).encode()


def with_raw(name: str, value: str) -> bytes:
    """A valid event with one field written as it is, for numbers and texts that `json` would not write."""
    rest = [f'"{key}":{json.dumps(kept)}' for key, kept in VALID.items() if key != name]
    return ("{" + ",".join([*rest, f'"{name}":{value}']) + "}").encode()


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def read(raw: bytes | None, kind: EventKind = "click", at_ms: int = NOW) -> Event | Refusal:
    return INTAKE.read(raw, kind, at_ms)


def accepted(raw: bytes, kind: EventKind = "click", at_ms: int = NOW) -> Event:
    event = read(raw, kind, at_ms)
    assert isinstance(event, Event), event
    return event


REFUSALS: list[tuple[str, bytes | None, str]] = [
    ("empty_value", None, "value: empty, expected a JSON object"),
    ("empty_value", b"", "value: empty, expected a JSON object"),
    ("too_large", message(x="." * 300_000), "value: 300086 bytes, expected at most 262144"),
    ("too_large", b'{"x":"' + b"." * 10 * 2**20 + b'"}', "value: 10485768 bytes, expected at most 262144"),
    ("invalid_utf8", b'{"event_id":"\xff"}', "value: byte 13 is not UTF-8"),
    ("invalid_utf8", json.dumps(VALID).encode("utf-16"), "value: byte 0 is not UTF-8"),
    ("not_json", b"click", "value: b'click' is not JSON: "),
    ("not_json", b'{"event_id":', "value: b'{\"event_id\":' is not JSON: "),
    ("not_json", b'{"a":NaN}', "value: b'{\"a\":NaN}' is not JSON: "),
    (
        "not_json",
        b'{"a":Infinity}',
        "value: b'{\"a\":Infinity}' is not JSON: ",
    ),
    ("not_json", b'{"a":1e400}', "value: b'{\"a\":1e400}' is not JSON: "),
    ("not_json", b'{"a":"\\ud800"}', 'value: b\'{"a":"\\\\ud800"}\' is not JSON: '),
    ("too_deep", with_raw("x", nested(MAX_DEPTH)), "value: nested too deeply, expected at most 32 levels"),
    ("too_deep", with_raw("x", nested(100_000)), "value: nested too deeply, expected at most 32 levels"),
    ("too_deep", nested(100_000).encode(), "value: nested too deeply, expected at most 32 levels"),
    ("not_an_object", b"[1,2]", "value: [1, 2], expected a JSON object"),
    ("not_an_object", b"null", "value: None, expected a JSON object"),
    ("missing_field", message(event_id=...), "event_id: missing, expected a non-empty text of at most 256 characters"),
    ("missing_field", message(user_id=None), "user_id: missing, expected a non-empty text of at most 256 characters"),
    ("missing_field", message(item_id=...), "item_id: missing, expected a non-empty text of at most 256 characters"),
    ("missing_field", message(timestamp=...), "timestamp: missing, expected ISO-8601 or epoch milliseconds"),
    ("wrong_type", message(user_id=True), "user_id: True, expected a non-empty text of at most 256 characters"),
    ("wrong_type", message(item_id=1.5), "item_id: 1.5, expected a non-empty text of at most 256 characters"),
    ("wrong_type", message(event_id=["e"]), "event_id: ['e'], expected a non-empty text of at most 256 characters"),
    ("wrong_type", message(timestamp=False), "timestamp: False, expected ISO-8601 or epoch milliseconds"),
    ("wrong_type", message(timestamp={}), "timestamp: {}, expected ISO-8601 or epoch milliseconds"),
    ("empty_id", message(item_id=""), "item_id: '', expected a non-empty text of at most 256 characters"),
    (
        "id_too_long",
        message(user_id="u" * 10_000),
        "user_id: 10000 characters, expected a non-empty text of at most 256 characters",
    ),
    (
        "id_too_long",
        with_raw("item_id", "9" * 4000),
        "item_id: 4000 characters, expected a non-empty text of at most 256 characters",
    ),
    ("bad_timestamp", message(timestamp="noon"), "timestamp: 'noon', expected ISO-8601 or epoch milliseconds"),
    ("bad_timestamp", message(timestamp=""), "timestamp: '', expected ISO-8601 or epoch milliseconds"),
    ("bad_timestamp", message(timestamp=1e300), "timestamp: 1e+300, expected ISO-8601 or epoch milliseconds"),
    (
        "bad_timestamp",
        with_raw("timestamp", "9" * 400),
        f"timestamp: {'9' * 61}..., expected ISO-8601 or epoch milliseconds",
    ),
    (
        "bad_timestamp",
        with_raw("timestamp", "-" + "9" * 400),
        f"timestamp: -{'9' * 60}..., expected ISO-8601 or epoch milliseconds",
    ),
    ("timestamp_ancient", message(timestamp=0), "timestamp: 0 is before 631152000000"),
    (
        "timestamp_ancient",
        message(timestamp=NOW // 1000),
        "timestamp: 1700000000 is before 631152000000; epoch milliseconds are expected, not seconds",
    ),
    (
        "timestamp_ancient",
        message(timestamp="0001-01-01T00:00:00+23:59"),
        "timestamp: -62135683140000 is before 631152000000",
    ),
    (
        "timestamp_future",
        message(timestamp=NOW + 86_400_001),
        f"timestamp: {NOW + 86_400_001} is 86400001 ms after the record's arrival at {NOW}",
    ),
    (
        "timestamp_future",
        message(timestamp="9999-12-31T23:59:59.999999-23:59"),
        f"timestamp: 253402387140000 is 251702387140000 ms after the record's arrival at {NOW}",
    ),
]


@pytest.mark.parametrize(("reason", "raw", "said"), REFUSALS, ids=lambda value: value if isinstance(value, str) else "")
def test_refuses_with_a_reason_and_names_field_value_and_expectation(reason: str, raw: bytes | None, said: str) -> None:
    refusal = read(raw)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.message[: len(said)]) == (reason, said)


def test_every_reason_code_is_reached_save_those_that_only_a_plane_can_know() -> None:
    only_planes = {"bad_record_time", "wrong_partition", "no_origin", "bad_signals"}
    of_impressions, of_requests = {"bad_items"}, {"bad_floor", "bad_blocks", "bad_size"}
    assert {reason for reason, _, _ in REFUSALS} == REASONS.keys() - only_planes - of_impressions - of_requests


def test_a_long_value_is_cut_in_the_message() -> None:
    refusal = read(message(user_id=["x" * 10_000]))
    assert isinstance(refusal, Refusal)
    assert refusal.message == f"user_id: ['{'x' * 59}..., expected a non-empty text of at most 256 characters"


def test_what_needs_no_repair_is_taken_over_field_by_field() -> None:
    fields = {
        **VALID,
        "action": "cart",
        "session_id": "s",
        "price": 9.5,
        "currency": "EUR",
        "quantity": 2.0,
        "category": "tents",
        "brand": "Alm",
        "channel": "app",
        "context": {"page": "p", "placement": "home", "device": "d", "country": "c", "region": "r", "city": "x"},
        "recommendation_id": "r",
        "decision_id": "d",
        "anonymous_id": "a",
    }
    event = accepted(json.dumps(fields).encode())
    expected = Event(
        event_id="e",
        user_id="u",
        item_id="i",
        time_ms=NOW,
        kind="click",
        action="cart",
        session_id="s",
        price=9.5,
        currency="EUR",
        quantity=2.0,
        category="tents",
        brand="Alm",
        channel="app",
        context=Context("p", "home", "d", "c", "r", "x"),
        recommendation_id="r",
        decision_id="d",
        anonymous_id="a",
    )
    assert event == expected


@pytest.mark.parametrize(("kind", "action"), [("browse", "view"), ("click", "click"), ("purchase", "purchase")])
def test_the_topic_says_what_happened_unless_the_message_does(kind: EventKind, action: str) -> None:
    assert (accepted(message(), kind).kind, accepted(message(), kind).action) == (kind, action)
    assert (accepted(message(action="fav"), kind).kind, accepted(message(action="fav"), kind).action) == (kind, "fav")


@pytest.mark.parametrize(
    ("field", "value", "expected", "repairs"),
    [
        ("user_id", 7, "7", ("user_id:number_to_text",)),
        ("event_id", -1, "-1", ("event_id:number_to_text",)),
        ("item_id", 10**20, "1" + "0" * 20, ("item_id:number_to_text",)),
        ("session_id", 12, "12", ("session_id:number_to_text",)),
        ("session_id", "", None, ("session_id:dropped",)),
        ("brand", "", None, ("brand:dropped",)),
        ("brand", True, None, ("brand:dropped",)),
        ("category", ["tents"], None, ("category:dropped",)),
        ("category", "x" * 257, None, ("category:dropped",)),
        ("currency", 1.5, None, ("currency:dropped",)),
        ("price", -3, 0.0, ("price:clipped",)),
        ("price", 2e9, 1e9, ("price:clipped",)),
        ("price", 10**400, 1e9, ("price:clipped",)),
        ("price", -(10**400), 0.0, ("price:clipped",)),
        ("price", "12.50", 12.5, ("price:text_to_number",)),
        ("price", "-1", 0.0, ("price:text_to_number", "price:clipped")),
        ("price", "12,50", None, ("price:dropped",)),
        ("price", "nan", None, ("price:dropped",)),
        ("price", "inf", None, ("price:dropped",)),
        ("price", "", None, ("price:dropped",)),
        ("price", True, None, ("price:dropped",)),
        ("price", {"amount": 3}, None, ("price:dropped",)),
        ("quantity", [1], None, ("quantity:dropped",)),
        ("quantity", "3", 3.0, ("quantity:text_to_number",)),
        ("context", "home", None, ("context:dropped",)),
        ("context", [], None, ("context:dropped",)),
        ("context", {"page": ""}, Context(), ("context.page:dropped",)),
        ("context", {"page": "x" * 257, "city": "Graz"}, Context(city="Graz"), ("context.page:dropped",)),
        ("context", {"region": 5}, Context(region="5"), ("context.region:number_to_text",)),
        ("context", {"device": {"os": "x"}}, Context(), ("context.device:dropped",)),
    ],
    ids=str,
)
def test_repairs_what_can_be_repaired_and_says_so(
    field: str, value: Any, expected: Any, repairs: tuple[str, ...]
) -> None:
    event = accepted(message(**{field: value}))
    assert (getattr(event, field), event.repairs) == (expected, repairs)


@pytest.mark.parametrize("field", ["price", "quantity", "brand", "context", "session_id", "action"])
def test_null_is_the_same_as_leaving_an_optional_field_out(field: str) -> None:
    assert accepted(message(**{field: None})) == accepted(message())


def test_a_bad_action_falls_back_to_the_topics() -> None:
    event = accepted(message(action=["cart"]), "purchase")
    assert (event.action, event.repairs) == ("purchase", ("action:dropped",))


def test_repairs_are_told_in_the_order_they_were_made() -> None:
    event = accepted(message(user_id=7, timestamp="2023-11-14T22:13:20", price="-1", brand=""))
    assert event.repairs == (
        "user_id:number_to_text",
        "timestamp:utc_assumed",
        "brand:dropped",
        "price:text_to_number",
        "price:clipped",
    )


@pytest.mark.parametrize("stamp", [NOW - 3_600_000, NOW, NOW + 300_000])
def test_a_time_near_the_arrival_is_taken_as_it_is(stamp: int) -> None:
    event = accepted(message(timestamp=stamp))
    assert (event.time_ms, event.repairs) == (stamp, ())


@pytest.mark.parametrize("stamp", [NOW + 300_001, NOW + 86_400_000])
def test_a_time_somewhat_in_the_future_is_set_to_the_arrival(stamp: int) -> None:
    event = accepted(message(timestamp=stamp))
    assert (event.time_ms, event.repairs) == (NOW, ("timestamp:future_set_to_arrival",))


@pytest.mark.parametrize("stamp", [NOW - 3_600_001, 631_152_000_000])
def test_a_late_event_keeps_its_time_and_is_marked(stamp: int) -> None:
    event = accepted(message(timestamp=stamp))
    assert (event.time_ms, event.repairs) == (stamp, ("timestamp:late",))


@pytest.mark.parametrize(
    ("stamp", "expected", "repairs"),
    [
        ("2023-11-14T22:13:20Z", NOW, ()),
        ("2023-11-14T22:13:20.123456789Z", NOW + 123, ()),
        ("2023-11-14 23:13:20+01:00", NOW, ()),
        ("2023-11-14t22:13:20z", NOW, ()),
        ("20231114T221320Z", NOW, ()),
        ("2023-W46-2T22:13:20Z", NOW, ()),
        ("2023-11-14T22:13:20", NOW, ("timestamp:utc_assumed",)),
        ("2023-11-14", 1_699_920_000_000, ("timestamp:utc_assumed", "timestamp:late")),
        (float(NOW), NOW, ()),
        (NOW + 0.6, NOW + 1, ()),
    ],
)
def test_reads_every_way_to_write_a_time(stamp: object, expected: int, repairs: tuple[str, ...]) -> None:
    event = accepted(message(timestamp=stamp))
    assert (event.time_ms, event.repairs) == (expected, repairs)


@pytest.mark.parametrize(
    ("zone", "stamp"),
    [
        ("Asia/Shanghai", "2023-11-15T06:13:20"),
        ("America/New_York", "2023-11-14T17:13:20"),
        ("UTC", "2023-11-14T22:13:20"),
        ("Asia/Shanghai", "2023-11-14T22:13:20Z"),
    ],
)
def test_a_time_without_a_zone_is_in_that_of_the_settings_east_and_west_alike(zone: str, stamp: str) -> None:
    event = RecordReader(IntakeSettings(timezone=zone)).read(message(timestamp=stamp), "click", NOW)
    assert isinstance(event, Event)
    assert event.time_ms == NOW
    assert event.repairs == (() if stamp.endswith("Z") else ("timestamp:zone_of_settings",))


def test_a_time_zone_that_is_none_is_named_at_the_start() -> None:
    UsersSettings(intake=IntakeSettings(timezone="Europe/Berlin")).check()
    with pytest.raises(ConfigurationError, match=r"users\.intake\.timezone: 'Moon/Base', expected a name"):
        UsersSettings(intake=IntakeSettings(timezone="Moon/Base")).check()


def test_unknown_fields_are_kept_as_they_came() -> None:
    event = accepted(message(shelf=3, ab={"test": [1, None, "x"]}))
    assert (event.extra, event.repairs) == ({"shelf": 3, "ab": {"test": [1, None, "x"]}}, ())


def test_unknown_fields_of_the_context_are_kept_too() -> None:
    event = accepted(message(context={"page": "p", "shelf": 3}))
    assert (event.context, event.extra, event.repairs) == (Context(page="p"), {"context": {"shelf": 3}}, ())


def test_too_many_unknown_fields_are_cut_to_the_first() -> None:
    event = accepted(message(**{f"x{n}": n for n in range(MAX_EXTRA_FIELDS + 1)}))
    assert (list(event.extra), event.repairs) == ([f"x{n}" for n in range(MAX_EXTRA_FIELDS)], ("extra:cut",))


def test_unknown_fields_may_be_nested_as_deep_as_allowed() -> None:
    assert accepted(with_raw("x", nested(MAX_DEPTH - 1))).extra == {"x": json.loads(nested(MAX_DEPTH - 1))}


def test_the_verdict_on_deep_nesting_does_not_depend_on_the_callers_stack() -> None:
    def read_below(frames: int) -> Event | Refusal:
        return read(with_raw("x", nested(500))) if frames == 0 else read_below(frames - 1)

    assert read_below(0) == read_below(600)


def test_the_last_of_two_fields_with_one_name_counts() -> None:
    raw = message()[:-1] + b',"user_id":"v"}'
    assert accepted(raw).user_id == "v"


@pytest.mark.parametrize("text", ["\x00", " ", "é" * 256, "😀" * 256, 'a"b\\c', "\u2028"])
def test_any_other_text_is_an_id(text: str) -> None:
    assert accepted(message(user_id=text)).user_id == text


def test_limits_come_from_the_settings() -> None:
    intake = RecordReader(IntakeSettings(max_event_bytes=10))
    assert intake.read(message(), "click", NOW) == Refusal("too_large", "value: 77 bytes, expected at most 10")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**19, -(10**19), 10**310, -(10**310), 10**4299])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["x" * 257, "2024-01-01", "nan", "1e999", "٣", "9999-12-31T23:59:59-23:59"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from([*Event.__struct_fields__, *Context.__struct_fields__, "timestamp"]) | st.text(max_size=8)
messages = st.dictionaries(names, json_values, max_size=10).map(lambda fields: {**VALID, **fields})


def check_outcome(outcome: Event | Refusal) -> None:
    if isinstance(outcome, Refusal):
        assert outcome.reason in REASONS
        assert 0 < len(outcome.message) <= 512
    else:
        assert 0 < len(outcome.user_id.encode()) <= 1024
        assert SETTINGS.earliest_ms <= outcome.time_ms <= NOW + SETTINGS.future_tolerance_ms
        msgspec.json.encode(outcome)


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}")
def test_never_raises_for_any_bytes(raw: bytes) -> None:
    check_outcome(read(raw))


@given(json_values)
def test_never_raises_for_any_json(value: Any) -> None:
    check_outcome(read(json.dumps(value).encode()))


@given(messages)
@example({**VALID, "price": 10**310})
@example({**VALID, "rating": 10**310})
@example({**VALID, "rating": -(10**310)})
@example({**VALID, "timestamp": 10**310, "unknown": 1})
@example({**VALID, "context": {"page": "", "unknown": 10**310}})
def test_never_raises_for_anything_in_the_fields_of_an_event(fields: dict[str, Any]) -> None:
    check_outcome(read(json.dumps(fields).encode()))


@given(messages, st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_never_raises_for_a_message_that_was_damaged(fields: dict[str, Any], at: int, garbage: bytes) -> None:
    raw = json.dumps(fields, ensure_ascii=False).encode()
    check_outcome(read(raw[:at] + garbage + raw[at + len(garbage) :]))


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


ids = st.text(min_size=1, max_size=20)
amounts = st.floats(0, 1e9) | st.integers(0, 10**9)
zones = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2023, 11, 10), datetime(2023, 11, 13), timezones=zones).map(datetime.isoformat)
fractions = st.text("0123456789", min_size=1, max_size=12).map(lambda digits: f"2023-11-14t22:13:19.{digits}z")
valid_events = st.fixed_dictionaries(
    {
        "event_id": ids,
        "user_id": ids,
        "item_id": ids,
        "timestamp": st.integers(SETTINGS.earliest_ms, NOW + SETTINGS.max_future_ms) | moments | fractions,
    },
    optional={
        **dict.fromkeys(("action", "session_id", "currency", "category", "brand", "channel"), optional(ids)),
        **dict.fromkeys(("recommendation_id", "decision_id", "anonymous_id"), optional(ids)),
        **dict.fromkeys(("price", "quantity"), optional(amounts)),
        "context": optional(
            st.dictionaries(st.sampled_from(Context.__struct_fields__), optional(st.text(max_size=8)), max_size=4)
        ),
    },
)


@given(valid_events, st.sampled_from(["browse", "click", "purchase"]))
@example({**VALID, "timestamp": "2023-11-14T22:13:19.0014999999Z"}, "click")
@example({**VALID, "price": -0.0, "quantity": 10**9}, "click")
def test_the_strict_and_the_lenient_reader_agree_on_every_event_that_is_valid(
    fields: dict[str, Any], kind: EventKind
) -> None:
    raw = json.dumps(fields).encode()
    assert read(raw, kind) == INTAKE.finish(repair_event(raw, kind, NOW, SETTINGS))


@given(valid_events)
def test_an_unknown_field_changes_nothing_else(fields: dict[str, Any]) -> None:
    plain = accepted(json.dumps(fields).encode())
    with_unknown = accepted(json.dumps({**fields, "shelf": 3}).encode())
    plain.extra["shelf"] = 3
    assert with_unknown == plain


def test_the_lenient_reader_raises_what_the_intake_turns_into_a_refusal() -> None:
    with pytest.raises(Refused, match="value: empty") as caught:
        repair_event(b"", "click", NOW, SETTINGS)
    assert caught.value.reason == "empty_value"
