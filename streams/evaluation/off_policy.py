"""Policies by their names and files, evaluated on a log.

A policy's file is CSV with a header or JSON lines, gzipped or not, with the fields ``action``, ``probability`` and, if
the probabilities are not the same in every row, ``row``: the name of the log's row (of a decision its id, in an Open
Bandit file what stands in the first column). Rows that it does not name are left out; the probabilities of each that it
names sum to 1.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from processors.common.arrays import Floats
from processors.common.errors import FeedbackError
from processors.evaluation.feedback import Feedback
from processors.evaluation.off_policy import Evaluation, OpeSettings, as_logged, evaluate
from processors.evaluation.policies import best, everywhere, fixed, uniform
from streams.datasets.event_files import FORMATS, FieldError, count_events, opened
from streams.datasets.open_bandit import Log, Watch, unwatched

POLICIES = ("logged", "uniform", "best", "fixed:ACTION", "file:FILE")
"""What a policy may be called."""

DEFAULT = ("logged", "uniform", "best")


def check_names(names: tuple[str, ...]) -> None:
    """Make sure that there are such policies.

    Raises
    ------
    ValueError
        If there is one of another name.

    Examples
    --------
    >>> check_names(("logged", "fixed:"))
    Traceback (most recent call last):
    ...
    ValueError: 'fixed:', expected one of logged, uniform, best, fixed:ACTION, file:FILE
    """
    for name in names:
        kind, separator, value = name.partition(":")
        if name not in DEFAULT and not (kind in ("fixed", "file") and separator and value):
            raise ValueError(f"{name!r}, expected one of {', '.join(POLICIES)}")


def evaluate_policies(
    log: Log, names: tuple[str, ...] = DEFAULT, settings: OpeSettings | None = None, watch: Watch = unwatched
) -> dict[str, Any]:
    """What each policy would have earned, as JSON can hold it.

    With ``best`` among them, all are evaluated on the part of the log that it does not learn from.

    Parameters
    ----------
    names
        As in :data:`POLICIES`.

    Raises
    ------
    ValueError, FeedbackError
        If there is no such policy, or it cannot be evaluated on this log; the message names it.
    """
    check_names(names)
    settings = settings or OpeSettings()
    begin = int(len(log.rows) * settings.learned) if "best" in names else 0
    learned, rest = log.feedback.part(slice(begin)), log.feedback.part(slice(begin, None))
    judged = Log(rest, log.actions, log.rows[begin:], log.counts)
    found = []
    for name in watch(names, len(names), "policies"):
        try:
            if name == "logged":
                evaluation = as_logged(rest, settings)
            else:
                evaluation = evaluate(rest, _policy(name, judged, learned, settings), settings)
        except FeedbackError as error:
            raise type(error)(f"{name}: {error}") from error
        found.append(_told(name, evaluation, log.actions))
    return {
        "log": log.counts,
        "rows": len(rest),
        "learned_from": begin,
        "actions": len(log.actions),
        "logged": float(rest.rewards.mean()) if len(rest) else 0.0,
        **msgspec.to_builtins(settings),
        "policies": found,
    }


def _told(name: str, evaluation: Evaluation, actions: tuple[str, ...]) -> dict[str, Any]:
    told = {"policy": name, **asdict(evaluation)}
    told["unseen"] = [actions[number] for number in evaluation.unseen]
    return told


def _policy(name: str, log: Log, learned: Feedback, settings: OpeSettings) -> Floats:
    kind, _, value = name.partition(":")
    if kind == "uniform":
        return uniform(log.feedback)
    if kind == "best":
        return best(log.feedback, learned, settings.smoothing)
    if kind == "file":
        return _of_file(Path(value), log)
    if value not in log.actions:
        names = ", ".join(log.actions[:8]) + (", …" if len(log.actions) > 8 else "")
        raise FeedbackError(f"no action of the log is called {value!r}; there are: {names}")
    return fixed(log.feedback, log.actions.index(value))


def _of_file(file: Path, log: Log) -> Floats:
    """Probabilities of a policy's file."""
    actions = {name: number for number, name in enumerate(log.actions)}
    by_row: dict[str | None, dict[int, float]] = {}
    for number, fields in _entries(file):
        try:
            row, action, probability = _entry(fields, actions)
            if by_row.setdefault(row, {}).setdefault(action, probability) is not probability:
                raise FieldError("action", fields["action"], "each action once")
        except FieldError as error:
            raise FeedbackError(f"line {number}: {error}") from error
    _check_sums(by_row)
    if None in by_row:
        if len(by_row) > 1:
            raise FeedbackError("some lines name a row and some do not, expected all or none")
        return everywhere(log.feedback, _normal(by_row[None], len(actions)))
    if len(set(log.rows)) < len(log.rows):
        raise FeedbackError("the log has rows of the same name, expected a file with the same probabilities for all")
    table = np.zeros((len(log.rows), len(actions)))
    for at, row in enumerate(log.rows):
        if row in by_row:
            table[at] = _normal(by_row[row], len(actions))
    return table


def _check_sums(by_row: dict[str | None, dict[int, float]]) -> None:
    for row, found in by_row.items():
        if abs(sum(found.values()) - 1.0) > _TOLERANCE:
            where = "" if row is None else f"row {row}: "
            raise FeedbackError(f"{where}probabilities with the sum {sum(found.values()):.6g}, expected 1")


def _normal(found: dict[int, float], size: int) -> Floats:
    """Probabilities as an array, the last digits of their sum put right."""
    line = np.zeros(size)
    line[list(found)] = list(found.values())
    scaled: Floats = line / line.sum()
    return scaled


def _entry(fields: dict[str, Any], actions: dict[str, int]) -> tuple[str | None, int, float]:
    action, row = fields.get("action"), fields.get("row")
    if isinstance(action, int) and not isinstance(action, bool):
        action = str(action)
    if not isinstance(action, str) or action not in actions:
        raise FieldError("action", action, "an action of the log")
    try:
        probability = float(fields.get("probability", math.nan))
    except (TypeError, ValueError):
        probability = math.nan
    if not 0.0 <= probability <= 1.0:
        raise FieldError("probability", fields.get("probability"), "a number from 0 to 1")
    return None if row is None else str(row), actions[action], probability


def _entries(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if not file.name.endswith(FORMATS):
        raise FeedbackError(f"{file.name!r}, expected a name that ends with {', '.join(FORMATS)}")
    # To the end once beforehand, so that a damaged file is found before anything is computed from its beginning.
    count_events(file)
    with opened(file) as raw:
        if file.name.removesuffix(".gz").endswith(".csv"):
            rows = csv.DictReader((line.decode() for line in raw), strict=True)
            yield from _checked(rows)
            return
        for number, line in enumerate(raw, 1):
            if line.isspace():
                continue
            try:
                yield number, msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
                raise FeedbackError(f"line {number}: {error}") from error


def _checked(rows: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        header = rows.fieldnames or []
        missing = [name for name in ("action", "probability") if name not in header]
        if missing:
            raise FieldError("header", ",".join(header), f"a column {missing[0]}")
        for fields in rows:
            if None in fields or None in fields.values():
                raise FieldError("line", "more or fewer columns", f"{len(header)} as in the header")
            yield rows.line_num, dict(fields)
    except (FieldError, csv.Error) as error:
        raise FeedbackError(f"line {max(rows.line_num, 1)}: {error}") from error
    except UnicodeDecodeError as error:
        raise FeedbackError(f"line {rows.line_num + 1}: byte {error.start} is not UTF-8") from error


_TOLERANCE = 1e-6
