"""Compiled loops: functions that numba translates to machine code, so that a loop over candidates costs nanoseconds.

Write the stage of a batch as one function of plain loops over arrays and mark it with :func:`kernel`. It is compiled
when it is first called, and kept in a cache on disk for every later process. ``NUMBA_DISABLE_JIT=1`` runs the same
source as plain Python, for debugging and for coverage.

Rules for such functions, which ``tests/processors/common/test_compiled.py`` checks where it can:

- A kernel uses arrays, numbers and kernels of its own file only: the cache on disk notices changes of that file alone.
  After a change of the options below, ``make clean`` removes what was compiled with others.
- Sums run in the order of the source: floating-point shortcuts are off, so that loops compiled for different processors
  give the same bits. Only ``exp`` and ``log`` are the C library's, which may differ in the last bit (decision 16).
- A loop over a stretch of an array runs between ``np.uint64`` bounds: an index that cannot be negative needs no check,
  and the loop then works on several elements at a time. Such an index is never mixed with signed numbers: numba would
  make a float of the result.
- Each parameter has one type for all calls. Another one would be compiled while events wait. Workers warm the kernels
  before (``streams/engine/warm.py``), and ``tests/streams/engine/test_warm.py`` finds what was not warmed.

References
----------
S. Lam, A. Pitrou, S. Seibert, "Numba: a LLVM-based Python JIT compiler", LLVM-HPC 2015.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba
from numba.core.caching import FunctionCache

logger = logging.getLogger(__name__)

Loop = Callable[..., Any]
"""A function of arrays and numbers. Numba finds the types of its parameters out itself: its docstring names them."""

KERNELS: list[Any] = []
"""All compiled functions of the modules imported so far."""


class _HealingCache(FunctionCache):
    """Compiles anew what cannot be read from the cache, as after a crash that left half a file."""

    def signatures(self, target_context: Any) -> list[Any]:
        """Return the types of parameters for which there is a compiled function; none if the list cannot be read."""
        try:
            cache: Any = self  # numba has no types
            codegen = target_context.codegen()
            return [key[0] for key in cache._cache_file._load_index() if key == cache._index_key(key[0], codegen)]
        except Exception:  # noqa: BLE001  # reading damaged bytes raises anything
            return []

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function of a signature; :obj:`None` if there is none that can be read."""
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]  # numba has no types
        except Exception as error:  # noqa: BLE001  # reading damaged bytes raises anything
            logger.warning(
                "%s: the cached kernel %s cannot be read (%s: %s); compiling it anew",
                self.cache_path, self._name, type(error).__name__, error,
            )  # fmt: skip
            with suppress(OSError):  # a place that cannot be written to keeps it
                self.flush()  # type: ignore[no-untyped-call]  # numba has no types
            return None


def kernel(function: Loop) -> Loop:
    """Compile a function of loops over arrays when it is first called, or take it from the cache on disk.

    Use it as a decorator. Without a directory that can be written to (beside the source, in the user's cache, or named
    by ``NUMBA_CACHE_DIR``) each process compiles it anew.

    Parameters
    ----------
    function
        Its body must be Python that numba can compile; see the module.

    Examples
    --------
    >>> import numpy as np
    >>> @kernel
    ... def total(values):
    ...     found = 0.0
    ...     for value in values:
    ...         found += value
    ...     return found
    >>> total(np.array([1.0, 2.5]))
    3.5
    """
    try:
        compiled: Any = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        if hasattr(compiled, "enable_caching"):
            compiled._cache = _HealingCache(function)  # type: ignore[no-untyped-call]  # numba has no types
    except RuntimeError:  # numba found no place for its cache
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    KERNELS.append(compiled)
    found: Loop = compiled
    return found
