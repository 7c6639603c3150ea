"""Tune a process for ranking: one thread for linear algebra, memory that is kept, kernels that are at hand.

A worker ranks in one thread with arrays of some hundred kilobytes. Left alone, OpenBLAS starts a thread per core, which
spin while they wait, and glibc returns the arrays' memory to the system after each step and faults it in anew; together
they took two thirds of the CPU-time of ranking (``nearstream bench ranking``).
"""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

_THREADS = "OPENBLAS_NUM_THREADS"
_KERNELS = "NUMBA_CACHE_DIR"
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


def copy_unwritable_kernels(environment: MutableMapping[str, str] = os.environ) -> Path | None:
    """Have this process and its children use a copy of the compiled kernels, if their directory cannot be written to.

    Numba takes no directory that it cannot write to, not even to read from it. Our image has its kernels in one, and
    containers often may write to their volume and ``/tmp`` only. Without effect once numba is imported.

    Parameters
    ----------
    environment
        Environment variables; if ``NUMBA_CACHE_DIR`` names such a directory, it names the copy from now on.

    Returns
    -------
    Path or None
        The copy, which is removed when the process ends; :obj:`None` if none was needed, or none could be made.

    Examples
    --------
    >>> copy_unwritable_kernels({"NUMBA_CACHE_DIR": tempfile.gettempdir()}) is None
    True
    """
    named = environment.get(_KERNELS)
    if not named or not Path(named).is_dir() or os.access(named, os.W_OK):
        return None
    try:
        copy = Path(tempfile.mkdtemp(prefix="nearstream-kernels-"))
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        for file in (path for path in Path(named).rglob("*") if path.is_file()):
            to = copy / file.relative_to(named)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, to)
    except OSError:
        return None
    environment[_KERNELS] = str(copy)
    return copy
