from __future__ import annotations

import gzip
import inspect
import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from processors.common.errors import ConfigurationError, NearstreamError
from processors.planes.users_settings import UsersSettings
from processors.ranking.settings import Placement, RankingSettings
from streams.cli import app
from streams.cli.evaluate import evaluate
from streams.datasets.event_files import FileEvent, read_events
from streams.engine.driver import TopologyDriver
from streams.evaluation.prequential import BATCH_EVENTS, evaluate_events
from streams.settings.sections import Settings, TopicSettings, WorkerSettings
from tests.support import event

NOW = 1_700_000_000_000
SEGMENTS = ("full", "last50", "last20")
METRICS = ("n", "hr10", "hr20", "mrr20", "ndcg10")

# Two guides visit tent, lamp, stove; then a novice starts the same walk.
WALK = [(guide, item) for guide in ("ann", "ben") for item in ("tent", "lamp", "stove")] + [("cat", "lamp")]


def stream(*touches: tuple[str, str], every_ms: int = 1000) -> list[FileEvent]:
    return [
        FileEvent("events.click.v1", user.encode(), event(n, user, item, NOW + n * every_ms), NOW + n * every_ms)
        for n, (user, item) in enumerate(touches)
    ]


def lists_of(path: Path) -> list[dict[str, Any]]:
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.splitlines()]


def lists_for(
    events: list[FileEvent], folder: Path, settings: Settings | None = None, batch_events: int = 1
) -> list[dict[str, Any]]:
    evaluate_events(events, settings, folder / "lists.jsonl", batch_events=batch_events)
    return lists_of(folder / "lists.jsonl")


def test_each_event_is_foreseen_from_the_events_before_it_only(tmp_path: Path) -> None:
    shown = lists_for(stream(*WALK), tmp_path)
    assert [line["all"] for line in shown[:4]] == [[], ["tent"], ["lamp", "tent"], shown[3]["all"]]
    assert sorted(shown[3]["all"]) == ["lamp", "stove", "tent"]


def test_lists_know_nothing_of_their_own_micro_batch_and_all_that_their_user_did(tmp_path: Path) -> None:
    events = stream(("ann", "tent"), ("ben", "lamp"), ("ann", "stove"), ("ben", "mat"), ("cat", "axe"))
    shown = [sorted(line["all"]) for line in lists_for(events, tmp_path, batch_events=16)]
    before = ["lamp", "tent"]
    assert shown == [[], [], before, before, before]
    minutes = [msgspec.structs.replace(one, time_ms=NOW + n * 61_000) for n, one in enumerate(events)]
    assert [len(line["all"]) for line in lists_for(minutes, tmp_path, batch_events=16)] == [0, 1, 2, 3, 4]


def test_first_time_lists_leave_out_what_was_touched_and_repeats_have_none(tmp_path: Path) -> None:
    shown = lists_for(stream(*WALK, ("cat", "lamp"), ("cat", "stove")), tmp_path)
    repeat, onward = shown[-2:]
    assert repeat["new"] is None
    assert sorted(repeat["all"]) == sorted(onward["all"]) == ["lamp", "stove", "tent"]
    assert sorted(onward["new"]) == ["stove", "tent"]


def test_a_small_stream_gives_the_figures_computed_by_hand() -> None:
    result = evaluate_events(
        stream(("ann", "tent"), ("ann", "lamp"), ("ben", "tent"), ("ben", "lamp"), ("ben", "tent"))
    )
    # Unseen, unseen, one of two equally popular items, the only other item, known: two places from the last click.
    every, first = result["full"]["all"], result["full"]["new"]
    assert (result["events"], every["n"], first["n"]) == (5, 5, 4)
    assert every["hr20"] == every["ceiling"] == 0.6
    assert first["hr20"] == first["ceiling"] == 0.5
    assert result["last20"]["all"]["mrr20"] == 0.5
    assert result["last20"]["all"]["ndcg10"] == pytest.approx(0.63093, abs=1e-5)
    assert result["last20"]["new"] == {"n": 0}


def test_impressions_are_learned_and_not_judged(tmp_path: Path) -> None:
    walk = stream(*WALK, ("cat", "lamp"))
    seen = [
        FileEvent(
            "events.impression.v1",
            b"cat",
            msgspec.json.encode(
                {"event_id": f"s{n}", "user_id": "cat", "timestamp": NOW + 6500 + n, "items": ["stove"]}
            ),
            NOW + 6500 + n,
        )
        for n in range(200)
    ]
    tiring = Settings(users=UsersSettings(ranking=RankingSettings(fatigue=2.0)))
    *_, rested = lists_for(walk, tmp_path, tiring)
    lists = lists_for([*walk[:-1], *seen, walk[-1]], tmp_path, tiring)
    assert len(lists) == len(walk)
    assert rested["all"][0] == "stove"
    assert lists[-1]["all"][0] != "stove"


def test_items_follow_as_time_passes_although_no_event_comes(tmp_path: Path) -> None:
    """The items plane flushes at most once per interval: what waits for it is there when the interval is over."""
    settings = Settings(worker=WorkerSettings(broadcast_interval_ms=1000))
    *early, third = stream(("ann", "tent"), ("ben", "lamp"), ("cat", "stove"), every_ms=1)
    soon = lists_for([*early, third], tmp_path, settings)
    later = lists_for([*early, msgspec.structs.replace(third, time_ms=NOW + 1000)], tmp_path, settings)
    assert soon[2]["all"] == ["tent"]
    assert sorted(later[2]["all"]) == ["lamp", "tent"]


def test_lists_are_what_a_publishing_system_would_show(tmp_path: Path) -> None:
    events = stream(*WALK, ("cat", "stove"), ("ann", "tent"))
    driver = TopologyDriver(Settings(topics=TopicSettings(partitions=1)))
    for line, asked in zip(lists_for(events, tmp_path), events, strict=True):
        driver.advance(asked.time_ms)
        home, discover = ([item.item_id for item in slate] for slate in driver.recommend(asked.key.decode()))
        assert line["all"] == home
        assert line["new"] in (None, discover)
        driver.pipe(asked.topic, asked.key, asked.value, asked.time_ms)


def test_a_driver_that_does_not_publish_learns_and_answers_all_the_same() -> None:
    loud, quiet = TopologyDriver(), TopologyDriver(publish=False)
    for driver in (loud, quiet):
        for touch in stream(*WALK):
            driver.pipe(touch.topic, touch.key, touch.value, touch.time_ms)
    assert (len(loud.read("recommendations.v1")), quiet.read("recommendations.v1")) == (2 * len(WALK), [])
    assert [quiet.state(plane) for plane in ("users", "items")] == [loud.state(plane) for plane in ("users", "items")]
    assert quiet.recommend("cat") == loud.recommend("cat")


def test_lists_are_compressed_if_the_name_says_so(tmp_path: Path) -> None:
    for name in ("lists.jsonl", "lists.jsonl.gz"):
        evaluate_events(stream(*WALK), lists=tmp_path / name)
    assert lists_of(tmp_path / "lists.jsonl.gz") == lists_of(tmp_path / "lists.jsonl")


def test_refused_events_are_counted_and_judged_but_not_learned(tmp_path: Path) -> None:
    bad = FileEvent("events.click.v1", b"ann", event("x", "ann", "i" * 300, NOW), NOW)
    result = evaluate_events([bad, *stream(*WALK)], lists=tmp_path / "lists.jsonl")
    assert (result["refused"], result["events"]) == (1, len(WALK) + 1)
    assert all("i" * 300 not in line["all"] for line in lists_of(tmp_path / "lists.jsonl"))


def test_an_event_out_of_order_is_taken_at_the_latest_time_met() -> None:
    events = stream(*WALK)
    assert evaluate_events([events[1], events[0], *events[2:]])["refused"] == 0


def test_variants_are_judged_by_the_placements_meant_for_them(tmp_path: Path) -> None:
    placements = (Placement("fresh", only_new=True, size=1), Placement("home", size=3))
    settings = Settings(users=UsersSettings(ranking=RankingSettings(placements=placements)))
    last = lists_for(stream(*WALK, ("cat", "stove")), tmp_path, settings)[-1]
    assert (len(last["all"]), len(last["new"])) == (3, 1)
    assert "lamp" in last["all"]
    assert "lamp" not in last["new"]


@pytest.mark.parametrize("only_new", [False, True])
def test_settings_without_a_placement_for_a_variant_are_refused(only_new: bool) -> None:
    ranking = RankingSettings(placements=(Placement("only", only_new=only_new),))
    with pytest.raises(ConfigurationError, match=f"only_new = {str(not only_new).lower()}"):
        evaluate_events([], Settings(users=UsersSettings(ranking=ranking)))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for name in ("lists.jsonl", "lists.jsonl.gz"):
        with pytest.raises(NearstreamError, match=f"nowhere/{name} cannot be written"):
            evaluate_events([], lists=tmp_path / "nowhere" / name)


def test_figures_agree_with_the_shared_scorer_on_real_events(shared_data: Path, tmp_path: Path) -> None:
    file, scorer = shared_data / "yoochoose.csv.gz", shared_data.parent / "eval" / "evaluate.py"
    for needed in (file, scorer):
        if not needed.is_file():
            pytest.skip(f"no {needed}")
    lists = tmp_path / "lists.jsonl.gz"
    ours = evaluate_events(read_events(file, 5000), lists=lists)
    theirs = _shared_scorer(scorer, file, lists, 5000)
    assert ours["events"] == theirs["events"] == 5000
    assert ours["full"]["all"]["ceiling"] == pytest.approx(theirs["ceiling_all"])
    assert ours["full"]["new"]["ceiling"] == pytest.approx(theirs["ceiling_new"])
    for segment in SEGMENTS:
        for variant in ("all", "new"):
            expected = {metric: theirs[segment][variant][metric] for metric in METRICS}
            assert expected["hr20"] > 0.1
            assert {metric: ours[segment][variant][metric] for metric in METRICS} == pytest.approx(expected, abs=5e-4)


def _shared_scorer(scorer: Path, file: Path, lists: Path, limit: int) -> dict[str, Any]:
    out = lists.parent / "scored"
    options = {"--data": file, "--lists": lists, "--limit": limit, "--out": out}
    command = [sys.executable, scorer, *chain.from_iterable(options.items())]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(list(map(str, command)), check=True, env=environment, stdout=subprocess.DEVNULL)
    (found,) = out.glob("*.json")
    result: dict[str, Any] = json.loads(found.read_text())
    return result


def events_file(folder: Path) -> Path:
    rows = [f"{user},{item},view,{NOW // 1000 + n}" for n, (user, item) in enumerate(WALK)]
    path = folder / "walk.csv"
    path.write_text("\n".join(["user_id,item_id,event_type,timestamp", *rows, ""]))
    return path


def test_the_command_prints_one_json_line_and_writes_the_lists(tmp_path: Path) -> None:
    lists = tmp_path / "lists.jsonl"
    file = events_file(tmp_path)
    ran = CliRunner().invoke(app, ["evaluate", str(file), "--json", "--lists", str(lists), "--limit", "5"])
    (line,) = ran.stdout.splitlines()
    result = msgspec.json.decode(line)
    assert (result["events"], len(lists_of(lists)), ran.exit_code) == (5, 5, 0)
    assert result["last50"] == evaluate_events(read_events(file, 5))["last50"]
    assert inspect.signature(evaluate).parameters["batch"].default == BATCH_EVENTS


def test_the_command_shows_a_table_to_people(tmp_path: Path) -> None:
    file = events_file(tmp_path)
    ran = CliRunner().invoke(app, ["evaluate", str(file)])
    assert f"walk.csv: {len(WALK)} events" in ran.stdout
    rows = [line.strip().split("  ") for line in ran.stdout.splitlines()]
    figures = evaluate_events(read_events(file))["last20"]["new"]
    cells = [f"{figures[name]:.3f}" for name in ("hr10", "hr20", "mrr20", "ndcg10", "ceiling")]
    assert ["last fifth", "first-time", "2", *cells] in [[cell.strip() for cell in row if cell] for row in rows]


def test_the_command_takes_the_settings_of_the_global_option(tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[[users.ranking.placements]]\nname = "home"\n')
    ran = CliRunner().invoke(app, ["evaluate", str(events_file(tmp_path)), "--settings", str(settings)])
    assert ran.exit_code == 2
    assert "only_new = true" in ran.stderr


def test_the_command_does_not_write_its_lists_over_the_events(tmp_path: Path) -> None:
    file = events_file(tmp_path)
    before = file.read_bytes()
    assert CliRunner().invoke(app, ["evaluate", str(file), "--lists", str(file)]).exit_code == 2
    assert file.read_bytes() == before
