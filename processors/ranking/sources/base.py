"""What a candidate source is, and the users it is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, Literal, Protocol

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.events.event import ACTION_NUMBERS
from processors.items.index import ItemIndex
from processors.ranking.read_models import ReadModels
from processors.users.profile import Profile

VIEWED_BEFORE = "viewed_before"
"""The kind that also holds for what the user touched so long ago that no source proposes it."""

Locale = Literal["en", "zh"]
"""Languages that reasons have texts in."""


@dataclass(frozen=True)
class ReasonKind:
    """A kind of reason for an item to be in a slate: a claim, which must be true where it is made.

    Attributes
    ----------
    name
        In the messages.
    features
        Prefixes of the features that speak for it.
    texts
        Per locale; ``{item}`` is the user's own item, ``{category}`` the category, ``{context}`` the context.
    order
        Of equal contributions, the kind with the lowest is named. No two kinds have the same.
    column
        Value of the source which must be positive, and by which the strongest of the user's items is named; without
        one, having been proposed is enough.
    links
        What the text names: the user's ``item`` that led to it, a ``category``, a ``context``, or nothing.
    field_texts
        Texts for a context of one field, such as a country, instead of ``texts``.
    """

    name: str
    features: tuple[str, ...]
    texts: Mapping[Locale, str]
    order: int
    column: str | None = None
    links: Literal["item", "category", "context"] | None = None
    field_texts: Mapping[str, Mapping[Locale, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Visitors:
    """Users of one pass and their recent items as columns; items the index doesn't know are left out.

    Attributes
    ----------
    profiles
        One per row.
    now_ms
        Per row, the moment at which the slate is for.
    rows, slots, positions
        The user's row, the item, and 0 for the user's latest item.
    counts, weights, times
        How often, with which decayed weight, and when last (milliseconds) the user touched it.
    actions
        Number of the last action on it (:data:`ACTION_NUMBERS`), 0 for a look.
    """

    profiles: Sequence[Profile]
    now_ms: Ints
    rows: Ints
    slots: Ints
    positions: Ints
    counts: Floats
    weights: Floats
    times: Ints
    actions: Ints

    @classmethod
    def of(cls, profiles: Sequence[Profile], now_ms: Sequence[int], index: ItemIndex) -> Visitors:
        """Columns of the profiles' recent items."""
        lengths = np.fromiter((len(p.item_ids) for p in profiles), np.int64, len(profiles))
        total = int(lengths.sum())
        rows = np.repeat(np.arange(len(profiles)), lengths)
        positions = np.cumsum(lengths)[rows] - 1 - np.arange(total)
        slots = np.array(index.slots_of(list(chain.from_iterable(p.item_ids for p in profiles))), np.int64)
        counts = np.fromiter(chain.from_iterable(p.item_counts for p in profiles), np.float64, total)
        weights = np.fromiter(chain.from_iterable(p.item_weights for p in profiles), np.float64, total)
        times = np.fromiter(chain.from_iterable(p.item_times for p in profiles), np.int64, total)
        actions = chain.from_iterable(p.item_actions for p in profiles)
        numbers = np.fromiter(map(_ACTION_NUMBER, actions, repeat(0)), np.int64, total)
        now = np.asarray(now_ms, np.int64)
        known = slots >= 0
        if known.all():
            return cls(profiles, now, rows, slots, positions, counts, weights, times, numbers)
        return cls(
            profiles,
            now,
            rows[known],
            slots[known],
            positions[known],
            counts[known],
            weights[known],
            times[known],
            numbers[known],
        )

    def __len__(self) -> int:
        return len(self.profiles)


@dataclass(frozen=True)
class Block:
    """What a source proposes: pairs of user and item, as columns of one length.

    A pair may come several times; its values then add up.

    Attributes
    ----------
    rows, slots
        User and item.
    values
        One column per name in the source's ``columns``; not negative, 0 for "proposed, but not by this".
    links
        The user's own item (slot) that led to each pair, for the reason; :obj:`None` if none did.
    contexts
        The user's context that did, as an index into the names of the read model; :obj:`None` likewise.
    """

    rows: Ints
    slots: Ints
    values: tuple[Floats, ...]
    links: Ints | None = None
    contexts: Ints | None = None


def for_everybody(slots: Ints, users: int) -> Block:
    """The same items for each user, without values."""
    return Block(np.repeat(np.arange(users), len(slots)), np.tile(slots, users), ())


class Source(Protocol):
    """Proposes items for many users at once, and carries all that belongs to it.

    A source reads the visitors and the read models and changes neither; the same ones give the same block, in any
    process.
    """

    name: str
    """As in the messages and settings."""

    columns: tuple[str, ...]
    """Names of its values; each becomes a feature of the ranker, and its square root another."""

    settings: type[msgspec.Struct]
    """Settings that it reads, under ``users.ranking.sources``. Sources that share one declare it alike."""

    baseline: Mapping[str, float]
    """Weights of its features before anything was learned; those left out weigh nothing."""

    reasons: tuple[ReasonKind, ...]
    """What can be said of an item that it proposes. Without any, none of its items could be shown."""

    def __init__(self, settings: Any) -> None: ...

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:
        """Propose pairs for all visitors, without a loop over them where it can be helped."""
        ...


_ACTION_NUMBER = ACTION_NUMBERS.get
