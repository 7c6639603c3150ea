"""Types of the columns that the core computes with, and runs of equal values in sorted columns.

``numpy.diff`` with something prepended does the same, but copies the column first; ranking asks for runs a dozen times
per pass, mostly of short columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
"""Figures per feature and candidate: half the memory, and precise enough for what lies in [0, 1]."""

Flags = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]
"""Sixty-four bits that stand for a text, or that chance is drawn from."""


def run_begins(column: npt.NDArray[Any]) -> Ints:
    """Where each run of equal values begins.

    Examples
    --------
    >>> run_begins(np.array([4, 4, 7, 4])).tolist(), run_begins(np.array([])).tolist()
    ([0, 2, 3], [])
    """
    if not len(column):
        return np.empty(0, np.int64)
    begins = np.empty(len(column), np.bool_)
    begins[0] = True
    np.not_equal(column[1:], column[:-1], out=begins[1:])
    return begins.nonzero()[0]


def run_lengths(begins: Ints, total: int) -> Ints:
    """How long the runs are that begin there, in a column of so many values.

    Examples
    --------
    >>> run_lengths(np.array([0, 2, 3]), 4).tolist(), run_lengths(np.empty(0, int), 0).tolist()
    ([2, 1, 1], [])
    """
    lengths = np.empty(len(begins), np.int64)
    if len(begins):
        np.subtract(begins[1:], begins[:-1], out=lengths[:-1])
        lengths[-1] = total - begins[-1]
    return lengths
