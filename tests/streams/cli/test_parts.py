"""The parts of the tools: what they send and when, what they show, and what the doctor sees."""

import io
import json
import threading
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import CoordinatorNotAvailableError, NotCoordinatorError
from rich.console import Console

from processors.events.record import Record
from processors.events.repair import IntakeSettings
from processors.ranking.messages import CausedBy, Recommendation
from processors.ranking.reasons import Reason
from processors.ranking.slate import SlateItem
from streams.cli import doctor_checks
from streams.cli.doctor_checks import Check, check_state_directory, check_transactions, check_worker, run_checks
from streams.cli.event_preparation import Outgoing, Preparer, Refused
from streams.cli.records import print_record, record_fields
from streams.cli.replayer import pace_of
from streams.cli.tail import is_of_user
from streams.settings.sections import KafkaSettings, Settings, WorkerSettings

# What is sent


def prepared(line: bytes, topic: str | None = None, *, raw: bool = False) -> Outgoing | Refused:
    return Preparer(IntakeSettings(), topic, raw).line(line, 7)


def test_an_impression_names_one_item_or_several() -> None:
    line = b'{"type": "impression", "user_id": "u", "items": ["a", "b"], "event_id": "e", "timestamp": 1700000000000}'
    several = Preparer(IntakeSettings()).line(line, 1)
    one = Preparer(IntakeSettings()).event({"user_id": "u", "item_id": "a"}, "impression")
    assert isinstance(several, Outgoing)
    assert isinstance(one, Outgoing)
    assert (several.topic, several.user_id, several.event_id) == ("events.impression.v1", "u", "e")
    assert (one.topic, one.repairs) == ("events.impression.v1", ())
    none = Preparer(IntakeSettings()).event({"user_id": "u"}, "impression")
    assert isinstance(none, Refused)
    assert none.why.startswith("missing_field: items: missing, expected a list of 1 to 100 item ids")


def test_event_id_and_time_are_filled_in() -> None:
    event = prepared(b'{"type": "cart", "user_id": "u", "item_id": "i"}')
    assert isinstance(event, Outgoing)
    assert json.loads(event.value).keys() == {"event_id", "timestamp", "user_id", "item_id", "action"}


def test_what_is_given_stays() -> None:
    fields = {"event_id": "e", "timestamp": 1_700_000_000_000, "user_id": "u", "item_id": "i"}
    event = prepared(json.dumps(fields).encode(), "events.click.v1")
    assert isinstance(event, Outgoing)
    assert json.loads(event.value) == fields


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            b'{"type": "click", "user_id": "u"}',
            "missing_field: item_id: missing, expected a non-empty text of at most 256",
        ),
        (
            b'{"type": "view", "user_id": "u", "item_id": "i", "timestamp": "x"}',
            "bad_timestamp: timestamp: 'x', expected",
        ),
        (b'{"user_id": "u", "item_id": "i"}', "event_type: missing, expected one of browse, view, rate, click"),
        (b"[]", "not_an_object: a JSON object is expected"),
        (b"{", "not_json: Input data was truncated"),
    ],
)
def test_what_a_worker_would_refuse_is_refused_with_the_reason(line: bytes, why: str) -> None:
    refused = prepared(line)
    assert isinstance(refused, Refused)
    assert (refused.why[: len(why)], refused.where) == (why, "line 7: ")


@pytest.mark.parametrize("line", [b"{not json", b"[1]", b"\xff\xfe", b'{"price": "NaN"}'])
def test_raw_lines_stay_as_they_are(line: bytes) -> None:
    assert prepared(line, "events.click.v1", raw=True) == Outgoing(
        "events.click.v1", None, None, line, where="line 7: "
    )


def test_a_raw_line_needs_a_topic() -> None:
    assert isinstance(prepared(b"{not json", raw=True), Refused)


# When it is sent


@given(
    times=st.lists(st.integers(0, 10**9), min_size=1, max_size=20).map(sorted),
    speed=st.one_of(st.just(0.0), st.floats(0.01, 1000)),
)
def test_shifted_events_are_never_ahead_of_the_clock(times: list[int], speed: float) -> None:
    now = 1_700_000_000_000
    pace = pace_of(times[0], times[-1], speed, now)
    assert all(time + pace.shift_ms <= now + 1000 * pace.due_s(time) + 1 for time in times)


@given(span=st.integers(0, 10**9), speed=st.floats(1, 1000))
def test_the_last_shifted_event_is_sent_at_its_time(span: int, speed: float) -> None:
    now = 1_700_000_000_000
    pace = pace_of(5, 5 + span, speed, now)
    assert 5 + span + pace.shift_ms == pytest.approx(now + 1000 * pace.due_s(5 + span), abs=1)


# What is shown


def shown(record: Record, width: int = 100) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        print_record(record, console)
    return [line.strip() for line in captured.get().splitlines()]


def test_a_recommendation_is_shown_with_its_reasons() -> None:
    message = Recommendation(
        recommendation_id="r",
        user_id="u1",
        placement="home",
        generated_at="2023-11-14T22:13:20.123Z",
        caused_by=CausedBy("e9", "events.click.v1", 2, 17),
        model_version="m",
        items=[SlateItem("lamp-7", 1, 0.5, "covisitation", (Reason("viewed", "tent-1", "because you viewed tent-1"),))],
    )
    record = Record("recommendations.v1", 0, 3, 1_700_000_000_123, b"u1", msgspec.json.encode(message))
    lines = shown(record)
    assert lines[0] == "u1  home  2023-11-14T22:13:20.123Z"
    assert [cell.strip() for cell in lines[4].strip("│").split("│")] == [
        "1",
        "lamp-7",
        "0.500",
        "covisitation",
        "because you viewed tent-1",
    ]
    assert lines[-1] == "after event e9 at events.click.v1/2/17"
    assert (shown(record, 30)[0], shown(record, 30)[-1]) == (lines[0], lines[-1])


def test_ids_are_folded_and_not_cut() -> None:
    name = "a-lamp-with-a-very-long-name-" * 3
    message = Recommendation(
        recommendation_id="r",
        user_id="u1",
        placement="home",
        generated_at="2023-11-14T22:13:20.123Z",
        caused_by=CausedBy("e9", "events.click.v1", 2, 17),
        model_version="m",
        items=[SlateItem(name, 1, 0.5, "covisitation", (Reason("viewed", "tent-1", "because you viewed tent-1"),))],
    )
    record = Record("recommendations.v1", 0, 3, 1_700_000_000_123, b"u1", msgspec.json.encode(message))
    cells = [line.split("│")[2].strip() for line in shown(record, 80) if line.startswith("│")]
    assert "".join(cells) == name


def test_json_is_not_broken_within_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a word " * 60
    record = Record("dead-letters.v1", 1, 3, 5, b"u", json.dumps({"why": text}).encode())
    assert any(f'"why": "{text}"' in line for line in shown(record, 80))
    print_record(record)
    head, body = capsys.readouterr().out.split("\n", 1)
    assert head == "1970-01-01T00:00:00.005+00:00  dead-letters.v1 partition 1 offset 3"
    assert json.loads(body) == {"key": "u", "value": {"why": text}}


def test_an_empty_answer_says_why() -> None:
    message = Recommendation(
        recommendation_id="r",
        user_id="u1",
        placement="nowhere",
        generated_at="2023-11-14T22:13:20.123Z",
        caused_by=CausedBy("r9", "recommendations.requests.v1", 2, 17),
        model_version="m",
        items=[],
        why="placement: 'nowhere', expected one of home, discover",
    )
    record = Record("recommendations.v1", 0, 3, 1_700_000_000_123, b"u1/nowhere", msgspec.json.encode(message))
    assert shown(record)[1] == "nothing: placement: 'nowhere', expected one of home, discover"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (b"ada", b"", True),
        (b"ada/related", b'{"user_id":"ada"}', True),
        (b"ada/related", b'{"user_id":"ada/related"}', False),
        (b"ada/related", None, False),
        (b"adam", b'{"user_id":"adam"}', False),
        (None, b"{}", False),
    ],
)
def test_a_user_is_followed_at_every_placement(key: bytes | None, value: bytes | None, expected: bool) -> None:
    assert is_of_user(Record("recommendations.v1", 0, 3, 1, key, value), b"ada") is expected


def test_a_recommendation_that_cannot_be_read_is_shown_as_json() -> None:
    record = Record("recommendations.v1", 0, 3, 1_700_000_000_123, b"u1", b'{"items": 1}')
    assert shown(record)[0] == "2023-11-14T22:13:20.123+00:00  recommendations.v1 partition 0 offset 3"


def test_a_dead_letter_has_its_headers_in_json() -> None:
    record = Record("dead-letters.v1", 1, 3, 5, None, b"{oops", (("__streams.errors.exception", b"not_json"),))
    assert record_fields(record) == {
        "topic": "dead-letters.v1",
        "partition": 1,
        "offset": 3,
        "timestamp": 5,
        "key": None,
        "value_base64": "e29vcHM=",
        "headers": {"__streams.errors.exception": "not_json"},
    }


# What the doctor sees


Usage = namedtuple("Usage", "total used free")


def test_a_state_directory_that_cannot_be_made_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    check = check_state_directory(Settings(worker=WorkerSettings(state_dir=str(tmp_path / "file" / "state"))))
    assert (check.status, check.message) == ("fail", f"{tmp_path}/file/state cannot be written: Not a directory")


@pytest.mark.parametrize(("free", "status"), [(2**31, "ok"), (2**29, "warn"), (2**26, "fail")])
def test_little_space_for_state_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(2**40, 2**40 - free, free))
    assert check_state_directory(Settings(worker=WorkerSettings(state_dir=str(tmp_path)))).status == status


@pytest.fixture
def readyz() -> Iterator[HTTPServer]:
    """A worker's /readyz: ready unless the server's ``problems`` are set."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            problems = getattr(self.server, "problems", {})
            self.send_response(503 if problems else 200)
            self.end_headers()
            self.wfile.write(json.dumps({"ok": not problems, "problems": problems}).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def worker_at(server: HTTPServer) -> Settings:
    return Settings(kafka=KafkaSettings(), worker=WorkerSettings(web_port=server.server_port))


def test_a_ready_worker_is_ok(readyz: HTTPServer) -> None:
    address = f"http://127.0.0.1:{readyz.server_port}/readyz"
    assert check_worker(worker_at(readyz)) == Check("worker", "ok", f"{address} says it is ready")


def test_a_worker_that_is_not_ready_says_why(readyz: HTTPServer) -> None:
    readyz.problems = {"users/0": "restoring"}  # type: ignore[attr-defined]
    check = check_worker(worker_at(readyz))
    assert (check.status, check.message.partition("/readyz: ")[2]) == ("warn", "users/0: restoring")


def test_a_worker_that_is_not_there_is_a_warning() -> None:
    check = check_worker(Settings(worker=WorkerSettings(web_port=1)))
    assert (check.status, check.message) == ("warn", "http://127.0.0.1:1/readyz: Connection refused")


def test_transactions_are_not_tried_where_they_are_not_used() -> None:
    settings = Settings(worker=WorkerSettings(processing_guarantee="at_least_once"))
    expected = Check("transactions", "ok", "not used: worker.processing_guarantee is at_least_once")
    assert check_transactions(settings) == expected


def test_offsets_of_a_group_are_asked_for_again_while_its_coordinator_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Admin:
        def __init__(self) -> None:
            self.errors = [CoordinatorNotAvailableError(), NotCoordinatorError()]

        def list_group_offsets(self, group: str) -> dict[str, dict[Any, Any]]:
            if self.errors:
                raise self.errors.pop()
            return {group: {TopicPartition("t", 1): SimpleNamespace(offset=7)}}

    monkeypatch.setattr(doctor_checks, "sleep", lambda _: None)
    assert doctor_checks._committed(Admin(), "nearstream") == {("t", 1): 7}


def test_where_nobody_answers_it_says_how_to_have_brokers(tmp_path: Path) -> None:
    kafka = KafkaSettings(brokers="127.0.0.1:1")
    settings = Settings(kafka=kafka, worker=WorkerSettings(state_dir=str(tmp_path)))
    first = next(iter(run_checks(settings)))
    assert (first.name, first.status) == ("brokers", "fail")
    assert "does not answer" in first.message
    assert ".." not in first.message.replace("...", "")
    assert first.advice.startswith("docker compose up -d kafka")
