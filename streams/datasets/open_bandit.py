"""Logs for off-policy evaluation in the layout of the Open Bandit Dataset.

A log is a CSV file with the columns :data:`COLUMNS` and any others, one row per item shown; its first column, which has
no name, names the row. ``item_context.csv`` beside it lists the items there are. The rows' users and affinities are not
read: no estimator here needs them.

References
----------
Y. Saito, S. Aihara, M. Matsutani, Y. Narita, "Open Bandit Dataset and Pipeline: towards realistic and reproducible
off-policy evaluation", NeurIPS Datasets and Benchmarks 2021.
"""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from processors.common.errors import FeedbackError, FieldError
from processors.evaluation.feedback import Feedback
from streams.datasets.files import ShowProgress, count_events, opened, show_nothing

COLUMNS = ("timestamp", "item_id", "position", "click", "propensity_score")
"""Columns of the Open Bandit layout that are read."""

ITEMS_FILE = "item_context.csv"


@dataclass(frozen=True)
class Log:
    """A log of decisions with their rewards, and the names of its actions and rows.

    Attributes
    ----------
    feedback
        The log as arrays, rows in the order of time.
    actions
        Names of the actions; the feedback holds their indexes.
    rows
        Names of the rows, in the order of the feedback.
    counts
        How many rows were read, and what became of them.
    """

    feedback: Feedback
    actions: tuple[str, ...]
    rows: list[str]
    counts: dict[str, int]


def read_open_bandit(path: Path, show: ShowProgress = show_nothing) -> Log:
    """Read a log in the layout of the Open Bandit Dataset.

    Parameters
    ----------
    path
        A CSV file, gzipped or not, or the folder that it is in, alone or with ``item_context.csv``.
    show
        Shows how far the file is read.

    Raises
    ------
    FeedbackError, EventFileError
        At the first row that makes no sense; the message names file, line, field and value.
    """
    file = _file_of(path) if path.is_dir() else path
    items_file = file.parent / ITEMS_FILE
    items = _items(items_file) if items_file.is_file() else None
    columns = _Columns(items)
    for number, row in show(_rows(file, COLUMNS), count_events(file), file.name):
        try:
            columns.add(row)
        except FieldError as error:
            raise FeedbackError(f"{file}, line {number}: {error}") from error
    return columns.log(file)


def _file_of(folder: Path) -> Path:
    found = sorted(one for one in folder.glob("*.csv*") if one.name.endswith((".csv", ".csv.gz")))
    logs = [one for one in found if one.name != ITEMS_FILE]
    if len(logs) != 1:
        names = ", ".join(one.name for one in logs) or "none"
        raise FeedbackError(f"{folder}: CSV files besides {ITEMS_FILE}: {names}; expected one, or name the file")
    return logs[0]


def _rows(file: Path, wanted: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield, for each row, its line number and a list of the fields wanted, followed by the name of the row."""
    with opened(file) as raw:
        rows = csv.reader((line.decode() for line in raw), strict=True)
        try:
            header = [name.removeprefix("\ufeff").strip() for name in next(rows, [])]
            missing = [name for name in wanted if name not in header]
            if missing:
                raise FieldError("header", ",".join(header[:8]), f"a column {missing[0]}")
            columns = [header.index(name) for name in wanted]
            named = header[0] == ""
            for number, row in enumerate(rows):
                if not row:
                    continue
                if len(row) != len(header):
                    raise FieldError("line", f"{len(row)} columns", f"{len(header)} as in the header")
                yield rows.line_num, [*(row[column] for column in columns), row[0] if named else str(number)]
        except (FieldError, csv.Error) as error:
            raise FeedbackError(f"{file}, line {max(rows.line_num, 1)}: {error}") from error
        except UnicodeDecodeError as error:
            raise FeedbackError(f"{file}, line {rows.line_num + 1}: byte {error.start} is not UTF-8") from error


def _items(file: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, (item, _) in _rows(file, ("item_id",)):
        if found.setdefault(item, len(found)) != len(found) - 1:
            raise FeedbackError(f"{file}, line {number}: item_id: {item!r} for the second time, expected once")
    return found


class _Columns:
    """The columns of a log, filled row by row."""

    def __init__(self, items: dict[str, int] | None) -> None:
        self._known = items is not None
        self._items = {} if items is None else items
        self._times, self._rewards, self._propensities = array("d"), array("d"), array("d")
        self._actions, self._positions = array("q"), array("q")
        self._rows: list[str] = []

    def add(self, row: list[str]) -> None:
        """Append a row: timestamp, item, position, click, propensity and name; :class:`FieldError` if one is wrong."""
        stamp, item, position, click, propensity, name = row
        if not item:
            raise FieldError("item_id", item, "a non-empty id")
        if self._known and item not in self._items:
            raise FieldError("item_id", item, f"an item of {ITEMS_FILE}")
        chance = _number("propensity_score", propensity, "a number above 0 and at most 1")
        if not 0.0 < chance <= 1.0:
            raise FieldError("propensity_score", propensity, "a number above 0 and at most 1")
        index = _number("position", position, "a whole number from 0 to 999")
        if not 0 <= index < _MOST_POSITIONS or index != int(index):
            raise FieldError("position", position, "a whole number from 0 to 999")
        self._times.append(_seconds(stamp))
        self._rewards.append(_number("click", _TRUTHS.get(click, click), "a number, True or False"))
        self._propensities.append(chance)
        self._positions.append(int(index))
        self._actions.append(self._items.setdefault(item, len(self._items)))
        self._rows.append(name)

    def log(self, file: Path) -> Log:
        """Return the rows as a log, in the order of time."""
        if not self._rows:
            raise FeedbackError(f"{file}: no rows")
        order = np.argsort(np.array(self._times), kind="stable")
        names = list(self._items)
        if not self._known:
            names.sort(key=lambda name: (len(name), name))
        numbers = {name: number for number, name in enumerate(names)}
        renamed = np.array([numbers[name] for name in self._items])
        feedback = Feedback(
            actions=renamed[np.array(self._actions)][order],
            rewards=np.array(self._rewards)[order],
            propensities=np.array(self._propensities)[order],
            n_actions=len(names),
            positions=np.unique(np.array(self._positions), return_inverse=True)[1][order],
        )
        rows = [self._rows[at] for at in order.tolist()]
        return Log(feedback, tuple(names), rows, {"rows": len(rows)})


def _number(name: str, text: str, expected: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return number
    raise FieldError(name, text, expected)


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise FieldError("timestamp", text, "ISO-8601, such as 2019-11-24 00:03:13.442536+00:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_TRUTHS = {"True": "1", "true": "1", "False": "0", "false": "0"}
"""How tools write clicks that are no numbers."""

_MOST_POSITIONS = 1000
