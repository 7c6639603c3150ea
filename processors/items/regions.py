"""Where items may be shown: distinct sets of regions, numbered, so that an item's limit is one figure of a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from processors.events.event import REGION_FIELDS

EVERYWHERE, NOWHERE = 0, 1
"""Number of no limit at all, and that of sets beyond the bound: what cannot be checked is not shown."""


MAX_SETS = 4096


class RegionSets:
    """Numbers for sets of regions, for as long as some item has them; upper and lower case are alike.

    Below the bound, which sets there are follows from what items have now, not from what they had: workers that heard
    of different pasts agree on who may be shown an item.

    Examples
    --------
    >>> sets = RegionSets()
    >>> alps = sets.take(["DE", "at"])
    >>> alps, sets.take(["AT", "DE"]), sets.take([])
    (2, 2, 0)
    >>> sets.open_to([{"country": "AT"}, {"country": "FR"}, {}], unknown=False)[:, alps].tolist()
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

    def take(self, regions: Iterable[str]) -> int:
        """Number of a set for one more item, :data:`EVERYWHERE` for an empty set. Constant time."""
        names = frozenset(name.casefold() for name in regions)
        if not names:
            return EVERYWHERE
        found = self._numbers.get(names)
        if found is None:
            if len(self._numbers) >= self._limit:
                return NOWHERE
            found = self._enter(names)
        self._uses[found] += 1
        return found

    def give_back(self, number: int) -> None:
        """Say that an item has no longer the set it took. Constant time."""
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

    def open_to(self, contexts: Iterable[Mapping[str, str]], unknown: bool) -> npt.NDArray[np.bool_]:
        """Which sets people in each context are in, shape (people, numbers).

        Complexity: for each place that somebody is in, the sets that name it.

        Parameters
        ----------
        unknown
            What holds for people of whom no place is known.
        """
        rows: dict[frozenset[str], npt.NDArray[np.bool_]] = {}
        found = []
        for context in contexts:
            places = frozenset(context[field].casefold() for field in REGION_FIELDS if field in context)
            if places not in rows:
                rows[places] = self._row(places, unknown)
            found.append(rows[places])
        return np.array(found, np.bool_).reshape(len(found), len(self))

    def _enter(self, names: frozenset[str]) -> int:
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

    def _row(self, places: frozenset[str], unknown: bool) -> npt.NDArray[np.bool_]:
        row = np.zeros(len(self), np.bool_)
        row[EVERYWHERE] = True
        if not places:
            row[NOWHERE + 1 :] = unknown
        for place in places:
            row[list(self._holding.get(place, ()))] = True
        return row
