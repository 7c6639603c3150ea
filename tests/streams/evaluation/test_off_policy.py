"""Off-policy evaluation of Open Bandit files: what is read, what is refused, and what the command says."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from processors.common.errors import FeedbackError, NearstreamError
from streams.cli import app
from streams.datasets.open_bandit import Log, read_open_bandit
from streams.evaluation.off_policy import evaluate_policies

HEADER = ",timestamp,item_id,position,click,propensity_score,user_feature_0,user-item_affinity_0"
ROWS = 400

runner = CliRunner()


def line(number: int, item: str, **fields: str) -> str:
    stamp = f"2019-11-24 00:{number // 60 % 60:02}:{number % 60:02}.442536+00:00"
    row = {"timestamp": stamp, "item": item, "position": str(1 + number % 3), "click": "0", "propensity": "0.25"}
    return f"{number}," + ",".join({**row, **fields}.values()) + ",cef3,0.0"


def bandit_lines() -> list[str]:
    """Four items shown alike; of item 2 every other showing is clicked, of item 0 every fourth."""
    clicks = {"2": {1, 3, 5, 7}, "0": {0, 4}}
    return [
        line(n, item := str(n % 4), click=str(int(n // 4 % 8 in clicks.get(item, ())))) for n in range(ROWS)
    ]  # fmt: skip


def folder(at: Path, lines: list[str] | None = None, items: int | None = 4) -> Path:
    at.mkdir(exist_ok=True)
    (at / "men.csv").write_text("\n".join([HEADER, *(bandit_lines() if lines is None else lines), ""]))
    if items is not None:
        rows = [f"{n},{n},0.5,abc" for n in range(items)]
        (at / "item_context.csv").write_text("\n".join([",item_id,item_feature_0,item_feature_1", *rows, ""]))
    return at


def result_of(*arguments: str | Path) -> Any:
    done = runner.invoke(app, ["ope", *map(str, arguments), "--json"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def refusal_of(*arguments: str | Path) -> str:
    done = runner.invoke(app, ["ope", *map(str, arguments)], env={"COLUMNS": "250", "TERM": "dumb"})
    assert done.exit_code in (1, 2), done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_folder_in_the_open_bandit_layout_is_read(tmp_path: Path) -> None:
    log = read_open_bandit(folder(tmp_path, items=6))
    feedback = log.feedback
    assert (len(feedback), log.actions, log.rows[:3]) == (ROWS, ("0", "1", "2", "3", "4", "5"), ["0", "1", "2"])
    assert feedback.actions[:5].tolist() == [0, 1, 2, 3, 0]
    assert set(feedback.propensities.tolist()) == {0.25}
    assert feedback.positions is not None
    assert feedback.positions[:4].tolist() == [0, 1, 2, 0]


def test_items_without_a_list_of_them_are_those_of_the_log_in_their_order(tmp_path: Path) -> None:
    lines = [line(0, "10"), line(1, "9"), line(2, "10")]
    log = read_open_bandit(folder(tmp_path, lines, items=None) / "men.csv")
    assert (log.actions, log.feedback.actions.tolist()) == (("9", "10"), [1, 0, 1])


def test_rows_are_taken_in_the_order_of_time(tmp_path: Path) -> None:
    early, late = line(1, "3"), line(2, "1")
    assert read_open_bandit(folder(tmp_path, [late, early])).rows == ["1", "2"]


def test_files_may_be_compressed_and_have_columns_in_any_order(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    with gzip.open(file, "wt") as out:
        out.write("click,item_id,timestamp,propensity_score,position\n1,tent,2019-11-24T00:00:00,0.5,1\n")
    log = read_open_bandit(file)
    assert (log.actions, log.rows, log.feedback.rewards.tolist()) == (("tent",), ["0"], [1.0])


def test_policies_by_name(tmp_path: Path) -> None:
    result = result_of(
        folder(tmp_path), *(f"--policy={one}" for one in ("logged", "uniform", "fixed:2", "fixed:3", "best"))
    )
    assert (result["rows"], result["learned_from"], result["actions"]) == (ROWS // 2, ROWS // 2, 4)
    values = {one["policy"]: one["estimates"]["ips"]["value"] for one in result["policies"]}
    assert values["logged"] == pytest.approx(result["logged"])
    assert values["uniform"] == pytest.approx(values["logged"])
    assert values["fixed:2"] == values["best"] == pytest.approx(0.5, abs=0.03)
    assert values["fixed:3"] == 0.0
    assert [sorted(one["estimates"]) for one in result["policies"]] == [["dr", "ips", "replay", "snips"]] * 5
    never = result["policies"][3]["estimates"]["ips"]
    assert never["low"] == 0.0 < never["high"] < 0.1


def test_without_best_the_whole_log_counts(tmp_path: Path) -> None:
    assert result_of(folder(tmp_path), "--policy", "uniform")["rows"] == ROWS


def test_the_same_log_gives_the_same_bytes(tmp_path: Path) -> None:
    at = folder(tmp_path)
    first, again = (runner.invoke(app, ["ope", str(at), "--json"]).stdout for _ in range(2))
    assert first == again != ""


def test_a_file_of_one_distribution_is_a_policy(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("action,probability\n2,0.5\n0,0.5\n")
    (tmp_path / "mine.jsonl").write_text('{"action": 2, "probability": 0.5}\n\n{"action": "0", "probability": 0.5}\n')
    result = result_of(
        folder(tmp_path / "log"), *(f"--policy=file:{tmp_path / name}" for name in ("mine.csv", "mine.jsonl"))
    )
    one, other = result["policies"]
    assert one["estimates"] == other["estimates"]
    assert one["estimates"]["ips"]["value"] == pytest.approx((0.5 + 0.25) / 2)


def test_a_file_with_rows_is_a_policy_for_those_rows(tmp_path: Path) -> None:
    log = folder(tmp_path / "log")
    mine = tmp_path / "mine.csv"
    # Item 2 in the rows in which it was shown and clicked, as only somebody who knows the future could.
    clicked = [row.split(",")[0] for row in bandit_lines() if row.split(",")[2] == "2" and row.split(",")[4] == "1"]
    mine.write_text("row,action,probability\n" + "".join(f"{row},2,1\n" for row in clicked))
    (found,) = result_of(log, f"--policy=file:{mine}")["policies"]
    assert (found["rows"], found["estimates"]["snips"]["value"]) == (len(clicked), 1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("action,probability\n7,1\n", "line 2: action: '7', expected an action of the log"),
        ("action,probability\n1,1.5\n", "line 2: probability: '1.5', expected a number from 0 to 1"),
        ("action,probability\n1,x\n", "line 2: probability: 'x', expected a number from 0 to 1"),
        ("action,probability\n1,0.5\n2,0.4\n", "probabilities with the sum 0.9, expected 1"),
        ("row,action,probability\n5,1,0.5\n", "row 5: probabilities with the sum 0.5, expected 1"),
        ("action,probability\n1,0.5\n1,0.5\n", "line 3: action: '1', expected each action once"),
        ("action,chance\n1,1\n", "expected a column probability"),
        ("action,probability\n1\n", "line 2: line: 'more or fewer columns', expected 2 as in the header"),
    ],
)
def test_a_file_that_is_no_policy_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    mine = tmp_path / "mine.csv"
    mine.write_text(text)
    error = refusal_of(folder(tmp_path / "log"), f"--policy=file:{mine}")
    assert error.startswith(f"error: file:{mine}: ")
    assert message in error


def test_a_policy_file_that_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    log = folder(tmp_path / "log")
    assert "No such file" in refusal_of(log, f"--policy=file:{tmp_path / 'none.csv'}")
    assert "expected a name that ends with .csv" in refusal_of(log, f"--policy=file:{tmp_path / 'mine.txt'}")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (line(5, "1", propensity="0"), "propensity_score: '0', expected a number above 0 and at most 1"),
        (line(5, "1", propensity="1.01"), "propensity_score: '1.01', expected a number above 0 and at most 1"),
        (line(5, "1", propensity="nan"), "propensity_score: 'nan', expected a number above 0 and at most 1"),
        (line(5, "1", propensity="often"), "propensity_score: 'often', expected a number above 0 and at most 1"),
        (line(5, "9"), "item_id: '9', expected an item of item_context.csv"),
        (line(5, ""), "item_id: '', expected a non-empty id"),
        (line(5, "1", click="yes"), "click: 'yes', expected a number"),
        (line(5, "1", click="inf"), "click: 'inf', expected a number"),
        (line(5, "1", position="-1"), "position: '-1', expected a whole number from 0 to 999"),
        (line(5, "1", position="1.5"), "position: '1.5', expected a whole number from 0 to 999"),
        (line(5, "1", timestamp="yesterday"), "timestamp: 'yesterday', expected ISO-8601"),
        ("5,6,7", "line: '3 columns', expected 8 as in the header"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, bad: str, message: str) -> None:
    error = refusal_of(folder(tmp_path, [line(0, "1"), bad]))
    assert error.startswith(f"error: {tmp_path / 'men.csv'}, line 3: ")
    assert message in error


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    folder(tmp_path)
    file = tmp_path / "men.csv"
    file.write_text(file.read_text().replace("propensity_score", "pscore", 1))
    assert "line 1: header: " in (error := refusal_of(file))
    assert "expected a column propensity_score" in error


def test_a_file_that_ends_too_soon_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    random = np.random.default_rng(0)
    lines = [line(n, "1", propensity=str(random.random())) for n in range(2000)]
    file.write_bytes(gzip.compress("\n".join([HEADER, *lines]).encode())[:-200])
    assert "is not a whole gzip file" in refusal_of(file)


def test_text_that_is_none_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    with (tmp_path / "men.csv").open("ab") as file:
        file.write(b"9,\xff\xfe,1,1,0,0.5,a,0.0\n")
    assert f"line {ROWS + 2}: byte 2 is not UTF-8" in refusal_of(tmp_path)


def test_a_folder_must_have_one_log(tmp_path: Path) -> None:
    assert "none; expected one" in refusal_of(tmp_path)
    folder(tmp_path)
    (tmp_path / "women.csv").write_text("")
    assert "men.csv, women.csv; expected one, or name the file" in refusal_of(tmp_path)


def test_a_log_without_rows_is_refused(tmp_path: Path) -> None:
    assert "no rows" in refusal_of(folder(tmp_path, []))


def test_an_item_listed_twice_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    with (tmp_path / "item_context.csv").open("a") as file:
        file.write("4,2,0.5,abc\n")
    assert "item_context.csv, line 6: item_id: '2' for the second time" in refusal_of(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--policy", "greedy"], "'greedy', expected one of logged, uniform, best, fixed:ACTION, file:FILE"),
        (["--policy", "fixed:"], "'fixed:', expected one of"),
        (["--policy", "fixed:tent"], "fixed:tent: no action of the log is called 'tent'; there are: 0, 1, 2, 3"),
        (["--clip", "0.5"], "Invalid value for '--clip'"),
        (["--campaign", "c"], "goes with our own decisions"),
        (["--outcomes", __file__], "goes with a JSONL log"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, arguments: list[str], message: str) -> None:
    assert message in refusal_of(folder(tmp_path), *arguments)


def test_a_log_that_is_none_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal_of(tmp_path / "nowhere.csv")
    (tmp_path / "log.txt").write_text("")
    assert "expected CSV(.gz), JSONL(.gz) or a folder" in refusal_of(tmp_path / "log.txt")


def test_a_policy_that_the_log_never_follows_is_refused_by_name(tmp_path: Path) -> None:
    log = folder(tmp_path, items=5)
    assert "error: fixed:4: none of the 400 rows of the log shows what the policy would show" in refusal_of(
        log, "--policy", "fixed:4"
    )


def test_items_that_were_never_shown_are_warned_of(tmp_path: Path) -> None:
    done = runner.invoke(app, ["ope", str(folder(tmp_path, items=5)), "--policy", "uniform"])
    assert "uniform: 20.00% of what the policy does the log never did" in done.stdout
    (found,) = result_of(tmp_path, "--policy", "uniform")["policies"]
    assert (found["unseen"], found["unsupported"]) == (["4"], pytest.approx(0.2))


def test_a_table_for_people(tmp_path: Path) -> None:
    done = runner.invoke(app, ["ope", str(folder(tmp_path))], env={"COLUMNS": "100", "TERM": "dumb"})
    words = done.stdout.split()
    assert [words.count(name) for name in ("uniform", "SNIPS")] == [1, 3]
    assert "200 rows, 4 actions, as logged 0.18" in " ".join(words)
    assert "best learned from 200 rows before" in " ".join(words)


def test_help_says_what_policies_there_are() -> None:
    shown = runner.invoke(app, ["ope", "--help"], env={"COLUMNS": "80", "TERM": "dumb"}).stdout
    for word in ("logged", "uniform", "best", "fixed:ACTION", "file:FILE", "SNIPS"):
        assert word in shown
    assert " ope " in runner.invoke(app, ["--help"], env={"COLUMNS": "80", "TERM": "dumb"}).stdout


def test_a_bound_is_passed_on(tmp_path: Path) -> None:
    (found,) = result_of(folder(tmp_path), "--policy", "fixed:2", "--clip", "2")["policies"]
    assert (found["max_weight"], found["clipped"]) == (4.0, 0.5)


def test_rows_of_the_same_name_cannot_be_told_apart(tmp_path: Path) -> None:
    log = read_open_bandit(folder(tmp_path / "log"))
    mine = tmp_path / "mine.csv"
    mine.write_text("row,action,probability\n1,2,1\n")
    twice = Log(log.feedback, log.actions, ["1"] * ROWS, log.counts)
    with pytest.raises(FeedbackError, match="rows of the same name"):
        evaluate_policies(twice, (f"file:{mine}",))


def test_a_truncated_policy_is_refused(tmp_path: Path) -> None:
    log = read_open_bandit(folder(tmp_path / "log"))
    mine = tmp_path / "mine.csv.gz"
    mine.write_bytes(gzip.compress(b"action,probability\n2,1\n")[:-6])
    with pytest.raises(NearstreamError, match="is not a whole gzip file"):
        evaluate_policies(log, (f"file:{mine}",))
