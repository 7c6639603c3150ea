"""The slates that users were last shown, as far as this process published them, to judge what they chose next by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.compiled import kernel

WIDTH = 20
"""Positions of a slate that are remembered: as deep as hits are counted."""


@dataclass(frozen=True)
class Published:
    """Slates of one placement that a step published.

    Attributes
    ----------
    placement
        Number of the placement in the settings.
    users
        The users, in the order of the rows.
    moments
        When each user was last heard of, milliseconds since the epoch.
    items
        Marks of the items at each position, shape (users, size); negative beyond the end of a slate.
    """

    placement: int
    users: Sequence[str]
    moments: Sequence[int]
    items: Floats


@dataclass(frozen=True)
class Judged:
    """At which position of the slate last published for a placement users found what they chose, as columns.

    Attributes
    ----------
    placement
        Name of the placement.
    ranks
        Position from 1, 0 if the item was not in the slate; shape (choices,).
    known
        Whether the user had a history when the slate was made; shape (choices,).
    """

    placement: str
    ranks: Ints
    known: Flags


@dataclass(frozen=True)
class Choice:
    """What a user chose, and what the profile said before.

    Attributes
    ----------
    user_id
        The user.
    item_id
        The item.
    seen_ms
        When the user was last heard of before the micro-batch, milliseconds since the epoch.
    known
        Whether the user had a history then.
    touched
        Whether the item was in it: no placement of new items could have shown it.
    """

    user_id: str
    item_id: str
    seen_ms: int
    known: bool
    touched: bool


class PublishedSlates:
    """Remember the slates last published to a bounded sample of users.

    While there is room it is all users. Then half of them, by a hash of their ids, make room and are not remembered
    again, and so on: whoever is left is a fair sample, however often each comes back.

    A slate made before something else happened to the user, in another process or without one, is not judged by.

    Parameters
    ----------
    placements
        Names of the placements, and whether each shows only items that are new to the user.
    mark_of
        Returns the mark of an item's id: a number that stands for it.
    most_users
        Users remembered at most, each with 160 bytes per placement.

    Examples
    --------
    >>> marks = {"tent": 0.5, "lamp": 0.25}
    >>> slates = PublishedSlates([("home", False)], marks.__getitem__, most_users=100)
    >>> slates.note(Published(0, ["ann"], [1000], np.array([[0.5, 0.25]])))
    >>> slates.judge([Choice("ann", "lamp", 1000, True, False), Choice("bob", "lamp", 1000, True, False)])
    [Judged(placement='home', ranks=array([2]), known=array([ True]))]
    """

    def __init__(
        self, placements: Sequence[tuple[str, bool]], mark_of: Callable[[str], float], most_users: int = 20_000
    ) -> None:
        self._placements, self._mark_of = placements, mark_of
        self._rows: dict[str, int] = {}
        self._free = list(range(most_users))
        self._mask = 0
        self._items = np.empty((most_users, len(placements), WIDTH))
        self._moments = np.full((most_users, len(placements)), -1, np.int64)
        # Steps are judged in the thread that computes; what is published is noted in that of the event loop.
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def note(self, published: Published) -> None:
        """Remember slates: call it once they are committed. Complexity: linear in their users, amortised."""
        with self._lock:
            rows = np.array([self._row(user) for user in published.users], np.int64)
            there = rows >= 0
            size = min(WIDTH, published.items.shape[1])
            self._items[rows[there], published.placement, :size] = published.items[there, :size]
            self._items[rows[there], published.placement, size:] = -1.0
            self._moments[rows[there], published.placement] = np.asarray(published.moments, np.int64)[there]

    def judge(self, choices: Sequence[Choice]) -> list[Judged]:
        """Find choices in the slates last published, per placement. Complexity: linear in the choices."""
        with self._lock:
            found = [(row, choice) for choice in choices if (row := self._rows.get(choice.user_id)) is not None]
            if not found:
                return []
            rows = np.array([row for row, _ in found], np.int64)
            items = np.array([self._mark_of(choice.item_id) for _, choice in found])
            seen = np.array([choice.seen_ms for _, choice in found], np.int64)
            known = np.array([choice.known for _, choice in found], np.bool_)
            touched = np.array([choice.touched for _, choice in found], np.bool_)
            ranks = _ranks(self._items, rows, items)
            valid = self._moments[rows] == seen[:, None]
        judged = []
        for number, (name, only_new) in enumerate(self._placements):
            those = valid[:, number] & ~(touched & only_new)
            if those.any():
                judged.append(Judged(name, ranks[those, number], known[those]))
        return judged

    def _row(self, user: str) -> int:
        """Return the row of a user, -1 if the user is not among those remembered."""
        row = self._rows.get(user)
        if row is not None:
            return row
        while hash(user) & self._mask == 0:
            if self._free:
                row = self._rows[user] = self._free.pop()
                self._moments[row] = -1
                return row
            self._make_room()
        return -1

    def _make_room(self) -> None:
        self._mask = 2 * self._mask + 1
        for user in [user for user in self._rows if hash(user) & self._mask]:
            self._free.append(self._rows.pop(user))


@kernel
def _ranks(slates, rows, items):  # type: ignore[no-untyped-def]  # numba finds the types
    """Find the position of each item in its user's slate of each placement, from 1; 0 where it is not."""
    placements, width = slates.shape[1], slates.shape[2]
    found = np.zeros((len(rows), placements), np.int64)
    for at in range(len(rows)):
        for placement in range(placements):
            for position in range(width):
                if slates[rows[at], placement, position] == items[at]:
                    found[at, placement] = position + 1
                    break
    return found
