"""What a candidate source is, and the users it is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Protocol

import msgspec
import numpy as np

from processors.common.arrays import Floats, Ints
from processors.common.bounds import Age, Listed, Newest, Reach, Share
from processors.events.event import ACTION_NUMBERS
from processors.items.index import ItemIndex
from processors.ranking.read_models import ReadModels
from processors.users.profile import Profile


class SourceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the sources reach.

    Parameters
    ----------
    off
        Names of sources that are left out; an empty list has them all.
    recent_items
        Recent items whose neighbours are candidates.
    last_items, earlier_neighbours
        How many of them ask for all published neighbours, and how many neighbours the ones before get.
    next_items
        The last items of them that ask "what came next".
    position_decay, long_position_decay
        Weight of an item relative to the one visited after it: when the last few items are to count, and when the whole
        history is.
    popular_items
        Popular items that are candidates for everybody, trending ones and all-time ones.
    category_items
        Popular items of each of the user's last three categories.
    first_hop, second_hop
        Neighbours of the last item, and neighbours of each of those, that a walk of two steps may take.
    content_items
        Last items that ask the catalogue for what is alike.
    content_neighbours
        Items alike that each of them gets.
    fresh_items
        New items of each of the categories of the user's last three items.
    fresh_age_ms
        How long an item counts as new.
    group_items
        Top items of the user's interest group.
    context_items
        Top items of each of the user's circumstances, such as country and device.
    context_history
        Recent items beyond which a user is known well enough without them.
    """

    off: tuple[str, ...] = ("group",)
    recent_items: Reach = 30
    last_items: Reach = 3
    earlier_neighbours: Reach = 40
    next_items: Reach = 3
    position_decay: Share = 0.8
    long_position_decay: Share = 0.95
    popular_items: Listed = 60
    category_items: Listed = 32
    first_hop: Reach = 12
    second_hop: Reach = 16
    content_items: Reach = 3
    content_neighbours: Listed = 20
    fresh_items: Newest = 8
    fresh_age_ms: Age = 604_800_000
    group_items: Listed = 20
    context_items: Listed = 20
    context_history: Reach = 3


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
    """Proposes items for many users at once.

    A source reads the visitors and the read models and changes neither; the same ones give the same block, in any
    process.
    """

    name: str
    """As in the messages and settings."""

    columns: tuple[str, ...]
    """Names of its values; each becomes a feature of the ranker."""

    def __init__(self, settings: SourceSettings) -> None: ...

    def propose(self, visitors: Visitors, read: ReadModels) -> Block:
        """Pairs for all visitors, without a loop over them where it can be helped."""
        ...


_ACTION_NUMBER = ACTION_NUMBERS.get
