"""Candidates for many users at once: which items could be shown, and what each source says of them.

Every source contributes *pairs* (user row, item slot, value). Pairs that name the same item for the same user are
brought together with one sort of packed integers, after which each source is one column over the candidates. There is
no loop over users or items, and a further source is a further block of pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec
import numpy as np
import numpy.typing as npt

from processors.item_index import ItemIndex
from processors.keys import FINGERPRINT_BYTES
from processors.profile import Profile

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SOURCES = ("together", "next", "recent", "popular")
"""What recommends an item: visited together with recent items, visited right after the last ones, the user's own
history, popularity. The order is that of the columns of :attr:`Candidates.values`."""

_POSITION_BITS = 20
MAX_ROWS = 512
"""Users per pass: keeps the pairs of a pass below 2**20 and their columns inside the cache."""


class CandidateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far each source reaches.

    Parameters
    ----------
    recent_items
        Recent items whose neighbours are candidates.
    next_items
        The last items of them that ask "what came next".
    position_decay
        Weight of an item relative to the one visited after it.
    popular_items
        Popular items that are candidates for everybody.
    """

    recent_items: int = 10
    next_items: int = 3
    position_decay: float = 0.8
    popular_items: int = 60


@dataclass(frozen=True)
class History:
    """Recent items of several users as columns, oldest first within a user; items the index doesn't know left out.

    ``rows`` is the user's row, ``slots`` the item, ``positions`` 0 for the user's latest item.
    """

    rows: Ints
    slots: Ints
    positions: Ints
    counts: Floats

    @classmethod
    def of(cls, profiles: Sequence[Profile], index: ItemIndex) -> "History":
        """Columns of the profiles' recent items."""
        lengths = np.fromiter((len(p.item_ids) for p in profiles), np.int64, len(profiles))
        total = int(lengths.sum())
        rows = np.repeat(np.arange(len(profiles)), lengths)
        ends = np.cumsum(lengths)
        positions = ends[rows] - 1 - np.arange(total)
        slots = np.array(index.slots_of(list(chain.from_iterable(p.item_ids for p in profiles))), np.int64)
        counts = np.fromiter(chain.from_iterable(p.item_counts for p in profiles), np.float64, total)
        known = slots >= 0
        return cls(rows[known], slots[known], positions[known], counts[known])


@dataclass(frozen=True)
class Candidates:
    """Candidates of several users, sorted by row.

    Attributes
    ----------
    rows, slots
        User row and item of each candidate.
    values
        One row per candidate, one column per source of :data:`SOURCES`.
    touched
        Whether the user has touched the item.
    starts, order, links
        What explains a candidate: the co-visitation pairs behind candidate ``c`` are
        ``order[starts[c] : starts[c + 1]]`` below ``len(links)``; ``links`` gives each pair's recent item (slot).
    together, next
        Value of each pair.
    """

    rows: Ints
    slots: Ints
    values: Floats
    touched: npt.NDArray[np.bool_]
    starts: Ints
    order: Ints
    links: Ints
    together: Floats
    next: Floats


def gather_candidates(profiles: Sequence[Profile], index: ItemIndex, settings: CandidateSettings) -> Candidates:
    """Candidates of at most :data:`MAX_ROWS` users.

    Complexity: a sort of about ``recent_items * width + popular_items`` integers per user.
    """
    history = History.of(profiles, index)
    popular = index.popular(settings.popular_items)
    near = history.positions < settings.recent_items
    rows, slots, positions = history.rows[near], history.slots[near], history.positions[near]
    weight = settings.position_decay ** positions.astype(np.float64)
    together = (index.together[slots] * weight[:, None]).ravel()
    following = (index.after[slots] * (weight * (positions < settings.next_items))[:, None]).ravel()
    n, width = len(profiles), index.width
    older_rows, older_slots = _older(profiles, index)
    capacity = len(index.trend)
    keys = np.concatenate(
        (
            (rows[:, None] * capacity + index.neighbours[slots]).ravel(),
            history.rows * capacity + history.slots,
            np.repeat(np.arange(n), len(popular)) * capacity + np.tile(popular, n),
            older_rows * capacity + older_slots,
        )
    )
    packed = np.sort(keys << _POSITION_BITS | np.arange(len(keys)))
    order = packed & ((1 << _POSITION_BITS) - 1)
    sorted_keys = packed >> _POSITION_BITS
    first = np.flatnonzero(np.diff(sorted_keys, prepend=-1))
    of_pair = np.empty(len(keys), np.int64)
    of_pair[order] = np.repeat(np.arange(len(first)), np.diff(first, append=len(keys)))
    pairs, own = len(together), len(history.rows)
    values = np.empty((len(first), len(SOURCES)))

    def add(column: int, begin: int, amounts: Floats) -> None:
        values[:, column] = np.bincount(of_pair[begin : begin + len(amounts)], amounts, len(first))

    add(0, 0, together)
    add(1, 0, following)
    add(2, pairs, np.sqrt(history.counts) / (1.0 + history.positions))
    trend = index.trend[popular]
    add(3, pairs + own, np.tile(np.exp2(trend - trend[0]) if n and len(trend) else trend, n))
    touched = values[:, 2] > 0.0
    touched[of_pair[pairs + own + n * len(popular) :]] = True
    group_keys = sorted_keys[first]
    return Candidates(
        rows=group_keys // capacity,
        slots=group_keys % capacity,
        values=values,
        touched=touched,
        starts=np.append(first, len(keys)),
        order=order,
        links=np.repeat(slots, width),
        together=together,
        next=following,
    )


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
