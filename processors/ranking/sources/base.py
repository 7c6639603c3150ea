"""What a candidate source is, the users that it is asked about, and the pairs that it proposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from processors.common.arrays import Flags, Floats, Ints
from processors.common.compiled import kernel
from processors.events.event import ACTION_NUMBERS, DISLIKED, DISMISSED
from processors.items.index import ItemIndex
from processors.ranking.read_models import ReadModels
from processors.users.profile import Profile

VIEWED_BEFORE = "viewed_before"
"""Name of the kind of reason that is also true of items touched too long ago for a source to propose them."""

LANGUAGES = ("en", "zh")
"""Languages that every kind of reason has a text in."""


@dataclass(frozen=True)
class ReasonKind:
    """A kind of reason for an item to be in a slate: a claim that is only made where it is true.

    Attributes
    ----------
    name
        Its name in the messages.
    features
        Prefixes of the names of the features whose contributions to the score count for this kind.
    texts
        Text per language; ``{item}`` stands for the user's own item, ``{category}`` for the category, ``{context}`` for
        the context.
    order
        Decides between kinds that contribute equally: the lowest is given. No two kinds have the same.
    column
        Name of the source's value that must be positive for the claim to be true, and by which the user's item that led
        to it most is chosen. Without one, the claim is true of all that the source proposes.
    links
        What the text names: the user's ``item`` that led to it, a ``category``, a ``context``, or nothing.
    field_texts
        By field of the context, such as ``country``: texts to use instead of ``texts``.
    """

    name: str
    features: tuple[str, ...]
    texts: Mapping[str, str]
    order: int
    column: str | None = None
    links: Literal["item", "category", "context"] | None = None
    field_texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Visitors(msgspec.Struct, frozen=True):
    """Users that are ranked together, and their recent items as columns.

    Items that the index does not know are left out, and those that the user dislikes: they must propose nothing.

    Attributes
    ----------
    profiles
        The users, one per row.
    now_ms
        The moment that each user's slate is for, milliseconds since the epoch, int64 of shape (users,).
    begins
        Number of each user's first recent item, and at the end the number of all, int64 of shape (users + 1,).
    rows, slots, positions
        One per recent item, each user's from the oldest to the latest: the user's row, the item's slot, and how many
        items the user touched after it, 0 for the latest; int64 of shape (recent items,).
    counts, weights, times
        One per recent item: how often, with which decayed weight, and when last (milliseconds since the epoch) the user
        touched it.
    actions
        One per recent item: number of the last action on it (:data:`processors.events.event.ACTION_NUMBERS`), 0 for a
        view or click.
    """

    profiles: Sequence[Profile]
    now_ms: Ints
    begins: Ints
    rows: Ints
    slots: Ints
    positions: Ints
    counts: Floats
    weights: Floats
    times: Ints
    actions: Ints

    @classmethod
    def of(cls, profiles: Sequence[Profile], now_ms: Sequence[int], index: ItemIndex) -> Visitors:
        """Make the columns of some users' recent items.

        Parameters
        ----------
        profiles
            The users.
        now_ms
            The moment that each user's slate is for, milliseconds since the epoch.
        index
            The read model of items.
        """
        lengths = np.array([len(p.item_ids) for p in profiles], np.int64)
        begins, rows, positions = _unrolled(lengths)
        total, now = len(rows), np.array(now_ms, np.int64)
        slots = np.array(index.slots_of(list(chain.from_iterable(p.item_ids for p in profiles))), np.int64)
        counts = np.fromiter(chain.from_iterable(p.item_counts for p in profiles), np.float64, total)
        weights = np.fromiter(chain.from_iterable(p.item_weights for p in profiles), np.float64, total)
        times = np.fromiter(chain.from_iterable(p.item_times for p in profiles), np.int64, total)
        actions = chain.from_iterable(p.item_actions for p in profiles)
        numbers = np.fromiter(map(_ACTION_NUMBER, actions, repeat(0)), np.int64, total)
        visitors = cls(profiles, now, begins, rows, slots, positions, counts, weights, times, numbers)
        usable = (slots >= 0) & (numbers >= 0)
        return visitors if usable.all() else visitors._only(usable)

    def _only(self, known: Flags) -> Visitors:
        """Return the same with some of the recent items."""
        begins = np.zeros(len(self.profiles) + 1, np.int64)
        np.cumsum(np.bincount(self.rows[known], minlength=len(self.profiles)), out=begins[1:])
        return msgspec.structs.replace(
            self,
            begins=begins,
            rows=self.rows[known],
            slots=self.slots[known],
            positions=self.positions[known],
            counts=self.counts[known],
            weights=self.weights[known],
            times=self.times[known],
            actions=self.actions[known],
        )

    def __len__(self) -> int:
        return len(self.profiles)

    def split(self, users: int) -> tuple[Visitors, Visitors]:
        """Return the first so many users, and the others."""
        at = int(self.begins[users])
        first = Visitors(
            self.profiles[:users],
            self.now_ms[:users],
            self.begins[: users + 1],
            self.rows[:at],
            self.slots[:at],
            self.positions[:at],
            self.counts[:at],
            self.weights[:at],
            self.times[:at],
            self.actions[:at],
        )
        others = Visitors(
            self.profiles[users:],
            self.now_ms[users:],
            self.begins[users:] - at,
            self.rows[at:] - users,
            self.slots[at:],
            self.positions[at:],
            self.counts[at:],
            self.weights[at:],
            self.times[at:],
            self.actions[at:],
        )
        return first, others


@kernel
def _unrolled(lengths):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return where each user's recent items begin, and row and position of each: the last one has position 0."""
    begins = np.zeros(len(lengths) + 1, np.int64)
    for user in range(len(lengths)):
        begins[user + 1] = begins[user] + lengths[user]
    rows, positions = np.empty(begins[-1], np.int64), np.empty(begins[-1], np.int64)
    for user in range(len(lengths)):
        for at in range(begins[user], begins[user + 1]):
            rows[at], positions[at] = user, begins[user + 1] - 1 - at
    return begins, rows, positions


class ProposedPairs(msgspec.Struct, frozen=True):
    """What a source proposes: pairs of user and item, as columns of shape (pairs,).

    A user and an item may come in several pairs, whose values are then added up. The pairs of the first user come
    first, then those of the second, and so on. Within a user the order must follow from the items, not from their
    slots: it is the order of the candidates, and of every sum over them.

    Attributes
    ----------
    rows, slots
        Row of the user and slot of the item.
    values
        How strongly the item is proposed, from 0 for not at all to any finite number: float64 of shape (pairs,
        columns), one column for each of the source's :attr:`Source.columns`.
    links
        The user's own item (slot) that led to each pair, for the reason; :obj:`None` if no items lead to them.
    contexts
        The user's context that led to each pair, an index into
        :attr:`processors.models.context_popularity.ContextPopularity.names`; :obj:`None` if no contexts lead to them.
    """

    rows: Ints
    slots: Ints
    values: Floats
    links: Ints | None = None
    contexts: Ints | None = None


def for_everybody(slots: Ints, users: int) -> ProposedPairs:
    """Propose the same items to each of so many users, without values."""
    rows, repeated = _repeated(slots, users)
    return ProposedPairs(rows, repeated, no_values(len(rows)))


@kernel
def _repeated(slots, users):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return rows and slots of the pairs of each user and each item."""
    n = len(slots)
    rows, repeated = np.empty(users * n, np.int64), np.empty(users * n, np.int64)
    for user in range(users):
        rows[user * n : (user + 1) * n] = user
        repeated[user * n : (user + 1) * n] = slots
    return rows, repeated


def no_values(pairs: int) -> Floats:
    """Return the values of a source without columns, for so many pairs."""
    return np.empty((pairs, 0))


class Source(Protocol):
    """Proposes items to many users at once, and carries its settings, baseline weights and reasons.

    Promises: a source changes neither the visitors nor the read models; the same ones give the same pairs in every
    process; and what it proposes to a user does not depend on which other users it is asked about.
    """

    name: str
    """Its name in messages and settings."""

    columns: tuple[str, ...]
    """Names of its values; each becomes a feature of the ranker, and its square root another."""

    settings: type[msgspec.Struct]
    """Settings that it reads, under ``users.ranking.sources``. Sources that share one must declare it alike."""

    baseline: Mapping[str, float]
    """Weights of its features before anything was learned, by name; those left out have the weight 0."""

    reasons: tuple[ReasonKind, ...]
    """Kinds of reason for the items that it proposes. Without any, what no other source proposes is never shown."""

    def __init__(self, settings: Any) -> None: ...

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """Propose items to all visitors. It runs for every micro-batch: avoid loops over visitors.

        Parameters
        ----------
        visitors
            The users to propose items to.
        read
            The read models.
        """
        ...


_ACTION_NUMBER = {**ACTION_NUMBERS, DISLIKED: -1, DISMISSED: -1}.get
