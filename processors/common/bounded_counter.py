"""Counters over plain dicts that hold no more than so many names: add to one, and drop the rarest other.

The eviction rule: when a name makes one too many, the one with the least count goes, never the name just added to; of
equals the one that stands first in the dict. A name stands where it first came in, or with ``renew`` at the end after
each addition, so that of equals the one added to the longest ago goes. A name that comes back after it was dropped
starts from nothing: counts are exact for names that were never the rarest, and too low for others.

The functions work on plain dicts, as states are plain data; the order of a dict's entries is part of the stored bytes.

References
----------
G. Cormode, M. Hadjieleftheriou, "Finding frequent items in data streams", PVLDB 1(2), 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


def add_bounded(counts: dict[str, float], name: str, amount: float, bound: int, *, renew: bool = False) -> None:
    """Add to a name's count, in place, and drop the rarest other name if there are too many now.

    Complexity: constant time while there is room, one pass over the names when one is dropped.

    Parameters
    ----------
    counts
        Count or weight per name; at most ``bound`` names stay in it if it had no more before.
    name, amount
        The name that is counted, and by how much its count rises.
    bound
        The most names that are held, at least 1.
    renew
        Whether the name moves to the end, which makes it the last of equals to be dropped.

    Examples
    --------
    >>> counts = {"tent": 1.0, "lamp": 1.0}
    >>> add_bounded(counts, "tent", 0.0, 2, renew=True)
    >>> add_bounded(counts, "mat", 1.0, 2)
    >>> counts
    {'tent': 1.0, 'mat': 1.0}
    """
    before = counts.pop(name, 0.0) if renew else counts.get(name, 0.0)
    counts[name] = before + amount
    if len(counts) > bound:
        del counts[rarest(counts, name, counts.__getitem__)]


def rarest(names: Iterable[str], spared: str, count_of: Callable[[str], float]) -> str:
    """Find the name with the least count among all but one; of equals the first.

    Use it alone where what is counted is more than a number, or where only some of the names compete.

    Parameters
    ----------
    names
        The names that compete, at least one beside ``spared``.
    spared
        The name that must stay.
    count_of
        Gives the count of a name.

    Raises
    ------
    ValueError
        If there is no other name.

    Examples
    --------
    >>> rarest(["tent", "lamp", "mat"], "lamp", {"tent": 2.0, "lamp": 0.0, "mat": 2.0}.__getitem__)
    'tent'
    """
    return min((name for name in names if name != spared), key=count_of)
