"""Item-based collaborative filtering by the book: what is similar to a user's items, by how much each counts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import HalfLife, Reach
from processors.common.compiled import kernel
from processors.common.time import DAY_MS
from processors.events.event import ACTION_NUMBERS, ACTION_WEIGHTS
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors

_STRENGTHS = np.array(
    [1.0, *(ACTION_WEIGHTS[action] for action, _ in sorted(ACTION_NUMBERS.items(), key=lambda entry: entry[1]))]
)
"""Strength of the last act on an item, by its number: a look, and then what says more."""


class ItemBasedSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many items are looked at, and how they fade.

    Parameters
    ----------
    rated_items
        Last items of a user that count; 0 turns the source off.
    similar_to_each
        Most similar items of each.
    rated_half_life_ms
        After this long an act counts half; milliseconds.
    """

    rated_items: Reach = 5
    similar_to_each: Reach = 12
    rated_half_life_ms: HalfLife = DAY_MS


class ItemBased:
    r"""Proposes ``i`` by ``r(u, i) = sum over j of alpha_j * r(u, j) * s(i, j)``, ``j`` being the user's last items.

    * ``alpha_j`` is the recency of ``j``: 1 for now, half of it after each ``rated_half_life_ms``.
    * ``r(u, j)`` is the strength of the user's last act on ``j``: 1 for a look, 3 for a favourite, 4 for a cart, 6 for
    a
      purchase (:data:`processors.events.event.ACTION_WEIGHTS`), so that what was bought proposes more than what was
      seen. What was rated low or dismissed proposes nothing.
    * ``s(i, j)`` is the similarity of ``i`` to ``j``: the share of ``i`` in all co-visitation of ``j``, which is
      normalised: over all ``i`` it sums to 1.

    A worked example: somebody put the tent into the cart a day ago and has just looked at the mat. Of what goes with
    the tent, lamps are 0.6 and stoves 0.4; of what goes with the mat, lamps are 0.5. Then the lamp counts ``0.5 * 4 *
    0.6 + 1 * 1 * 0.5 = 1.7``, the stove ``0.5 * 4 * 0.4 = 0.8``.

    References
    ----------
    B. Sarwar, G. Karypis, J. Konstan, J. Riedl, "Item-based collaborative filtering recommendation algorithms", WWW
    2001; Y. Ding, X. Li, "Time weight collaborative filtering", CIKM 2005 (the decay).
    """

    name = "item_based"
    columns: tuple[str, ...] = ("item_based",)
    settings: type[msgspec.Struct] = ItemBasedSettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "goes_with", ("item_based",),
            {"en": "Goes with {item}", "zh": "与 {item} 相配"}, order=15, column="item_based", links="item",
        ),
    )  # fmt: skip

    def __init__(self, settings: ItemBasedSettings) -> None:
        self._items, self._similar = settings.rated_items, settings.similar_to_each
        self._half_life_ms = float(settings.rated_half_life_ms)

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        index = read.items
        return ProposedPairs(
            *_proposed(
                visitors.rows, visitors.slots, visitors.positions, visitors.times, visitors.actions, visitors.now_ms,
                index.neighbours, index.together, _STRENGTHS, self._half_life_ms, self._items, self._similar,
            )
        )  # fmt: skip


@kernel
def _proposed(  # type: ignore[no-untyped-def]  # numba finds the types
    rows, slots, positions, times, actions, now_ms, neighbours, together, strengths, half_life_ms, items, similar
):
    """Return rows, slots, values and links of the pairs: what each of the last items adds to the sum."""
    width, n = min(similar, neighbours.shape[1]), 0
    most = len(slots) * width
    pair_rows, pair_slots = np.empty(most, np.int64), np.empty(most, np.int64)
    values, links = np.empty((most, 1)), np.empty(most, np.int64)
    for at in range(len(slots)):
        if positions[at] >= items:
            continue
        age = max(np.float64(now_ms[rows[at]] - times[at]), 0.0)
        weight = strengths[actions[at]] * math.exp2(-age / half_life_ms)
        for column in range(width):
            share = np.float64(together[slots[at], column])
            if share > 0.0:
                pair_rows[n], pair_slots[n], links[n] = rows[at], neighbours[slots[at], column], slots[at]
                values[n, 0] = weight * share
                n += 1
    return pair_rows[:n], pair_slots[:n], values[:n], links[:n]
