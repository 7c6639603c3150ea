"""Labels: numbers that stand for category, brand, supplier and tag names in the columns of the item index."""

from collections.abc import Iterable

MAX_LABELS = 65_535
"""Suppliers told apart, and tags; those that come later count as none."""


class Labels:
    """Numbers for labels, from 1 on; 0 stands for no label, and for every label beyond the bound.

    A number is never given to another label, because columns refer to it. Labels are never removed: once ``limit`` is
    reached, labels that are new count as none until the process restarts.

    Parameters
    ----------
    limit
        Labels told apart.

    Examples
    --------
    >>> labels = Labels(limit=1)
    >>> labels.number("aster"), labels.number("halden"), labels.number(None), labels.number("aster")
    (1, 0, 0, 1)
    """

    def __init__(self, limit: int = MAX_LABELS) -> None:
        self._limit = limit
        self._numbers: dict[str, int] = {}
        self._names = [""]

    def number(self, label: str | None) -> int:
        """Return the number of a label, a new one if it has none yet; 0 beyond the bound. Constant time."""
        if label is None:
            return 0
        found = self._numbers.get(label)
        if found is None:
            if len(self._numbers) >= self._limit:
                return 0
            found = self._numbers[label] = len(self._names)
            self._names.append(label)
        return found

    def name(self, number: int) -> str:
        """Return the label of a number; empty for 0."""
        return self._names[number]

    def known(self, labels: Iterable[str]) -> list[int]:
        """Return the numbers of those labels that have one, in their order."""
        return [self._numbers[label] for label in labels if label in self._numbers]

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def numbers(self) -> int:
        """How many numbers are in use, counting 0."""
        return len(self._numbers) + 1
