"""How much a call does, counted rather than timed: the memory that it allocates, and the memory that it touches.

Both are nearly the same for the same work, however busy the machine is. A pass over all of something shows in one or
the other: what it computes for each is allocated, what it reads of each is touched. Compiled loops only touch.

Count in a process that does nothing else, after :func:`small_pages`.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NamedTuple

_CLEAR, _ROLLUP = Path("/proc/self/clear_refs"), Path("/proc/self/smaps_rollup")
_REFERENCED = re.compile(r"^Referenced:\s+(\d+) kB$", re.MULTILINE)
_PR_SET_THP_DISABLE = 41
_ALLOCATES, _TOUCHES = 2, 9


class Work(NamedTuple):
    """What a call does, the least of some calls.

    Attributes
    ----------
    allocated
        Bytes that it allocates, whether or not it keeps them. This adds up, between any two calls of functions within
        it, by how much the memory grew at most: an array counts that is gone before something larger comes, which a
        peak over the whole call would hide.
    touched
        Bytes of the pages that it reads or writes; :obj:`None` if the kernel does not tell.
    """

    allocated: int
    touched: int | None


def work_of(run: Callable[[], object], *, touches: bool) -> Work:
    """Count what a call does that can be repeated.

    Parameters
    ----------
    run
        Makes the call. It is made once before, which fills what is cached.
    touches
        Whether to count what it touches, which the kernel must tell.
    """
    run()
    # A garbage collection in between would touch everything.
    gc.disable()
    try:
        allocated = min(_allocated(run) for _ in range(_ALLOCATES))
        return Work(allocated, min(_touched(run) for _ in range(_TOUCHES)) if touches else None)
    finally:
        gc.enable()


def small_pages() -> bool:
    """Have memory from now on consist of small pages, and return whether the kernel tells which of them are touched.

    Linux does, and not every sandbox. Where it uses huge pages, one byte would count as two megabytes.
    """
    try:
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
        array = bytearray(2**22)
        return _touched(lambda: array.count(1)) >= len(array)
    except (OSError, AttributeError, TypeError):
        return False


def _allocated(run: Callable[[], object]) -> int:
    total = before = 0

    def count(_frame: FrameType, _event: str, _argument: object) -> None:
        nonlocal total, before
        total += tracemalloc.get_traced_memory()[1] - before
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
        tracemalloc.stop()
    return total


def _touched(run: Callable[[], object]) -> int:
    _CLEAR.write_text("1")
    before = _referenced()
    run()
    return _referenced() - before


def _referenced() -> int:
    return 1024 * int(_REFERENCED.search(_ROLLUP.read_text())[1])  # type: ignore[index]  # a TypeError if it is not there
