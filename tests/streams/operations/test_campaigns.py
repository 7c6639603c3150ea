"""Campaigns from files to a running worker, and what an operator sees of them."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from processors.common.errors import NearstreamError
from processors.common.hashing import partition_of
from streams.cli import app
from streams.operations.campaign_files import read_file
from streams.operations.campaigns import doubts_in
from streams.settings.sections import Settings
from tests.processors.ads.shop import campaign
from tests.support import WorkerProcess, event, fresh_settings, produce_batch, read_topic

TABLE = """
["spring/tents"]
advertiser = "Aster"
bid = 4.0
budget = 500.0
starts_at = 2024-01-01T00:00:00Z
[["spring/tents".creatives]]
crid = "a"
title = "Tents for spring"
landing_url = "https://shop.example/tents"
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("budget_daily = nan", r"spring/tents.budget_daily: nan, expected a finite number"),
        ("frequency = {per_day = -inf}", r"spring/tents.frequency.per_day: -inf, expected a finite number"),
        (f"name = {'[' * 5000}{']' * 5000}", r"maximum recursion depth exceeded"),
        (f"name = {'9' * 5000}", r"a\.toml: Exceeds the limit"),
    ],
)
def test_a_table_with_what_json_cannot_say_is_refused(tmp_path: Path, line: str, said: str) -> None:
    """As null it would be a campaign without that limit."""
    path = tmp_path / "a.toml"
    path.write_text(TABLE.replace("bid = 4.0", f"bid = 4.0\n{line}"))
    with pytest.raises(NearstreamError, match=said):
        read_file(path, "EUR")


def test_a_table_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(TABLE, "utf-8-sig")
    assert list(read_file(path, "EUR")) == ["spring/tents"]


def test_a_table_and_a_line_say_the_same(tmp_path: Path) -> None:
    table, lines = tmp_path / "a.toml", tmp_path / "a.jsonl"
    table.write_text(TABLE)
    (cid, raw), *_ = read_file(table, "EUR").items()
    lines.write_text(json.dumps({"cid": cid, **json.loads(raw)}) + "\n\n")
    assert read_file(lines, "EUR") == {"spring/tents": raw}


@pytest.mark.parametrize("indent", [None, 2])
def test_json_may_be_one_object_or_an_array_over_several_lines(tmp_path: Path, indent: int | None) -> None:
    one, several, lines = tmp_path / "one.json", tmp_path / "several.json", tmp_path / "lines.jsonl"
    spring, summer = campaign(cid="spring"), campaign(cid="summer", bid=2.0)
    one.write_text(json.dumps(spring, indent=indent) + "\n")
    several.write_text(json.dumps([spring, summer], indent=indent))
    lines.write_text(f"{json.dumps(spring)}\n{json.dumps(summer)}\n")
    assert list(read_file(one, "EUR")) == ["spring"]
    assert read_file(several, "EUR") == read_file(lines, "EUR")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", "", "no campaign in it"),
        ("a.toml", "x = 1", "x is no table"),
        ("a.toml", "x = ", "a.toml: "),
        ("a.toml", TABLE.replace("500.0", "-1"), "[spring/tents]: value: "),
        ("a.toml", 'currency = "USD"\n', "currency is no table"),
        ("a.toml", TABLE.replace("bid = 4.0", 'model = "cpx"'), "`$.model`, expected one of cpa, cpc, cpm"),
        ("a.jsonl", "{", "line 1: "),
        ("a.jsonl", json.dumps(campaign()), 'line 1: cid: missing, add "cid": "..."'),
        ("a.json", json.dumps([campaign(cid="c"), campaign()]), 'entry 2: cid: missing, add "cid": "..."'),
        ("a.json", "\n" + json.dumps(campaign(cid=7), indent=2), "line 2: cid: 7, expected a text"),
        ("a.json", "[1]", "entry 1: expected an object with the fields of a campaign"),
        ("a.json", '{\n "cid": "c",\n "bid": ,\n}', "line 3: JSON is malformed"),
        ("a.json", '{\n "cid": "c",\n', "line 2: Input data was truncated"),
        ("a.jsonl", json.dumps(campaign(cid="c")) + "\n{", "line 2: Input data was truncated"),
        ("a.jsonl", json.dumps({"cid": "c", **campaign(currency="USD")}), "expected EUR (money.currency)"),
        ("a.jsonl", "\n".join([json.dumps({"cid": "c", **campaign()})] * 2), "line 2: 'c' is in the file twice"),
    ],
)
def test_a_file_that_makes_no_sense_says_where(tmp_path: Path, name: str, text: str, said: str) -> None:
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(NearstreamError) as caught:
        read_file(file, "EUR")
    assert said in str(caught.value)


def test_what_is_told_when_campaigns_are_loaded(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    over = campaign(ends_at="2024-02-01T00:00:00Z", target={"countries": ["Narnia"]})
    lines = ({"cid": "over", **over}, {"cid": "fine", **campaign()})
    file.write_text("\n".join(map(json.dumps, lines)))
    found = doubts_in(Settings(), None, read_file(file, "EUR"))  # no item is named
    assert list(found) == ["over"]
    assert found["over"][0] == "ends_at: it is over already, and is shown to nobody"
    assert found["over"][1].startswith("target.countries: no country has the code Narnia")


def wait_for(kafka: str, topic: str, seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while not (found := [record for log in read_topic(kafka, topic) for record in log]):
        assert time.monotonic() < deadline, f"nothing on {topic}"
        time.sleep(0.3)
    fields: dict[str, Any] = json.loads(found[-1].value)
    return fields


def look_at_ada(kafka: str, lists: Path) -> None:
    """See what is known of a user, upload the lists that the user is on, and see what would be shown."""

    def run(*args: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["--brokers", kafka, *args])
        assert result.exit_code == code, result.output
        return result.output

    known = json.loads(run("profile", "ada", "--json"))
    assert (known["user_id"], known["events"]) == ("ada", 2)
    words = run("profile", "ada")
    assert "ada: 2 events in 1 sessions" in words
    assert "tent (view)" in words
    assert "is not known" in run("profile", "nobody", code=1)
    lists.write_text("user_id,audience\nada,vip\nada,newsletter\n")
    assert json.loads(run("send", "audiences", str(lists), "--json"))["sent"] == 1
    deadline = time.monotonic() + 30
    while json.loads(run("profile", "ada", "--json")).get("lists") != ["newsletter", "vip"]:
        assert time.monotonic() < deadline, "the worker has not taken the upload over"
    shown = json.loads(run("recommend", "ada", "--placement", "home", "--json"))
    assert list(shown["placements"]) == ["home"]
    assert "home" in run("recommend", "nobody")
    assert "expected one of home, discover" in run("recommend", "ada", "--placement", "moon", code=1)


@pytest.mark.kafka
def test_campaigns_are_loaded_listed_paused_and_withdrawn(kafka: str, tmp_path: Path) -> None:
    settings = fresh_settings(kafka, tmp_path / "state")
    file = tmp_path / "spring.toml"
    file.write_text(TABLE)

    def run(*args: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["--brokers", kafka, "campaigns", *args])
        assert result.exit_code == code, result.output
        return result.output

    def listed(wanted: str, seconds: float = 30) -> str:
        deadline = time.monotonic() + seconds
        while wanted not in (shown := run("list")):
            assert time.monotonic() < deadline, shown
            time.sleep(0.3)
        return shown

    with WorkerProcess(settings, tmp_path / "worker.log") as worker:
        worker.wait_ready()
        home = partition_of("tent", settings.topics.partitions)
        produce_batch(kafka, "catalog.items.v1", home, [(b"tent", b'{"item_id":"tent"}', ())])
        assert "no campaign is known" in run("list")
        assert "loaded 1: spring/tents" in run("load", str(file))
        assert "doubtful" not in listed("spring/tents")
        promoting = tmp_path / "promoting.toml"
        promoting.write_text(TABLE + 'item_id = "no-such-tent"\n')
        doubt = "creative a: the catalogue lacks no-such-tent, which it promotes"
        run("load", str(promoting))
        listed(f"doubtful: {doubt}")
        assert f"warning: spring/tents: {doubt}" in run("load", str(promoting))
        assert "loaded 1: spring/tents" in run("load", str(file))
        assert "500.00" in listed("spring/tents")
        assert json.loads(run("list", "--json"))["budget"] == 500.0
        run("pause", "spring/tents")
        listed("paused")
        run("pause", "spring/tents", "--off")
        listed("0.100")
        assert "there are: spring/tents" in run("pause", "nothing", code=1)
        at = int(time.time() * 1000)
        shown = event("w1", "ada", "tent", at, context={"placement": "top"})
        partition = partition_of("ada", settings.topics.partitions)
        produce_batch(kafka, "events.browse.v1", partition, [(b"ada", shown, ())])
        produce_batch(kafka, "events.browse.v1", partition, [(b"ada", shown.replace(b"ew1", b"ew2"), ())])
        decision = wait_for(kafka, "ad-decisions.v1")
        why = CliRunner().invoke(app, ["--brokers", kafka, "why", decision["decision_id"]])
        assert "ada at top" in why.output
        slate = wait_for(kafka, "recommendations.v1")
        why = CliRunner().invoke(app, ["--brokers", kafka, "why", slate["recommendation_id"], "--json"])
        assert json.loads(why.output) == slate
        for unknown in ("nonsense", "events.browse.v1/0/999999/ad"):
            assert CliRunner().invoke(app, ["--brokers", kafka, "why", unknown]).exit_code == 1
        look_at_ada(kafka, tmp_path / "lists.csv")
        assert "spring/tents" in run("report")
        assert json.loads(run("report", "--json"))["eligible"] >= 1
        names, *rows = run("report", "--by", "day", "--csv").splitlines()
        assert names.startswith("cid,day,creative,placement,eligible")
        assert rows[0].startswith("spring/tents,20")
        assert "expected some of campaign, day" in run("report", "--by", "moon", code=2)
        run("withdraw", "spring/tents")
        listed("no campaign is known")
        assert worker.stop() == 0
