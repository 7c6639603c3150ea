"""Regions that items may be shown in: distinct sets of regions by number, so that a column holds each item's set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from processors.events.event import REGION_FIELDS

EVERYWHERE, NOWHERE = 0, 1
"""Number of the empty set, which is no limit, and that of all sets beyond the bound: such items are never shown."""

MAX_SETS = 4096
"""Distinct sets of regions told apart."""


class RegionSets:
    """Numbers for sets of regions, counted by reference; upper and lower case are the same.

    A set keeps its number while some item has it. As long as no more than ``limit`` sets are in use, who may be shown
    an item depends only on the sets that items have now, so that workers with different pasts agree on it.

    Parameters
    ----------
    limit
        Distinct sets told apart. An item with a set beyond it is shown to nobody.

    Examples
    --------
    >>> sets = RegionSets()
    >>> alps = sets.acquire(["DE", "at"])
    >>> alps, sets.acquire(["AT", "DE"]), sets.acquire([])
    (2, 2, 0)
    >>> sets.allowed([{"country": "AT"}, {"country": "FR"}, {}], unknown=False)[:, alps].tolist()
    [True, False, False]
    """

    def __init__(self, limit: int = MAX_SETS) -> None:
        self._limit = limit
        self._numbers: dict[frozenset[str], int] = {}
        self._sets: list[frozenset[str]] = [frozenset(), frozenset()]
        self._uses: list[int] = [0, 0]
        self._free: list[int] = []
        self._holding: dict[str, set[int]] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def acquire(self, regions: Iterable[str]) -> int:
        """Return the number of a set of regions for one more item that has it. Constant time.

        Returns
        -------
        int
            :data:`EVERYWHERE` for an empty set, :data:`NOWHERE` for a new one beyond the bound.
        """
        names = frozenset(name.casefold() for name in regions)
        if not names:
            return EVERYWHERE
        found = self._numbers.get(names)
        if found is None:
            if len(self._numbers) >= self._limit:
                return NOWHERE
            found = self._add(names)
        self._uses[found] += 1
        return found

    def release(self, number: int) -> None:
        """Give up the number that :meth:`acquire` returned for an item: once per item, or the count of uses is off."""
        if number <= NOWHERE:
            return
        self._uses[number] -= 1
        if not self._uses[number]:
            del self._numbers[self._sets[number]]
            for name in self._sets[number]:
                self._holding[name].discard(number)
                if not self._holding[name]:
                    del self._holding[name]
            self._sets[number] = frozenset()
            self._free.append(number)

    def allowed(self, contexts: Iterable[Mapping[str, str]], unknown: bool) -> npt.NDArray[np.bool_]:
        """Tell for each user which sets contain one of the user's regions.

        Complexity: per distinct region of a user, the number of sets that contain it.

        Parameters
        ----------
        contexts
            Each user's circumstances (:mod:`processors.users.context`).
        unknown
            The answer for users of whom no region is known.

        Returns
        -------
        bool array of shape (users, len(self))
            By the numbers of the sets.
        """
        rows: dict[frozenset[str], npt.NDArray[np.bool_]] = {}
        found = []
        for context in contexts:
            regions = frozenset(context[field].casefold() for field in REGION_FIELDS if field in context)
            if regions not in rows:
                rows[regions] = self._row(regions, unknown)
            found.append(rows[regions])
        return np.array(found, np.bool_).reshape(len(found), len(self))

    def _add(self, names: frozenset[str]) -> int:
        if self._free:
            number = self._free.pop()
            self._sets[number] = names
        else:
            number = len(self._sets)
            self._sets.append(names)
            self._uses.append(0)
        self._numbers[names] = number
        for name in names:
            self._holding.setdefault(name, set()).add(number)
        return number

    def _row(self, regions: frozenset[str], unknown: bool) -> npt.NDArray[np.bool_]:
        row = np.zeros(len(self), np.bool_)
        row[EVERYWHERE] = True
        if not regions:
            row[NOWHERE + 1 :] = unknown
        for region in regions:
            row[list(self._holding.get(region, ()))] = True
        return row
