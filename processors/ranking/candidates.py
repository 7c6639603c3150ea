"""Candidates of several users as columns: which items could be shown to whom, and which sources proposed them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import msgspec
import numpy as np
import numpy.typing as npt

from processors.common.arrays import Flags, Floats, Ints
from processors.common.compiled import kernel
from processors.items.index import ItemIndex
from processors.models.ranker_weights import buckets_of
from processors.ranking.sources.base import ProposedPairs, Visitors

Marks = npt.NDArray[np.uint32]
"""Sets of up to 32 things per candidate, one bit each."""

MAX_ROWS = 128
"""Most users that are ranked together: keeps their columns inside the processor's cache."""


RECENT, OLDER = 1 << 30, 1 << 31
"""Bits of :attr:`Candidates.marks` for items that the user has touched: lately, or long ago."""

RULES = "rules"
"""Name under which the items that rules make candidates for everybody are listed, like those of a source."""


class Proposal(msgspec.Struct, frozen=True):
    """What one source proposed, with its pairs numbered among those of all sources.

    Attributes
    ----------
    number
        Number of the source: its bit in :attr:`Candidates.marks`.
    first
        Number of its first pair; the others follow.
    pairs
        The pairs of user and item.
    columns
        Names of the pairs' values.
    """

    number: int
    first: int
    pairs: ProposedPairs
    columns: tuple[str, ...]


class Candidates(msgspec.Struct, frozen=True, dict=True):
    """Candidates of several users, each pair of user and item once.

    They are sorted by user. A user's candidates have the order in which the sources named them, then come items that
    the user has touched and no source names.

    Attributes
    ----------
    visitors
        The users, and the items that each visited lately.
    rows, slots
        Row of the user and slot of the item, int64 of shape (candidates,).
    begins
        Number of each user's first candidate, and at the end the number of candidates, shape (users + 1,).
    amounts
        Each value of the sources, float64 of shape (values, candidates): the sum over the candidate's pairs, 0 for
        candidates that the source did not propose.
    columns
        Names of the values.
    marks
        Who named each candidate, uint32 of shape (candidates,): the bit :attr:`Proposal.number` is set for each source
        that proposed it, :data:`RECENT` if it is one of the user's recent items, :data:`OLDER` if the user touched it
        long ago.
    history
        Number of the candidate that each of the visitors' recent items is, shape of :attr:`Visitors.slots`.
    of_pair
        Number of the candidate that each pair is, int32 of shape (pairs,), pairs as numbered in ``proposals``. A number
        that no candidate has belongs to another part of what was gathered (:meth:`split`).
    proposals
        By name of a source: what it proposed.
    """

    visitors: Visitors
    rows: Ints
    slots: Ints
    begins: Ints
    amounts: Floats
    columns: tuple[str, ...]
    marks: Marks
    history: Ints
    of_pair: npt.NDArray[np.int32]
    proposals: dict[str, Proposal]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def buckets(self) -> Ints:
        """Bucket of each user, whose weights rank (:func:`processors.models.ranker_weights.buckets_of`)."""
        return buckets_of(self.visitors.profiles, self.visitors.now_ms)

    @cached_property
    def touched(self) -> Flags:
        """Whether the user has ever touched the item, shape (candidates,)."""
        found: Flags = (self.marks & np.uint32(RECENT | OLDER)) != 0
        return found

    def split(self, users: int) -> tuple[Candidates, Candidates]:
        """Return the candidates of the first so many users, and those of the others, as if gathered by themselves.

        Only the pairs stay together: both keep those of all users, and the numbers in ``of_pair`` of other users'
        candidates are below 0 or beyond the last.
        """
        at = int(self.begins[users])
        visitors, others = self.visitors.split(users)
        seen = len(visitors.slots)
        return (
            Candidates(
                visitors,
                self.rows[:at],
                self.slots[:at],
                self.begins[: users + 1],
                np.ascontiguousarray(self.amounts[:, :at]),
                self.columns,
                self.marks[:at],
                self.history[:seen],
                self.of_pair,
                self.proposals,
            ),
            Candidates(
                others,
                self.rows[at:] - users,
                self.slots[at:],
                self.begins[users:] - at,
                np.ascontiguousarray(self.amounts[:, at:]),
                self.columns,
                self.marks[at:],
                self.history[seen:] - at,
                self.of_pair - np.int32(at),
                self.proposals,
            ),
        )

    def proposed_by(self, source: str) -> Flags:
        """Tell which candidates a source proposed, shape (candidates,); ``source`` is one of ``proposals``."""
        found: Flags = (self.marks & np.uint32(1 << self.proposals[source].number)) != 0
        return found


def numbers_of(begins: Ints, slots: Ints, rows: Ints, wanted: Ints) -> Ints:
    """Return the candidate number of each user and item, -1 where the item is not among the user's candidates.

    Parameters
    ----------
    begins, slots
        Number of each user's first candidate, and the item of each candidate.
    rows, wanted
        The users and the slots of the items that are looked for.
    """
    found: Ints = _numbers_of(begins, slots, rows, wanted)
    return found


@kernel
def _numbers_of(begins, slots, rows, wanted):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return what :func:`numbers_of` does."""
    numbers = np.full(len(rows), -1, np.int64)
    for at in range(len(rows)):
        for candidate in range(begins[rows[at]], begins[rows[at] + 1]):
            if slots[candidate] == wanted[at]:
                numbers[at] = candidate
                break
    return numbers


def without(candidates: Candidates, kept: Flags, excluded: Sequence[Sequence[str]], index: ItemIndex) -> Flags:
    """Return which candidates are kept, without some items of each user.

    Parameters
    ----------
    kept
        Which were kept so far, shape (candidates,).
    excluded
        Per user: ids of the items that are left out.
    """
    named = [(row, item) for row, items in enumerate(excluded) for item in items]
    if not named:
        return kept
    rows = np.array([row for row, _ in named], np.int64)
    slots = np.array(index.slots_of([item for _, item in named]), np.int64)
    numbers = numbers_of(candidates.begins, candidates.slots, rows, slots)
    left = kept.copy()
    left[numbers[numbers >= 0]] = False
    return left
