"""Logs for off-policy evaluation as Vowpal Wabbit writes them: dsjson, a JSON object per decision.

A line has the actions that there were (``a``), their probabilities (``p``, in the same order), the one that was taken
(``_label_Action``), what it cost (``_label_cost``; the reward is what it did not cost) and when (``Timestamp``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from processors.common.errors import FeedbackError, FieldError
from processors.evaluation.feedback import Feedback
from streams.datasets.files import ShowProgress, count_events, opened, show_nothing
from streams.datasets.open_bandit import Log
from streams.datasets.times import moment_of

_MARKS = (b'"_label_cost"', b'"_label_probability"')
_MOST_CELLS = 2 * 10**7


class _Line(
    msgspec.Struct, rename={"cost": "_label_cost", "taken": "_label_Action", "id": "EventId", "at": "Timestamp"}
):
    cost: float
    taken: int
    a: Annotated[list[int], msgspec.Meta(min_length=1, max_length=10_000)]
    p: list[float]
    id: str = ""
    at: str | None = None


class _Decision(NamedTuple):
    time_ms: int
    name: str
    taken: int
    reward: float
    actions: list[int]
    shares: list[float]


def is_dsjson(path: Path) -> bool:
    """Tell by its first line whether a file of JSON lines is a log of Vowpal Wabbit."""
    with opened(path) as file:
        first = file.readline()
    return all(mark in first for mark in _MARKS)


def read_dsjson(path: Path, show: ShowProgress = show_nothing) -> Log:
    """Read a log of Vowpal Wabbit with one slot per decision.

    Parameters
    ----------
    path
        JSON lines, gzipped or not.
    show
        Shows how far the file is read.

    Raises
    ------
    FeedbackError, EventFileError
        At the first line that makes no sense; the message names file, line, field and value.
    """
    found = sorted(_decisions(path, show), key=lambda one: one.time_ms)
    if not found:
        raise FeedbackError(f"{path}: no rows")
    names = sorted({action for one in found for action in one.actions})
    if len(names) * len(found) > _MOST_CELLS:
        raise FeedbackError(f"{path}: {len(found):,} decisions among {len(names):,} actions: too many at once")
    numbers = {name: number for number, name in enumerate(names)}
    at = np.array([row for row, one in enumerate(found) for _ in one.actions])
    of = np.array([numbers[action] for one in found for action in one.actions])
    available, logging = np.zeros((len(found), len(names)), np.bool_), np.zeros((len(found), len(names)))
    available[at, of] = True
    logging[at, of] = [share for one in found for share in one.shares]
    actions = np.array([numbers[one.taken] for one in found])
    feedback = Feedback(
        actions=actions,
        rewards=np.array([one.reward for one in found]),
        propensities=logging[np.arange(len(found)), actions],
        n_actions=len(names),
        available=available,
        logging=logging,
    )
    return Log(feedback, tuple(map(str, names)), [one.name for one in found], {"rows": len(found)})


def _decisions(path: Path, show: ShowProgress) -> Iterator[_Decision]:
    decode = msgspec.json.Decoder(_Line).decode
    with opened(path) as file:
        for number, line in show(enumerate(file, 1), count_events(path), path.name):
            if line.isspace():
                continue
            try:
                yield _decision(decode(line), number)
            except (FieldError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                raise FeedbackError(f"{path}, line {number}: {error}") from error


def _decision(line: _Line, number: int) -> _Decision:
    if len(line.p) != len(line.a):
        raise FieldError("p", line.p, f"{len(line.a)} probabilities, as many as actions")
    if line.taken not in line.a:
        raise FieldError("_label_Action", line.taken, f"one of the actions {line.a[:8]}")
    if abs(sum(line.p) - 1.0) > 1e-3 or not all(0.0 <= share <= 1.0 for share in line.p):
        raise FieldError("p", line.p, "probabilities with the sum 1")
    time_ms = 0 if line.at is None else moment_of(line.at)[0]
    return _Decision(time_ms, line.id or str(number), line.taken, 0.0 - line.cost, line.a, line.p)
