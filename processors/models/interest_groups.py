"""Interest groups: users whose interests are alike, found by clustering, and what each group chooses.

A profile's decayed interests become a short vector by feature hashing: of its categories, or of its items where events
name no categories. The models plane clusters
some of them, counts what each group chooses (:mod:`processors.models.interest_group_learner`), and broadcasts centres
and choices. A group keeps its number for as long as there are groups; what moves is its centre. Which group a profile
is in is not stored: it follows from the profile and the centres.

References
----------
K. Weinberger, A. Dasgupta, J. Langford, A. Smola, J. Attenberg, "Feature hashing for large scale multitask learning",
ICML 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.common.bounds import MAX_ID_CHARACTERS
from processors.common.hashing import murmur2
from processors.events.event import Event
from processors.items.index import ItemIndex
from processors.users.profile import Profile

DIMENSIONS = 32
"""Length of the vector that interests become."""

INTERESTS = 1
"""Users per micro-batch whose interests the groups learn from, at most: bounds the cost under load."""

INTERESTS_BYTES = INTERESTS * (4 * DIMENSIONS + 8 * MAX_ID_CHARACTERS + 16)
"""Largest size of interests in a message, in bytes."""

_FEWEST_EVENTS = 3


class Interests(msgspec.Struct, array_like=True, frozen=True):
    """Some users' interests, and what each of them chose next.

    ``vectors`` is little-endian float32 of shape (users, :data:`DIMENSIONS`), each of length 1; ``items`` and
    ``categories`` have one entry per user, the category being empty where the event named none.
    """

    vectors: bytes = b""
    items: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    def rows(self) -> Floats:
        """Return the vectors as rows, float64 of shape (users, :data:`DIMENSIONS`).

        Raises
        ------
        ValueError
            If there are not as many as items and categories, or they hold what no interests can.

        Examples
        --------
        >>> Interests(b"1234", ("tent",), ("",)).rows()
        Traceback (most recent call last):
        ...
        ValueError: interests: 1 figures, expected 1 vectors of 32
        """
        vectors = np.frombuffer(self.vectors, "<f4")
        if len(vectors) != len(self.items) * DIMENSIONS:
            raise ValueError(f"interests: {len(vectors)} figures, expected {len(self.items)} vectors of {DIMENSIONS}")
        if len(self.categories) != len(self.items):
            raise ValueError(f"interests: {len(self.categories)} categories, expected {len(self.items)}")
        if len(vectors) and not np.abs(vectors).max() <= 1.0 + 1e-3:
            raise ValueError("interests: expected figures in [-1, 1]")
        return vectors.reshape(-1, DIMENSIONS).astype(np.float64)


class GroupView(msgspec.Struct, array_like=True, frozen=True):
    """What is published of a group.

    Parameters
    ----------
    centre
        Little-endian float32 of length :data:`DIMENSIONS`.
    share
        Part of all profiles learned that went to this group, from 0 to 1.
    labels
        Categories most chosen, the most frequent first.
    items, weights
        Items most chosen, and how often relative to the first of them.
    """

    centre: bytes
    share: float
    labels: tuple[str, ...]
    items: tuple[str, ...]
    weights: tuple[float, ...]


class InterestGroups:
    """The read model of groups.

    Attributes
    ----------
    views : tuple of GroupView
        As last published, by number.

    Examples
    --------
    >>> groups = InterestGroups()
    >>> groups.of([Profile(categories={"tents": 1.0}, events=9)]).tolist()
    [-1]
    """

    def __init__(self) -> None:
        self.apply(None)

    def apply(self, views: Sequence[GroupView] | None) -> None:
        """Take over what was published; :obj:`None` forgets all groups."""
        self.views = tuple(views or ())
        flat = np.frombuffer(b"".join(view.centre for view in self.views), "<f4").reshape(-1, DIMENSIONS)
        self._centres = flat.astype(np.float64)
        self._squares = (self._centres**2).sum(axis=1)

    def of(self, profiles: Sequence[Profile]) -> Ints:
        """Return the number of each profile's group; -1 for who is too little known, or while there are no groups.

        Complexity: some microseconds a profile.
        """
        numbers = np.full(len(profiles), -1, np.int64)
        known = [row for row, profile in enumerate(profiles) if is_known(profile)] if self.views else []
        if known:
            vectors = vectors_of([profiles[row] for row in known])
            # Added up one by one, not by a matrix product: the nearest must not depend on who else is asked for.
            products = np.add.reduce(vectors[:, None, :] * self._centres[None], axis=2)
            numbers[known] = np.argmin(self._squares - 2.0 * products, axis=1)
        return numbers


def interests_of(profiles: Sequence[Profile], events: Sequence[Event], items: ItemIndex) -> Interests:
    """Make a message of what some users choose next; of the first :data:`INTERESTS` users that are known well enough.

    Parameters
    ----------
    profiles
        The users' profiles, before the events were folded in.
    events
        The next event of each.
    items
        The read model of items, for the category of an item whose event does not name one.
    """
    known = [row for row, profile in enumerate(profiles) if is_known(profile)][:INTERESTS]
    return Interests(
        vectors=vectors_of([profiles[row] for row in known]).astype("<f4").tobytes(),
        items=tuple(events[row].item_id for row in known),
        categories=tuple(events[row].category or _category_of(events[row].item_id, items) for row in known),
    )


def _category_of(item: str, items: ItemIndex) -> str:
    view = items.view(item)
    return "" if view is None else view.category or ""


def is_known(profile: Profile) -> bool:
    """Tell whether enough is known of a user to say which group is theirs."""
    return profile.events >= _FEWEST_EVENTS


def vectors_of(profiles: Sequence[Profile]) -> Floats:
    """Return interests as vectors of length 1, shape (profiles, :data:`DIMENSIONS`).

    Square roots of the weights, so that one passion does not hide the rest.

    Examples
    --------
    >>> near, far = Profile(categories={"tents": 2.0, "boots": 1.0}), Profile(categories={"novels": 1.0})
    >>> vectors = vectors_of([Profile(categories={"tents": 1.0}), near, far])
    >>> bool(vectors[0] @ vectors[1] > 0.7 > vectors[0] @ vectors[2])
    True
    """
    rows, columns, signs, weights = list[int](), list[int](), list[float](), list[float]()
    for row, profile in enumerate(profiles):
        names = profile.categories or dict(zip(profile.item_ids, profile.item_weights, strict=True))
        for name, weight in names.items():
            column, sign = _hashed(name)
            columns.append(column)
            signs.append(sign)
            weights.append(weight)
        rows.extend([row] * len(names))
    vectors = np.zeros((len(profiles), DIMENSIONS))
    np.add.at(vectors, (rows, columns), np.array(signs) * np.sqrt(np.array(weights)))
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return vectors / np.where(lengths > 0.0, lengths, 1.0)


@lru_cache(maxsize=65536)
def _hashed(name: str) -> tuple[int, float]:
    mark = murmur2(name.encode())
    return mark % DIMENSIONS, 1.0 if mark & 0x8000 else -1.0
