"""Candidates of several users as columns: which items could be shown to whom, and which sources proposed them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Floats, Ints
from processors.ranking.sources.base import ProposedPairs, Visitors

MAX_ROWS = 256
"""Most users that are ranked together: keeps their columns inside the processor's cache."""


RULES = "rules"
"""Name under which the items that rules make candidates for everybody are listed, like those of a source."""


@dataclass(frozen=True)
class Proposal:
    """What one source proposed, with its pairs numbered among those of all sources.

    Attributes
    ----------
    first
        Number of its first pair; the others follow.
    pairs
        The pairs of user and item.
    columns
        Names of the pairs' values.
    """

    first: int
    pairs: ProposedPairs
    columns: tuple[str, ...]

    def column(self, name: str) -> Floats:
        """Return the value of that name for each pair.

        Raises
        ------
        ValueError
            If the source has no such value.
        """
        return self.pairs.values[self.columns.index(name)]


@dataclass(frozen=True)
class Candidates:
    """Candidates of several users, each pair of user and item once, sorted by user and then item.

    Attributes
    ----------
    visitors
        The users, and the items that each visited lately.
    rows, slots
        Row of the user and slot of the item, int64 of shape (candidates,).
    begins
        Number of each user's first candidate, and at the end the number of candidates, shape (users + 1,).
    values
        By name of a source's value: the value of each candidate, float64 of shape (candidates,); 0 for candidates that
        the source did not propose.
    proposed
        By name of a source: whether it proposed each candidate, shape (candidates,).
    touched
        Whether the user has ever touched the item, shape (candidates,).
    history
        Number of the candidate that each of the visitors' recent items is, shape of :attr:`Visitors.slots`.
    pair_begins, pair_order
        Candidate ``c`` was made of the pairs ``pair_order[pair_begins[c] : pair_begins[c + 1]]``, as numbered in
        ``proposals``; greater numbers are the users' own items.
    proposals
        By name of a source: what it proposed.
    """

    visitors: Visitors
    rows: Ints
    slots: Ints
    begins: Ints
    values: dict[str, Floats]
    proposed: dict[str, npt.NDArray[np.bool_]]
    touched: npt.NDArray[np.bool_]
    history: Ints
    pair_begins: Ints
    pair_order: Ints
    proposals: dict[str, Proposal]

    def __len__(self) -> int:
        return len(self.rows)
