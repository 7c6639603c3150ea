"""Candidates for many users at once: which items could be shown, and what each source says of them.

Every source proposes a block of pairs (:class:`processors.ranking.sources.Block`). Pairs that name the same item for
the same user are brought together with one sort of packed integers, after which each value is one column over the
candidates. There is no loop over users or items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Floats, Ints, run_begins, run_lengths
from processors.common.errors import ConfigurationError
from processors.common.hashing import FINGERPRINT_BYTES
from processors.items.index import ItemIndex
from processors.ranking.read_models import ReadModels
from processors.ranking.sources import ALL, Block, Source, SourceSettings, Visitors
from processors.ranking.sources.base import for_everybody
from processors.users.profile import Profile

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


class Gatherer:
    """Asks the sources and brings together what they propose.

    Parameters
    ----------
    settings
        Of the sources.

    Raises
    ------
    ConfigurationError
        If ``off`` names a source that there is not.
    """

    def __init__(self, settings: SourceSettings) -> None:
        names = [source.name for source in ALL]
        for name in settings.off:
            if name not in names:
                raise ConfigurationError(
                    f"users.ranking.sources.off: no source {name!r}, expected some of {', '.join(names)}"
                )
        self.sources: list[Source] = [source(settings) for source in ALL if source.name not in settings.off]
        self.columns = tuple(name for source in self.sources for name in source.columns)

    def gather(
        self, profiles: Sequence[Profile], now_ms: Sequence[int], read: ReadModels, wanted: Ints | None = None
    ) -> Candidates:
        """Candidates of at most :data:`MAX_ROWS` users.

        Parameters
        ----------
        wanted
            Slots that are candidates for everybody because rules want them.

        Complexity: a sort of the pairs proposed, about 500 integers per user.
        """
        index = read.items
        visitors = Visitors.of(profiles, now_ms, index)
        blocks: dict[str, Proposal] = {}
        at = 0
        for source in self.sources:
            block = source.propose(visitors, read)
            blocks[source.name] = Proposal(at, block, source.columns)
            at += len(block.rows)
        if wanted is not None and len(wanted):
            block = for_everybody(wanted, len(visitors))
            blocks[RULES] = Proposal(at, block, ())
            at += len(block.rows)
        older_rows, older_slots = _older(profiles, index)
        capacity = index.capacity
        keys = np.concatenate(
            [
                *(part.block.rows * capacity + part.block.slots for part in blocks.values()),
                visitors.rows * capacity + visitors.slots,
                older_rows * capacity + older_slots,
            ]
        )
        bits = len(keys).bit_length()
        packed = np.sort(keys << bits | np.arange(len(keys)))
        order = packed & ((1 << bits) - 1)
        sorted_keys = packed >> bits
        first = run_begins(sorted_keys)
        of_pair = np.empty(len(keys), np.int64)
        of_pair[order] = np.repeat(np.arange(len(first)), run_lengths(first, len(keys)))
        touched = np.zeros(len(first), np.bool_)
        touched[of_pair[at:]] = True
        group_keys = sorted_keys[first]
        rows = group_keys // capacity
        return Candidates(
            visitors=visitors,
            rows=rows,
            slots=group_keys - rows * capacity,
            begins=np.searchsorted(rows, np.arange(len(visitors) + 1)),
            values=_values(blocks, of_pair, len(first)),
            proposed=_proposed(blocks, of_pair, len(first)),
            touched=touched,
            history=of_pair[at : at + len(visitors.rows)],
            starts=np.append(first, len(keys)),
            order=order,
            blocks=blocks,
        )


def _values(blocks: dict[str, Proposal], of_pair: Ints, n: int) -> dict[str, Floats]:
    return {
        name: np.bincount(of_pair[part.at : part.at + len(column)], column, n).astype(np.float64, copy=False)
        for part in blocks.values()
        for name, column in zip(part.columns, part.block.values, strict=True)
    }


def _proposed(blocks: dict[str, Proposal], of_pair: Ints, n: int) -> dict[str, npt.NDArray[np.bool_]]:
    proposed = {}
    for name, part in blocks.items():
        proposed[name] = np.zeros(n, np.bool_)
        proposed[name][of_pair[part.at : part.at + len(part.block.rows)]] = True
    return proposed


def _older(profiles: Sequence[Profile], index: ItemIndex) -> tuple[Ints, Ints]:
    """Rows and slots of items that fell out of the users' detailed history."""
    rows: list[int] = []
    slots: list[int] = []
    for row, profile in enumerate(profiles):
        ring = profile.older_items
        if ring:
            marks = (ring[at : at + FINGERPRINT_BYTES] for at in range(0, len(ring), FINGERPRINT_BYTES))
            found = [slot for slot in map(index.slot_of_fingerprint, marks) if slot >= 0]
            slots.extend(found)
            rows.extend([row] * len(found))
    return np.array(rows, np.int64), np.array(slots, np.int64)
