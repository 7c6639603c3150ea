"""Array types of the columns that the core computes with, and runs of equal values in sorted columns.

``numpy.diff`` with something prepended does the same, but copies the column first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
"""Values per feature and candidate: single precision takes half the memory and is enough for values in [0, 1]."""

Flags = npt.NDArray[np.bool_]
Hashes = npt.NDArray[np.uint64]
"""Hashes of texts, 64 bits each; also the seeds of random numbers."""


def run_begins(column: npt.NDArray[Any]) -> Ints:
    """Return the indices at which runs of equal values begin.

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
