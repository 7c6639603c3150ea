"""Logs of Vowpal Wabbit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.common.errors import FeedbackError
from streams.datasets.vowpal_wabbit import is_dsjson, read_dsjson
from streams.evaluation.off_policy import evaluate_policies


def line(number: int, taken: int, cost: float, **fields: Any) -> str:
    shares = {1: 0.5, 2: 0.3, 3: 0.2}
    order = sorted(shares, key=lambda action: action != taken)
    return json.dumps(
        {
            "_label_cost": cost, "_label_probability": shares[taken], "_label_Action": taken, "_labelIndex": taken - 1,
            "EventId": f"e{number}", "Timestamp": f"2020-12-08T23:25:{59 - number:02}.183Z",
            "a": order, "p": [shares[action] for action in order], "c": {"_multi": [{}, {}, {}]}, **fields,
        }
    )  # fmt: skip


def written(folder: Path, *lines: str) -> Path:
    path = folder / "vw.jsonl"
    path.write_text("".join(f"{one}\n" for one in lines))
    return path


def test_decisions_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    path = written(tmp_path, line(1, 2, 0.0), "", line(2, 1, -1.0))
    assert is_dsjson(path)
    log = read_dsjson(path)
    assert (log.actions, log.rows) == (("1", "2", "3"), ["e2", "e1"])
    assert (log.feedback.actions.tolist(), log.feedback.rewards.tolist()) == ([0, 1], [1.0, 0.0])
    assert log.feedback.propensities.tolist() == [0.5, 0.3]
    assert log.feedback.logging is not None
    assert log.feedback.logging.tolist() == [[0.5, 0.3, 0.2]] * 2


def test_the_mean_of_what_was_logged_is_the_mean_of_the_rewards(tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    rows = [line(n % 60, int(chance.integers(1, 4)), -float(n % 4 == 0)) for n in range(400)]
    result = evaluate_policies(read_dsjson(written(tmp_path, *rows)), ("logged",))
    (logged,) = result["policies"]
    assert logged["estimates"]["replay"]["value"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"p": [1.0]}, r"line 1: p: \[1.0\], expected 3 probabilities"),
        ({"p": [0.5, 0.5, 0.5]}, "line 1: p: .*, expected probabilities with the sum 1"),
        ({"_label_Action": 9}, "line 1: _label_Action: 9, expected one of the actions"),
        ({"_label_cost": "free"}, "line 1: Expected `float`, got `str`"),
        ({"Timestamp": "soon"}, "line 1: timestamp: 'soon', expected ISO-8601"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FeedbackError, match=message):
        read_dsjson(written(tmp_path, line(1, 1, 0.0, **fields)))


def test_another_file_is_none(tmp_path: Path) -> None:
    assert not is_dsjson(written(tmp_path, '{"decision_id": "d"}'))
    with pytest.raises(FeedbackError, match="no rows"):
        read_dsjson(written(tmp_path, ""))
