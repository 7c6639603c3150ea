"""Tune a process for ranking: one thread for linear algebra, and memory that is kept rather than given back.

A worker ranks in one thread with arrays of some hundred kilobytes. Left alone, OpenBLAS starts a thread per core, which
spin while they wait, and glibc returns the arrays' memory to the system after each step and faults it in anew; together
they took two thirds of the CPU-time of ranking (``nearstream bench ranking``).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import MutableMapping

_THREADS = "OPENBLAS_NUM_THREADS"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 * 2**20
_LARGE_BYTES = 32 * 2**20


def tune_process(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Set both for this process and its children. Without effect on threads once numpy is imported.

    What the environment sets already is left as it is: ``OPENBLAS_NUM_THREADS``, and the allocator if there is any
    variable of glibc's such as ``MALLOC_TRIM_THRESHOLD_``.

    Parameters
    ----------
    environment
        Environment variables; the number of threads is added.

    Returns
    -------
    bool
        Whether the allocator was set, which works with glibc only.

    Examples
    --------
    >>> environment = {"MALLOC_ARENA_MAX": "1"}
    >>> tune_process(environment), environment["OPENBLAS_NUM_THREADS"]
    (False, '1')
    """
    environment.setdefault(_THREADS, "1")
    if not sys.platform.startswith("linux") or any(name.startswith("MALLOC_") for name in environment):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
