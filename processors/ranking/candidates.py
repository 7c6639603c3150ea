"""Candidates of several users as columns: which items could be shown to whom, and what each source says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Floats, Ints
from processors.ranking.sources.base import Block, Visitors

MAX_ROWS = 256
"""Users per pass: keeps the columns of a pass inside the cache."""


RULES = "rules"
"""Stands among the sources for what rules want shown."""


@dataclass(frozen=True)
class Proposal:
    """A source's block among those of all sources.

    Attributes
    ----------
    at
        Number of its first pair, counted over all blocks.
    columns
        Names of its values.
    """

    at: int
    block: Block
    columns: tuple[str, ...]

    def column(self, name: str) -> Floats:
        """One value of the pairs, by name."""
        return self.block.values[self.columns.index(name)]


@dataclass(frozen=True)
class Candidates:
    """Candidates of several users, sorted by row, then slot.

    Attributes
    ----------
    visitors
        The users.
    rows, slots
        User row and item of each candidate.
    begins
        Where the candidates of each user begin, and the end of the last: shape (users + 1,).
    values
        One column per value of the sources, by name.
    proposed
        Per source, by name: whether it proposed the candidate.
    touched
        Whether the user has touched the item.
    history
        The candidate that each of the visitors' recent items is.
    starts, order
        The pairs behind candidate ``c`` are ``order[starts[c] : starts[c + 1]]``, counted over all blocks.
    blocks
        What the sources proposed, by name.
    """

    visitors: Visitors
    rows: Ints
    slots: Ints
    begins: Ints
    values: dict[str, Floats]
    proposed: dict[str, npt.NDArray[np.bool_]]
    touched: npt.NDArray[np.bool_]
    history: Ints
    starts: Ints
    order: Ints
    blocks: dict[str, Proposal]

    def __len__(self) -> int:
        return len(self.rows)
