"""Features: what the ranker scores candidates by, one row per feature over the candidates of many users.

Every feature lies in [0, 1], so that one learning rate suits all. A source's value is divided by the greatest value
among the user's candidates, so that it means the same for a user with one visit and one with sixty. Its square root is
a feature, too, because the best candidates differ less in worth than in value.
"""

from __future__ import annotations

import math

import numpy as np

from processors.common.arrays import Features, Floats, Ints
from processors.common.compiled import kernel
from processors.common.time import DAY_MS, HOUR_MS
from processors.items.index import ItemIndex
from processors.items.view import NO_ENTRIES
from processors.ranking.candidates import OLDER, RECENT, Candidates
from processors.ranking.feature_names import HISTORY_FEATURES, ITEM_FEATURES, TASTE_FEATURES
from processors.ranking.frame import Frame, Stage

_PAUSE_MS = HOUR_MS / 2.0
"""Time since the last event after which a user counts as coming back after a pause by 1 - 1/e."""

_AGES_MS = np.array([HOUR_MS / 12.0, HOUR_MS, DAY_MS, 4.0 * DAY_MS])
"""Scales of the features ``own_age_…``."""

_FRESH_MS = np.array([DAY_MS, HOUR_MS], np.float64)
"""Scales of the features ``item_fresh`` and ``item_lately``."""

_TOUCHED = np.uint32(RECENT | OLDER)

_RECENT_DECAY = 0.7 ** np.arange(1024)
"""Weight of an item by its position in ``category_recent``; beyond the last position it is 0."""


def features_of(candidates: Candidates, index: ItemIndex) -> Features:
    """Compute the features of the candidates.

    Parameters
    ----------
    candidates
        Candidates of some users.
    index
        The read model of items.

    Returns
    -------
    features
        Float32 of shape (features, candidates), all in [0, 1]; rows in the order of
        :func:`processors.ranking.feature_names.feature_names`.
    """
    visitors, attributes, popularity = candidates.visitors, index.attributes, index.popularity
    of_sources = 2 * len(candidates.columns)
    of_items = of_sources + len(ITEM_FEATURES)
    of_history = of_items + len(HISTORY_FEATURES)
    features = np.zeros((of_history + len(TASTE_FEATURES), len(candidates)), np.float32)
    history, taste, now = features[of_items:of_history], features[of_history:], visitors.now_ms
    last_seen = np.array([profile.last_seen for profile in visitors.profiles], np.int64)
    paused = _paused(now, last_seen, _PAUSE_MS)
    _of_sources(candidates.begins, candidates.amounts, features)
    _of_items(
        features[of_sources:of_items], candidates.rows, candidates.slots, now, popularity.trends, popularity.visits,
        popularity.entries, attributes.category, popularity.category_trend, popularity.tops(), attributes.since,
        index.last_seen, _FRESH_MS, NO_ENTRIES,
    )  # fmt: skip
    _of_taste(
        taste, candidates.begins, candidates.slots, candidates.marks, visitors.begins, visitors.slots,
        visitors.weights, visitors.positions, attributes.category, attributes.brand, attributes.log_price, paused,
        _RECENT_DECAY, _TOUCHED,
    )  # fmt: skip
    _of_history(
        history, taste, candidates.history, visitors.begins, visitors.positions, visitors.counts, visitors.weights,
        visitors.times, visitors.actions, now, paused, _AGES_MS,
    )  # fmt: skip
    return features


class Describe(Stage):
    """Compute what the ranker scores candidates by: popularity, the user's history with the item, the user's taste."""

    name = "describe"
    shared = True

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.features = features_of(frame.candidates, frame.read.items)
        return frame


@kernel
def _paused(now_ms, last_seen_ms, scale_ms):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return how long ago each user's last event was: 0 for just now, towards 1 beyond half an hour."""
    paused = np.empty(len(now_ms))
    for user in range(len(now_ms)):
        paused[user] = 1.0 - math.exp(-max(np.float64(now_ms[user] - last_seen_ms[user]), 0.0) / scale_ms)
    return paused


@kernel
def _of_sources(begins, amounts, features):  # type: ignore[no-untyped-def]  # numba finds the types
    """Write each value of the sources relative to the user's best, and its square root, into the first rows."""
    for row in range(len(amounts)):
        for user in range(len(begins) - 1):
            first, end, best = np.uint64(begins[user]), np.uint64(begins[user + 1]), 0.0
            for at in range(first, end):
                if amounts[row, at] > best:
                    best = amounts[row, at]
            if best > 0.0:
                for at in range(first, end):
                    features[2 * row, at] = amounts[row, at] / best
                for at in range(first, end):
                    features[2 * row + 1, at] = math.sqrt(features[2 * row, at])


@kernel
def _of_items(  # type: ignore[no-untyped-def]  # numba finds the types
    features,
    rows,
    slots,
    now_ms,
    trends,
    visits,
    entries,
    category,
    category_trend,
    tops,
    since,
    last_seen,
    scales_ms,
    none,
):
    """Write the rows of ITEM_FEATURES: popularity at each time scale, of all time and in the category, and ages.

    Users share many candidates: what is known of the item alone is computed for the first of them and copied for the
    others, which a hash table with open addressing finds.
    """
    size = 2
    while size < 2 * len(slots):
        size *= 2
    firsts = np.full(size, -1, np.int32)
    for at in range(len(slots)):
        slot, now = slots[at], now_ms[rows[at]]
        entry = slot & (size - 1)
        while firsts[entry] >= 0 and slots[firsts[entry]] != slot:
            entry = (entry + 1) & (size - 1)
        first = firsts[entry]
        if first >= 0:
            for row in range(11):
                features[row, at] = features[row, first]
        else:
            firsts[entry] = at
            for scale in range(3):
                trend = math.exp2(min(trends[scale, slot] - tops[scale], 0.0))
                features[2 * scale, at], features[2 * scale + 1, at] = trend, math.sqrt(trend)
            share = visits[slot] / tops[3]
            features[6, at], features[7, at] = share, math.sqrt(share)
            if entries[slot] > none:
                begun = math.exp2(min(entries[slot] - tops[4], 0.0))
                features[8, at], features[9, at] = begun, math.sqrt(begun)
            if category[slot] > 0 and visits[slot] > 0.0:
                features[10, at] = math.exp2(min(trends[1, slot] - category_trend[category[slot]], 0.0))
        features[11, at] = math.exp(-max(now - since[slot], 0.0) / scales_ms[0])
        features[12, at] = math.exp(-max(np.float64(now - last_seen[slot]), 0.0) / scales_ms[1])


@kernel
def _of_taste(  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    features, begins, slots, marks, recent_begins, recent_slots, weights, positions, category, brand, log_price,
    paused, decay, any_touch,
):  # fmt: skip
    """Write the rows of TASTE_FEATURES.

    The share of a label (category, brand) is its part of the weights of the user's recent items. ``decay`` has the
    weight of a recent item by its position, for ``category_recent``.
    """
    labels, of_label = np.empty((2, 1), np.int64), np.empty((3, 1))
    for user in range(len(begins) - 1):
        first, end = recent_begins[user], recent_begins[user + 1]
        if labels.shape[1] < end - first:
            labels, of_label = np.empty((2, 2 * (end - first)), np.int64), np.empty((3, 2 * (end - first)))
        n, brands, total, total_recent, priced, price = 0, 0, 0.0, 0.0, 0.0, 0.0
        last_category = np.int64(-1)
        for at in range(first, end):
            slot, weight, position = recent_slots[at], weights[at], positions[at]
            recency = decay[position] if position < len(decay) else 0.0
            total += weight
            total_recent += recency
            if positions[at] == 0:
                last_category = np.int64(category[slot])
            if log_price[slot] == log_price[slot]:
                priced += weight
                price += weight * log_price[slot]
            entry = 0
            while entry < n and labels[0, entry] != category[slot]:
                entry += 1
            if entry == n:
                labels[0, n], of_label[0, n], of_label[1, n] = category[slot], 0.0, 0.0
                n += 1
            of_label[0, entry] += weight
            of_label[1, entry] += recency
            entry = 0
            while entry < brands and labels[1, entry] != brand[slot]:
                entry += 1
            if entry == brands:
                labels[1, brands], of_label[2, brands] = brand[slot], 0.0
                brands += 1
            of_label[2, entry] += weight
        total = total if total > 0.0 else 1.0
        total_recent = total_recent if total_recent > 0.0 else 1.0
        for at in range(np.uint64(begins[user]), np.uint64(begins[user + 1])):
            slot = slots[at]
            same = 1.0 if category[slot] > 0 and category[slot] == last_category else 0.0
            if category[slot] > 0:
                for entry in range(n):
                    if labels[0, entry] == category[slot]:
                        features[0, at] = of_label[0, entry] / total
                        features[1, at] = of_label[1, entry] / total_recent
            features[2, at], features[3, at] = same, same * paused[user]
            if brand[slot] > 0:
                for entry in range(brands):
                    if labels[1, entry] == brand[slot]:
                        share = of_label[2, entry] / total
                        features[4, at], features[5, at] = share, share * same
            if priced > 0.0 and log_price[slot] == log_price[slot]:
                features[6, at] = math.exp(-abs(log_price[slot] - price / priced))
            features[7, at] = 1.0 if marks[at] & any_touch else 0.0


@kernel
def _of_history(  # type: ignore[no-untyped-def]  # numba finds the types
    features, taste, history, begins, positions, counts, weights, times, actions, now_ms, paused, scales_ms
):
    """Write the rows of HISTORY_FEATURES for the candidates that are recent items; ``taste`` is written before."""
    for user in range(len(begins) - 1):
        heaviest = 0.0
        for at in range(begins[user], begins[user + 1]):
            heaviest = max(heaviest, weights[at])
        heaviest = heaviest if heaviest > 0.0 else 1.0
        for at in range(begins[user], begins[user + 1]):
            candidate, near = history[at], 1.0 / (1.0 + positions[at])
            age, weight, same = (
                max(np.float64(now_ms[user] - times[at]), 0.0),
                weights[at] / heaviest,
                taste[2, history[at]],
            )
            features[0, candidate], features[1, candidate] = 1.0, near
            for position in range(3):
                features[2 + position, candidate] = 1.0 if positions[at] == position else 0.0
            features[5, candidate] = 1.0 - 1.0 / counts[at]
            for scale in range(4):
                features[6 + scale, candidate] = math.exp(-age / scales_ms[scale])
            features[10, candidate] = near * paused[user]
            for action in range(3):
                features[11 + action, candidate] = 1.0 if actions[at] == action + 1 else 0.0
            features[14, candidate], features[15, candidate] = weight, same
            features[16, candidate] = weight * same


def nearness(age_ms: Ints | Floats, scale_ms: int) -> Floats:
    """Map an age to 1 for just now, 1/e at the scale, and towards 0 for long ago; both in milliseconds.

    Examples
    --------
    >>> nearness(np.array([0, 1000]), 1000).round(2).tolist()
    [1.0, 0.37]
    """
    return np.exp(-np.maximum(age_ms, 0) / scale_ms)
