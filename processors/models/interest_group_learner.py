"""How interest groups are learned: River's k-means over some users' interests, and counts of what each group chooses.

Messages, views and the read model are in :mod:`processors.models.interest_groups`.

References
----------
D. Sculley, "Web-scale k-means clustering", WWW 2010.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import numpy as np
from river.cluster import KMeans

from processors.common.arrays import Floats
from processors.common.bounded_counter import add_bounded
from processors.common.bounds import Groups, Listed, Positive, Share
from processors.models.base import ViewDecoder
from processors.models.interest_groups import DIMENSIONS, INTERESTS_BYTES, GroupView, Interests

_ALIKE = 0.8
_LABELS = 3
_MOST_CATEGORIES = 64


class GroupsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How users are grouped.

    Parameters
    ----------
    groups
        The most groups there are; 0 for none.
    step
        Part of the way to each profile it gets that a centre moves.
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


class Group(msgspec.Struct, array_like=True):
    """A group: its centre (float64), how often it was met, and decayed counts of the items and categories chosen."""

    centre: bytes
    members: int = 0
    choices: float = 0.0
    items: dict[str, float] = msgspec.field(default_factory=dict)
    categories: dict[str, float] = msgspec.field(default_factory=dict)


class GroupsState(msgspec.Struct, array_like=True):
    """All groups, by number; how many profiles they have learned, and had learned at the last broadcast."""

    groups: list[Group] = msgspec.field(default_factory=list)
    learned: int = 0
    published: int = 0


class InterestGroupLearner:
    """The learned model of interest groups (:class:`processors.models.base.LearnedModel`).

    Parameters
    ----------
    settings
        How users are grouped.

    Examples
    --------
    >>> from processors.models.interest_groups import vectors_of
    >>> from processors.users.profile import Profile
    >>> model, state = InterestGroupLearner(GroupsSettings()), GroupsState()
    >>> camper = Profile(categories={"tents": 3.0, "lamps": 1.0}, events=4)
    >>> vectors = vectors_of([camper]).astype("<f4").tobytes()
    >>> model.learn(state, Interests(vectors, ("stove",), ("cooking",)))
    >>> [view] = model.view(state)
    >>> view.items, view.labels, view.share
    (('stove',), ('cooking',), 1.0)
    """

    key = "groups"
    state_field = "groups"
    message_field = "interests"
    message_bytes = INTERESTS_BYTES
    decode = ViewDecoder(tuple[GroupView, ...])

    def __init__(self, settings: GroupsSettings) -> None:
        self._settings = settings

    def new_state(self) -> GroupsState:
        """Return the state before anything was learned."""
        return GroupsState()

    def check(self, message: Interests) -> None:
        """Make sure that the interests are usable.

        Raises
        ------
        ValueError
            If they are not.
        """
        message.rows()

    def learn(self, state: GroupsState, message: Interests) -> None:
        """Move the nearest centre towards each profile and count its choice, in place.

        A profile that is like no centre begins a group of its own while there is room. Complexity: 0.1 ms a profile.

        Raises
        ------
        ValueError
            If the interests are unusable; the state is unchanged then.
        """
        rows = message.rows()
        if not self._settings.groups or not len(rows):
            return
        means = self._means(state)
        for row, item, category in zip(rows, message.items, message.categories, strict=True):
            number = self._assign(means, row, state)
            group = state.groups[number]
            group.members += 1
            self._count(group, item, category)
            state.learned += 1
        for number, group in enumerate(state.groups):
            group.centre = np.array([means.centers[number][at] for at in range(DIMENSIONS)]).tobytes()

    def progress(self, state: GroupsState) -> int:
        """Return the number of profiles learned."""
        return state.learned

    def due(self, state: GroupsState, before: object) -> bool:  # noqa: ARG002  # its own count goes further back
        """Tell whether enough was learned since the last broadcast; if so, the next one counts from now."""
        if state.learned - state.published < self._settings.published_every:
            return False
        state.published = state.learned
        return True

    def view(self, state: GroupsState) -> tuple[GroupView, ...]:
        """Return what is published of the groups, by number."""
        return tuple(self._view_of(group, state.learned) for group in state.groups)

    def _view_of(self, group: Group, learned: int) -> GroupView:
        items = _most_counted(group.items, self._settings.published_items)
        top = items[0][1] if items else 1.0
        return GroupView(
            centre=np.frombuffer(group.centre).astype("<f4").tobytes(),
            share=group.members / max(learned, 1),
            labels=tuple(name for name, _ in _most_counted(group.categories, _LABELS)),
            items=tuple(name for name, _ in items),
            weights=tuple(weight / top for _, weight in items),
        )

    def _means(self, state: GroupsState) -> Any:
        """Return River's k-means with the centres as they were left."""
        means: Any = KMeans(n_clusters=len(state.groups), halflife=self._settings.step, sigma=0)
        for number, group in enumerate(state.groups):
            means.centers[number] = _sparse(np.frombuffer(group.centre))
        return means

    def _assign(self, means: Any, row: Floats, state: GroupsState) -> int:
        """Return the number of the group that a profile goes to, and move that group's centre."""
        point = _sparse(row)
        if len(state.groups) < self._settings.groups:
            similarity = [float(row @ np.frombuffer(group.centre)) for group in state.groups]
            if max(similarity, default=0.0) < _ALIKE:
                means.centers[len(state.groups)] = point
                state.groups.append(Group(row.tobytes()))
                return len(state.groups) - 1
        return int(means.learn_predict_one(point))

    def _count(self, group: Group, item: str, category: str) -> None:
        add_bounded(group.items, item, 1.0, self._settings.items, renew=True)
        if category:
            add_bounded(group.categories, category, 1.0, _MOST_CATEGORIES, renew=True)
        group.choices += 1.0
        if group.choices >= self._settings.fading_choices:
            group.choices /= 2.0
            group.items = {name: count / 2.0 for name, count in group.items.items()}
            group.categories = {name: count / 2.0 for name, count in group.categories.items()}


def _sparse(row: Floats) -> dict[int, float]:
    found = defaultdict[int, float](float)
    found.update(enumerate(row.tolist()))
    return found


def _most_counted(counts: dict[str, float], n: int) -> list[tuple[str, float]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:n]
