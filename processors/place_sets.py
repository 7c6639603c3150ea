"""Where items may be shown: distinct sets of regions, numbered, so that an item's limit is one figure of a column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

EVERYWHERE, NOWHERE = 0, 1
"""Number of no limit at all, and that of sets beyond the bound: what cannot be checked is not shown."""

PLACE_FIELDS = ("country", "region", "city")
"""What of a user's context a region can be the name of."""

MAX_SETS = 4096


class PlaceSets:
    """Numbers for sets of regions; upper and lower case are alike.

    Examples
    --------
    >>> sets = PlaceSets()
    >>> alps = sets.number(["DE", "at"])
    >>> alps, sets.number(["AT", "DE"]), sets.number([])
    (2, 2, 0)
    >>> sets.open_to([{"country": "AT"}, {"country": "FR"}, {}], unknown=False)[:, alps].tolist()
    [True, False, False]
    """

    def __init__(self, limit: int = MAX_SETS) -> None:
        self._limit = limit
        self._numbers: dict[frozenset[str], int] = {}

    def __len__(self) -> int:
        return len(self._numbers) + 2

    def number(self, regions: Iterable[str]) -> int:
        """Number of a set, :data:`EVERYWHERE` for an empty one."""
        names = frozenset(name.casefold() for name in regions)
        if not names:
            return EVERYWHERE
        found = self._numbers.get(names)
        if found is None:
            if len(self._numbers) >= self._limit:
                return NOWHERE
            found = self._numbers[names] = len(self)
        return found

    def open_to(self, contexts: Iterable[Mapping[str, str]], unknown: bool) -> npt.NDArray[np.bool_]:
        """Which sets people in each context are in, shape (people, numbers).

        Parameters
        ----------
        unknown
            What holds for people of whom no place is known.
        """
        rows: dict[frozenset[str], npt.NDArray[np.bool_]] = {}
        found = []
        for context in contexts:
            places = frozenset(context[field].casefold() for field in PLACE_FIELDS if field in context)
            if places not in rows:
                rows[places] = self._row(places, unknown)
            found.append(rows[places])
        return np.array(found, np.bool_).reshape(len(found), len(self))

    def _row(self, places: frozenset[str], unknown: bool) -> npt.NDArray[np.bool_]:
        row = np.zeros(len(self), np.bool_)
        row[EVERYWHERE] = True
        if not places:
            row[NOWHERE + 1 :] = unknown
        for names, number in self._numbers.items():
            row[number] |= not names.isdisjoint(places)
        return row
