"""Which kernels a warming needed, and for which types: a list beside them in the cache, from which the next one loads.

To find out, a tiny shop is run through all stages (:mod:`streams.engine.warm_world`). Where the list was made by the
same sources, the kernels that it names are loaded without that, which takes two fifths of the processor time.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import numba
import numpy as np

_FILE = "nearstream-warmed.json"
_ROOT = Path(__file__).parents[2]
_ROOMS = ("processors", "state", "streams")


class WarmList(msgspec.Struct, frozen=True):
    """What was needed.

    Parameters
    ----------
    made_by
        Digest of what determines the types that kernels are called with: our sources, and versions of libraries.
    types
        Types of the parameters, in numba's words, by the names of kernels.
    """

    made_by: str
    types: dict[str, list[str]]


def keep_list(kernels: Iterable[Any]) -> None:
    """Write the list of what has been compiled or loaded in this process; nothing if no place can be written to."""
    made = WarmList(digest(), {_name(kernel): [str(types) for types in kernel.signatures] for kernel in kernels})
    place = _place(kernels)
    if place is None:
        return
    new = place.with_suffix(f".{os.getpid()}")
    with suppress(OSError):
        new.write_bytes(msgspec.json.encode(made))
        new.replace(place)


def load_listed(kernels: Iterable[Any]) -> bool:
    """Load what the list names from the cache.

    Returns
    -------
    bool
        Whether that was all: False without a list of these sources, or if something of it is not in the cache.
    """
    place = _place(kernels)
    try:
        known = msgspec.json.decode(b"" if place is None else place.read_bytes(), type=WarmList)
    except (OSError, msgspec.DecodeError):
        return False
    by_name = {_name(kernel): kernel for kernel in kernels}
    if known.made_by != digest() or not by_name.keys() <= known.types.keys():
        return False
    wanted = []
    for name, kernel in by_name.items():
        there = {str(types): types for types in kernel._cache.signatures(kernel.targetctx)}
        if not set(known.types[name]) <= there.keys():
            return False
        wanted += [(kernel, there[types]) for types in known.types[name]]
    for kernel, types in wanted:
        kernel.compile(types)
    return True


def digest() -> str:
    """Return a digest of our sources and of the versions of what runs them.

    Complexity: reads some hundred files, a few milliseconds.
    """
    found = blake2b(repr((platform.python_version(), numba.__version__, np.__version__)).encode(), digest_size=16)
    for room in _ROOMS:
        for path in sorted((_ROOT / room).rglob("*.py")):
            found.update(str(path.relative_to(_ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def _place(kernels: Iterable[Any]) -> Path | None:
    """Return where the list is: beside the first kernel; :obj:`None` if they are not kept."""
    paths = [kernel.stats.cache_path for kernel in kernels]
    return None if not paths or None in paths else Path(min(paths)) / _FILE


def _name(kernel: Any) -> str:
    return f"{kernel.__module__}.{kernel.__qualname__}"
