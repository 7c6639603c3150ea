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
from processors.common.errors import FeedbackError, FieldError
from processors.evaluation.feedback import Feedback
from processors.evaluation.off_policy import OpeSettings, as_logged, evaluate
from processors.evaluation.policies import best, everywhere, fixed, uniform
from streams.datasets.files import FORMATS, ShowProgress, count_events, opened, show_nothing
from streams.datasets.open_bandit import Log

POLICIES = ("logged", "uniform", "best", "fixed:ACTION", "file:FILE")
"""Names of policies, with placeholders in capitals."""

DEFAULT = ("logged", "uniform", "best")
"""Policies that are evaluated if none is named."""


def check_names(names: tuple[str, ...]) -> None:
    """Make sure that policies of these names exist.

    Raises
    ------
    ValueError
        If a name is none of :data:`POLICIES`.

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
    log: Log, names: tuple[str, ...] = DEFAULT, settings: OpeSettings | None = None, show: ShowProgress = show_nothing
) -> dict[str, Any]:
    """Estimate what each policy would have earned, as a dict that JSON can hold.

    If ``best`` is among them, all are evaluated on the part of the log that it does not learn from.

    Parameters
    ----------
    names
        Names of policies, as in :data:`POLICIES`.
    show
        Shows how many policies are done.

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
    found = [_evaluated(name, judged, learned, settings) for name in show(names, len(names), "policies")]
    return {
        "log": log.counts,
        "rows": len(rest),
        "learned_from": begin,
        "actions": len(log.actions),
        "logged": float(rest.rewards.mean()) if len(rest) else 0.0,
        **msgspec.to_builtins(settings),
        "policies": found,
    }


def _evaluated(name: str, log: Log, learned: Feedback, settings: OpeSettings) -> dict[str, Any]:
    """Evaluate the policy of a name; ``learned`` is the part of the log that ``best`` learns from."""
    try:
        if name == "logged":
            evaluation = as_logged(log.feedback, settings)
        else:
            evaluation = evaluate(log.feedback, _policy(name, log, learned, settings), settings)
    except FeedbackError as error:
        raise type(error)(f"{name}: {error}") from error
    return {"policy": name, **asdict(evaluation), "unseen": [log.actions[number] for number in evaluation.unseen]}


def _policy(name: str, log: Log, learned: Feedback, settings: OpeSettings) -> Floats:
    """Return the probabilities of the policy of a name, of shape (rows, actions)."""
    kind, _, value = name.partition(":")
    if kind == "uniform":
        return uniform(log.feedback)
    if kind == "best":
        return best(log.feedback, learned, settings.smoothing)
    if kind == "file":
        return _from_file(Path(value), log)
    if value not in log.actions:
        names = ", ".join(log.actions[:8]) + (", …" if len(log.actions) > 8 else "")
        raise FeedbackError(f"no action of the log is called {value!r}; there are: {names}")
    return fixed(log.feedback, log.actions.index(value))


def _from_file(file: Path, log: Log) -> Floats:
    """Return the probabilities of a policy's file, of shape (rows, actions); 0 in rows that the file leaves out."""
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
        return everywhere(log.feedback, _normalised(by_row[None], len(actions)))
    if len(set(log.rows)) < len(log.rows):
        raise FeedbackError("the log has rows of the same name, expected a file with the same probabilities for all")
    table = np.zeros((len(log.rows), len(actions)))
    for at, row in enumerate(log.rows):
        if row in by_row:
            table[at] = _normalised(by_row[row], len(actions))
    return table


def _check_sums(by_row: dict[str | None, dict[int, float]]) -> None:
    for row, found in by_row.items():
        if abs(sum(found.values()) - 1.0) > _TOLERANCE:
            where = "" if row is None else f"row {row}: "
            raise FeedbackError(f"{where}probabilities with the sum {sum(found.values()):.6g}, expected 1")


def _normalised(found: dict[int, float], size: int) -> Floats:
    """Return probabilities as an array of the given size, scaled so that the last digits of their sum are right."""
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
