"""Interest groups: users whose interests are alike, found by clustering, and what each group chooses.

A profile's decayed interests become a short vector by feature hashing: of its categories, or of its items where events
name no categories. The models plane clusters some of them with River's k-means, counts what each group chooses, and
broadcasts centres and choices. A group keeps its number for as long as there are groups; what moves is its centre.
Which group a profile is in is not stored: it follows from the profile and the centres.

References
----------
K. Weinberger, A. Dasgupta, J. Langford, A. Smola, J. Attenberg, "Feature hashing for large scale multitask learning",
ICML 2009. D. Sculley, "Web-scale k-means clustering", WWW 2010.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from river.cluster import KMeans

from processors.common.bounded_counter import add_bounded
from processors.common.bounds import MAX_ID_CHARACTERS, Groups, Listed, Positive, Share
from processors.common.hashing import murmur2
from processors.events.event import Event
from processors.users.profile import Profile

GROUPS = "groups"
"""Key of the groups' view on the topic of models."""

DIMENSIONS = 32
INTERESTS = 1
"""Users per micro-batch whose interests the groups learn from, at most: bounds the cost under load."""

INTERESTS_BYTES = INTERESTS * (4 * DIMENSIONS + 8 * MAX_ID_CHARACTERS + 16)
"""Bytes of interests in a message, at most."""

_FEWEST_EVENTS = 3
_ALIKE = 0.8
_LABELS = 3
_LARGEST_LABELS = 64


class GroupsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How users are grouped.

    Parameters
    ----------
    groups
        How many groups there are at most; 0 for none.
    step
        How far a centre moves towards each profile it gets.
    items
        Chosen items counted per group; the rarest goes first.
    published_items
        The group's top items that are broadcast.
    fading_choices
        After so many choices of a group all its counts are halved, so that it follows what is chosen now.
    published_every
        Profiles learned between two broadcasts.
    """

    groups: Groups = 8
    step: Share = 0.05
    items: Positive = 60
    published_items: Listed = 40
    fading_choices: Positive = 500
    published_every: Positive = 32


class Interests(msgspec.Struct, array_like=True, frozen=True):
    """Some users' interests, and what each of them chose next.

    ``vectors`` is little-endian float32 of shape (users, :data:`DIMENSIONS`), each of length 1; ``items`` and
    ``categories`` have one entry per user, the category being empty where the event named none.
    """

    vectors: bytes = b""
    items: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()

    def rows(self) -> np.ndarray:
        """Vectors as rows of float64.

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


class Group(msgspec.Struct, array_like=True):
    """A group: its centre (float64), how often it was met, and decayed counts of the items and categories chosen."""

    centre: bytes
    members: int = 0
    choices: float = 0.0
    items: dict[str, float] = msgspec.field(default_factory=dict)
    categories: dict[str, float] = msgspec.field(default_factory=dict)


class GroupsState(msgspec.Struct, array_like=True):
    """All groups, by number, and how many profiles they have learned."""

    groups: list[Group] = msgspec.field(default_factory=list)
    learned: int = 0
    published: int = 0


class GroupView(msgspec.Struct, array_like=True, frozen=True):
    """What the read models get of a group.

    Parameters
    ----------
    centre
        Little-endian float32 of length :data:`DIMENSIONS`.
    share
        Of all profiles learned, those of this group.
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


class InterestGroupLearner:
    """Folds interests into groups.

    Examples
    --------
    >>> keeper, state = InterestGroupLearner(GroupsSettings()), GroupsState()
    >>> camper = Profile(categories={"tents": 3.0, "lamps": 1.0}, events=4)
    >>> vectors = vectors_of([camper]).astype("<f4").tobytes()
    >>> keeper.learn(state, Interests(vectors, ("stove",), ("cooking",)))
    >>> [view] = keeper.view(state)
    >>> view.items, view.labels, view.share
    (('stove',), ('cooking',), 1.0)
    """

    def __init__(self, settings: GroupsSettings) -> None:
        self._settings = settings

    def learn(self, state: GroupsState, interests: Interests) -> None:
        """Move the nearest centre towards each profile and count its choice, in place.

        A profile that is like no centre begins a group of its own while there is room. Complexity: 0.1 ms a profile.

        Raises
        ------
        ValueError
            If the interests are unusable; the state is unchanged then.
        """
        rows = interests.rows()
        if not self._settings.groups or not len(rows):
            return
        means = self._means(state)
        for row, item, category in zip(rows, interests.items, interests.categories, strict=True):
            number = self._place(means, row, state)
            group = state.groups[number]
            group.members += 1
            self._count(group, item, category)
            state.learned += 1
        for number, group in enumerate(state.groups):
            group.centre = np.array([means.centers[number][at] for at in range(DIMENSIONS)]).tobytes()

    def due(self, state: GroupsState) -> bool:
        """Whether enough was learned since the last broadcast; if so, the next one counts from now."""
        if state.learned - state.published < self._settings.published_every:
            return False
        state.published = state.learned
        return True

    def view(self, state: GroupsState) -> tuple[GroupView, ...]:
        """What is published of the groups, by number."""
        return tuple(self._view_of(group, state.learned) for group in state.groups)

    def _view_of(self, group: Group, learned: int) -> GroupView:
        items = _strongest(group.items, self._settings.published_items)
        top = items[0][1] if items else 1.0
        return GroupView(
            centre=np.frombuffer(group.centre).astype("<f4").tobytes(),
            share=group.members / max(learned, 1),
            labels=tuple(name for name, _ in _strongest(group.categories, _LABELS)),
            items=tuple(name for name, _ in items),
            weights=tuple(weight / top for _, weight in items),
        )

    def _means(self, state: GroupsState) -> Any:
        """River's k-means, put back to where it was."""
        means: Any = KMeans(n_clusters=len(state.groups), halflife=self._settings.step, sigma=0)
        for number, group in enumerate(state.groups):
            means.centers[number] = _sparse(np.frombuffer(group.centre))
        return means

    def _place(self, means: Any, row: np.ndarray, state: GroupsState) -> int:
        point = _sparse(row)
        if len(state.groups) < self._settings.groups:
            likeness = [float(row @ np.frombuffer(group.centre)) for group in state.groups]
            if max(likeness, default=0.0) < _ALIKE:
                means.centers[len(state.groups)] = point
                state.groups.append(Group(row.tobytes()))
                return len(state.groups) - 1
        return int(means.learn_predict_one(point))

    def _count(self, group: Group, item: str, category: str) -> None:
        add_bounded(group.items, item, 1.0, self._settings.items, renew=True)
        if category:
            add_bounded(group.categories, category, 1.0, _LARGEST_LABELS, renew=True)
        group.choices += 1.0
        if group.choices >= self._settings.fading_choices:
            group.choices /= 2.0
            group.items = {name: count / 2.0 for name, count in group.items.items()}
            group.categories = {name: count / 2.0 for name, count in group.categories.items()}


class InterestGroups:
    """The read model of groups.

    Attributes
    ----------
    views : tuple of GroupView
        As last published, by number.

    Examples
    --------
    >>> book = InterestGroups()
    >>> book.of([Profile(categories={"tents": 1.0}, events=9)]).tolist()
    [-1]
    """

    def __init__(self) -> None:
        self.apply(())

    def apply(self, views: Sequence[GroupView]) -> None:
        """Take over what was published; none forgets all groups."""
        self.views = tuple(views)
        flat = np.frombuffer(b"".join(view.centre for view in views), "<f4").reshape(-1, DIMENSIONS)
        self._centres = flat.astype(np.float64)
        self._squares = (self._centres**2).sum(axis=1)

    def of(self, profiles: Sequence[Profile]) -> np.ndarray:
        """Number of each profile's group, int64; -1 for who is too little known, or while there are no groups.

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


def interests_of(profiles: Sequence[Profile], events: Sequence[Event]) -> Interests:
    """What the next events of some users teach, given the profiles as they were before; :data:`INTERESTS` at most."""
    known = [row for row, profile in enumerate(profiles) if is_known(profile)][:INTERESTS]
    return Interests(
        vectors=vectors_of([profiles[row] for row in known]).astype("<f4").tobytes(),
        items=tuple(events[row].item_id for row in known),
        categories=tuple(events[row].category or "" for row in known),
    )


def is_known(profile: Profile) -> bool:
    """Whether enough is known of a user to say which group is theirs."""
    return profile.events >= _FEWEST_EVENTS


def vectors_of(profiles: Sequence[Profile]) -> np.ndarray:
    """Interests as vectors of length 1, float64 of shape (profiles, :data:`DIMENSIONS`).

    Square roots of the weights, so that one passion does not hide the rest.

    Examples
    --------
    >>> near, far = Profile(categories={"tents": 2.0, "boots": 1.0}), Profile(categories={"novels": 1.0})
    >>> vectors = vectors_of([Profile(categories={"tents": 1.0}), near, far])
    >>> bool(vectors[0] @ vectors[1] > 0.7 > vectors[0] @ vectors[2])
    True
    """
    rows, places, signs, weights = list[int](), list[int](), list[float](), list[float]()
    for row, profile in enumerate(profiles):
        names = profile.categories or dict(zip(profile.item_ids, profile.item_weights, strict=True))
        for name, weight in names.items():
            place, sign = _hashed(name)
            places.append(place)
            signs.append(sign)
            weights.append(weight)
        rows.extend([row] * len(names))
    vectors = np.zeros((len(profiles), DIMENSIONS))
    np.add.at(vectors, (rows, places), np.array(signs) * np.sqrt(np.array(weights)))
    lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
    return vectors / np.where(lengths > 0.0, lengths, 1.0)


def decode_groups(value: bytes | None) -> tuple[GroupView, ...]:
    """Views of a broadcast record's value; a tombstone gives none."""
    return () if value is None else _DECODER.decode(value)


@lru_cache(maxsize=65536)
def _hashed(name: str) -> tuple[int, float]:
    mark = murmur2(name.encode())
    return mark % DIMENSIONS, 1.0 if mark & 0x8000 else -1.0


def _sparse(row: np.ndarray) -> dict[int, float]:
    found = defaultdict[int, float](float)
    found.update(enumerate(row.tolist()))
    return found


def _strongest(counts: dict[str, float], n: int) -> list[tuple[str, float]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:n]


_DECODER = msgspec.msgpack.Decoder(tuple[GroupView, ...])
