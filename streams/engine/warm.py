"""Have every kernel ready before events wait for it: compiled, or loaded from the cache on disk.

A kernel (:mod:`processors.common.compiled`) is compiled when it is first called, which takes about a second each, or
loaded in some milliseconds if any process before has compiled it. So a tiny fixed shop is run through all stages in
memory (:mod:`streams.engine.warm_world`), once without embeddings and once with them. It needs no broker, and reads and
writes neither settings nor states; only the cache is written. What was needed is noted there
(:mod:`streams.engine.warm_list`), so that later processes load it without running the shop.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numba

from processors.common.compiled import KERNELS
from streams.engine.driver import TopologyDriver
from streams.engine.warm_list import keep_list, load_listed
from streams.engine.warm_world import play, settings_with

_EMBEDDING_SIZES = (0, 4)
_CONFIG: Any = numba.config


@dataclass(frozen=True)
class Warmed:
    """What :func:`warm` did.

    Attributes
    ----------
    compiled, loaded
        Kernels that were compiled, and that came from the cache. A kernel that is called by others only is part of them
        there, and not counted.
    seconds
        How long it took.
    cache
        Where the cache is, in words; :obj:`None` if no place for it can be written to.
    """

    compiled: int
    loaded: int
    seconds: float
    cache: str | None

    @property
    def advice(self) -> str:
        """What to do so that the next start takes less time; empty if there is nothing to be done."""
        if not self.compiled:
            return ""
        if self.cache is None:
            return (
                "no place for a cache can be written to, so they are compiled anew at every start, which takes about "
                f"{self.seconds:.0f} s: name a directory with NUMBA_CACHE_DIR"
            )
        return "`nearstream warm` compiles them before a start, after each installation or change of them"


def warm() -> Warmed:
    """Load what an earlier process noted, or run the tiny shop; return what that compiled and loaded.

    A second call in a process finds nothing to do. Only a process that compiles nothing notes what was needed.
    Complexity: about half a second if all is in the cache and noted, a second if it is in the cache alone, else about a
    second per kernel.
    """
    before, begin = _tally(), perf_counter()
    # What was called before this, as by tests, may have been for other types.
    called, listed = any(kernel.signatures for kernel in _kernels()), load_listed(_kernels())
    if not listed:
        for size in _EMBEDDING_SIZES:
            play(TopologyDriver(settings_with(size)))
    compiled, loaded = (now - then for now, then in zip(_tally(), before, strict=True))
    # In a process that compiles them, kernels that are part of others look as if they had been called, too.
    if not (listed or called or compiled):
        keep_list(_kernels())
    return Warmed(compiled, loaded, perf_counter() - begin, cache_place())


def note() -> None:
    """Warm in another process, which finds all in the cache and notes it; for after :func:`warm` has compiled."""
    subprocess.run([sys.executable, "-c", "from streams.engine.warm import warm; warm()"], check=False)


def progress() -> tuple[int, int]:
    """Return how many kernels are ready in this process, and how many there are.

    Examples
    --------
    >>> ready, kernels = progress()
    >>> 0 <= ready <= kernels
    True
    """
    return sum(bool(kernel.signatures) for kernel in _kernels()), len(_kernels())


def cache_place() -> str | None:
    """Say where compiled kernels are kept; :obj:`None` if no place can be written to, or nothing is compiled at all."""
    paths = [kernel.stats.cache_path for kernel in _kernels()]
    if not paths or None in paths:
        return None
    common = os.path.commonpath(paths)
    named = _CONFIG.CACHE_DIR
    if named and Path(common).absolute().is_relative_to(Path(named).absolute()):
        return f"{named}, named by NUMBA_CACHE_DIR"
    if all(Path(path).name == "__pycache__" for path in paths):
        return f"__pycache__ beside the sources in {common}"
    return f"{common}, the user's cache"


def _tally() -> tuple[int, int]:
    """Return how often this process has compiled a kernel, and loaded one from the cache."""
    stats = [kernel.stats for kernel in _kernels()]
    compiled = sum(sum(found.cache_misses.values()) for found in stats)
    return compiled, sum(sum(found.cache_hits.values()) for found in stats)


def _kernels() -> list[Any]:
    """Return all kernels; none if ``NUMBA_DISABLE_JIT`` has them run as plain Python."""
    return [kernel for kernel in KERNELS if hasattr(kernel, "stats")]
