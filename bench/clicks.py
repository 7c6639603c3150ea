"""``nearstream bench clicks``: the click model on a click log, each row predicted before it is learned."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import msgspec
import numpy as np

from processors.common.errors import NearstreamError
from processors.common.hashing import hashed
from processors.models.click_model import BITS, ClickModel

_SKIPPED = ("id", "click", "hour")
_NUMBERS = 13


class ClicksResult(msgspec.Struct):
    """Result, one JSON line.

    ``log_loss`` is the mean over all rows, ``normalised_entropy`` that over the one of always guessing the share of
    clicks of the whole log. ``calibration`` is predicted over actual clicks, of all rows and, in ``deciles``, of the
    tenths of the last half by predicted probability.
    """

    data: str
    rows: int
    clicked: float
    log_loss: float
    normalised_entropy: float
    calibration: float
    deciles: tuple[float, ...]
    us_per_row: float


def run_clicks(data: Path) -> ClicksResult:
    """Predict and learn a click log row by row.

    Parameters
    ----------
    data
        A log in Avazu's columns (CSV with a header and ``click``) or Criteo's (tab-separated, the label first, 13
        numbers, then categories); may be gzipped.

    Raises
    ------
    NearstreamError
        If the log has the columns of neither.
    """
    table, labels, expected = ClickModel(), list[int](), list[float]()
    begun = process_time()
    for label, texts in _rows(data):
        features = sorted({hashed(text) % (1 << BITS) for text in (*texts, "any")})
        probability = float(table.probability(np.array([features]))[0])
        labels.append(label)
        expected.append(probability)
        table.learn(features, probability - label)
    taken = process_time() - begun
    clicks, predicted = np.array(labels), np.array(expected)
    losses = -np.log(np.where(clicks == 1, predicted, 1.0 - predicted))
    usual = float(clicks.mean())
    entropy = -(usual * math.log(usual) + (1.0 - usual) * math.log(1.0 - usual))
    return ClicksResult(
        data=data.name,
        rows=len(labels),
        clicked=round(usual, 4),
        log_loss=round(float(losses.mean()), 4),
        normalised_entropy=round(float(losses.mean()) / entropy, 4),
        calibration=round(float(predicted.sum() / clicks.sum()), 4),
        deciles=_deciles(clicks[len(clicks) // 2 :], predicted[len(clicks) // 2 :]),
        us_per_row=round(taken / len(labels) * 1e6, 1),
    )


def _deciles(clicks: np.ndarray, predicted: np.ndarray) -> tuple[float, ...]:
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, 10)
    return tuple(round(float(predicted[part].sum() / max(clicks[part].sum(), 1)), 3) for part in parts)


def _rows(data: Path) -> Iterator[tuple[int, list[str]]]:
    with gzip.open(data, "rt", encoding="utf-8") if data.suffix == ".gz" else data.open(encoding="utf-8") as lines:
        first = lines.readline()
        if "\t" in first:
            yield _criteo(first, data)
            for line in lines:
                yield _criteo(line, data)
            return
        names = first.rstrip("\n").split(",")
        if "click" not in names:
            raise NearstreamError(f"{data}: neither a column `click` (Avazu) nor tabs (Criteo)")
        for row in csv.DictReader(lines, names):
            texts = [f"{name}={value}" for name, value in row.items() if name not in _SKIPPED]
            yield int(row["click"]), [*texts, f"hour={row.get('hour', '')[-2:]}"]


def _criteo(line: str, data: Path) -> tuple[int, list[str]]:
    fields = line.rstrip("\n").split("\t")
    if len(fields) <= _NUMBERS or fields[0] not in ("0", "1"):
        raise NearstreamError(f"{data}: a line that does not begin with 0 or 1 and {_NUMBERS} numbers: {line[:60]!r}")
    numbers = [f"n{at}={_bucket(value)}" for at, value in enumerate(fields[1 : 1 + _NUMBERS])]
    return int(fields[0]), [*numbers, *(f"c{at}={value}" for at, value in enumerate(fields[1 + _NUMBERS :]))]


def _bucket(text: str) -> str:
    """Return a count as a category; large ones by the square of their logarithm, as is usual for this log."""
    if not text:
        return "?"
    value = float(text)
    return str(int(math.log(value + 1.0) ** 2)) if value > 2 else str(int(value))
