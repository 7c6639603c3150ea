"""Features: what the ranker scores candidates by, one row per feature over the candidates of many users.

Every feature lies in [0, 1], so that one learning rate suits all. A source's value is divided by the greatest value
among the user's candidates, so that it means the same for a user with one visit and one with sixty. Its square root is
a feature, too, because the best candidates differ less in worth than in value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Features, Floats, Ints
from processors.common.time import DAY_MS, HOUR_MS
from processors.items.index import ItemIndex
from processors.ranking.candidates import Candidates
from processors.ranking.frame import Frame, Stage
from processors.ranking.sources.base import Visitors

_PAUSE_MS = HOUR_MS // 2
"""Time since the last event after which a user counts as coming back after a pause by 1 - 1/e."""

_AGES_MS = (HOUR_MS // 12, HOUR_MS, DAY_MS, 4 * DAY_MS)
"""Scales of the features ``own_age_…``."""

_RECENT_DECAY = 0.7
"""Weight of an item relative to the one visited after it, in ``category_recent``."""


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
    same = _of_last_category(candidates, index)
    before = (*_from_sources(candidates), *_of_items(candidates, index))
    own, after = _of_history(candidates, same), _of_taste(candidates, index, same)
    features = np.zeros((len(before) + len(own) + len(after), len(candidates)), np.float32)
    for row, column in enumerate(before):
        if column is not None:
            features[row] = column
    for row, values in enumerate(own, len(before)):
        features[row, candidates.history] = values
    for row, column in enumerate(after, len(before) + len(own)):
        features[row] = column
    return features


class Describe(Stage):
    """Compute what the ranker scores candidates by: popularity, the user's history with the item, the user's taste."""

    name = "describe"
    shared = True

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.features = features_of(frame.candidates, frame.read.items)
        return frame


def silent_rows(candidates: Candidates) -> set[int]:
    """Return the rows of :func:`features_of` that are 0 because their sources proposed nothing to any user."""
    proposing = {name for part in candidates.proposals.values() if len(part.pairs.rows) for name in part.columns}
    silent = [at for at, name in enumerate(candidates.values) if name not in proposing]
    return {row for at in silent for row in (2 * at, 2 * at + 1)}


def _from_sources(candidates: Candidates) -> list[Floats | None]:
    """Return each value of the sources relative to the user's best, and its square root; :obj:`None` for all zeros."""
    filled = np.flatnonzero(np.diff(candidates.begins))
    begins = candidates.begins[filled]
    lengths = np.diff(candidates.begins)[filled]
    columns: list[Floats | None] = []
    silent = silent_rows(candidates)
    for at, value in enumerate(candidates.values.values()):
        if 2 * at in silent:
            columns += [None, None]
            continue
        best = np.maximum.reduceat(value, begins) if len(begins) else value
        share = value / np.repeat(np.where(best > 0.0, best, 1.0), lengths)
        columns += [share, np.sqrt(share)]
    return columns


def _of_items(candidates: Candidates, index: ItemIndex) -> list[Floats]:
    """Return the columns of :data:`processors.ranking.feature_names.ITEM_FEATURES`."""
    slots, now = candidates.slots, candidates.visitors.now_ms[candidates.rows]
    # Users share many candidates: beyond the size of the index it is cheaper to compute each item once.
    if len(slots) < index.capacity:
        popularity = _popularity(slots, index)
    else:
        popularity = [column[slots] for column in _popularity(np.arange(index.capacity), index)]
    return [
        *popularity,
        nearness(now - index.attributes.since[slots], DAY_MS),
        nearness(now - index.last_seen[slots], HOUR_MS),
    ]


def _popularity(slots: Ints, index: ItemIndex) -> list[Floats]:
    """Return the popularity of items at each time scale, of all time, and within the category, 0 to 1."""
    columns = []
    for scale, trends in enumerate(index.popularity.trends):
        top = index.popularity.trending(1, scale)
        popularity = np.exp2(np.minimum(trends[slots] - (trends[top[0]] if len(top) else 0.0), 0.0))
        columns += [popularity, np.sqrt(popularity)]
    most = index.popularity.most_visited(1)
    visited, category = index.popularity.visits[slots], index.attributes.category[slots]
    visits = visited / (index.popularity.visits[most[0]] if len(most) else 1.0)
    in_category = np.exp2(np.minimum(index.popularity.trend[slots] - index.popularity.category_trend[category], 0.0))
    return [*columns, visits, np.sqrt(visits), np.where((category > 0) & (visited > 0.0), in_category, 0.0)]


def _of_history(candidates: Candidates, same: Floats) -> list[Floats]:
    """Return the columns of :data:`processors.ranking.feature_names.HISTORY_FEATURES`, one value per recent item.

    ``same`` is 1 for candidates of the category of the user's last item (:func:`_of_last_category`).
    """
    visitors = candidates.visitors
    age, of_last = visitors.now_ms[visitors.rows] - visitors.times, same[candidates.history]
    position = 1.0 / (1.0 + visitors.positions.astype(np.float64))
    weight = _relative_weights(visitors)
    return [
        np.ones(len(visitors.rows)),
        position,
        *((visitors.positions == p).astype(np.float64) for p in range(3)),
        1.0 - 1.0 / visitors.counts,
        *(nearness(age, scale) for scale in _AGES_MS),
        position * _paused(visitors)[visitors.rows],
        *((visitors.actions == number).astype(np.float64) for number in (1, 2, 3)),
        weight,
        of_last,
        weight * of_last,
    ]


def _relative_weights(visitors: Visitors) -> Floats:
    """Return the decayed weight of each of the users' items relative to the user's greatest."""
    heaviest = np.zeros(len(visitors))
    np.maximum.at(heaviest, visitors.rows, visitors.weights)
    relative: Floats = visitors.weights / np.where(heaviest > 0.0, heaviest, 1.0)[visitors.rows]
    return relative


def _paused(visitors: Visitors) -> Floats:
    """Return how long ago each user's last event was: 0 for just now, towards 1 beyond half an hour."""
    last = np.array([profile.last_seen for profile in visitors.profiles], np.int64)
    return 1.0 - nearness(visitors.now_ms - last, _PAUSE_MS)


def _of_last_category(candidates: Candidates, index: ItemIndex) -> Floats:
    """Return 1 for candidates of the category of the user's last item, 0 for others."""
    visitors = candidates.visitors
    last_category = np.full(len(visitors), -1)
    last = visitors.positions == 0
    last_category[visitors.rows[last]] = index.attributes.category[visitors.slots[last]]
    category = index.attributes.category[candidates.slots]
    same: Floats = ((category > 0) & (category == last_category[candidates.rows])).astype(np.float64)
    return same


def _of_taste(candidates: Candidates, index: ItemIndex, same: Floats) -> list[Floats]:
    """Return the columns of :data:`processors.ranking.feature_names.TASTE_FEATURES`.

    ``same`` is 1 for candidates of the category of the user's last item (:func:`_of_last_category`).
    """
    visitors, rows = candidates.visitors, candidates.rows
    recency = _RECENT_DECAY ** visitors.positions.astype(np.float64)
    brand = _share(visitors.weights, index.attributes.brand, index.attributes.brands.numbers, candidates)
    return [
        _share(visitors.weights, index.attributes.category, index.attributes.categories.numbers, candidates),
        _share(recency, index.attributes.category, index.attributes.categories.numbers, candidates),
        same,
        same * _paused(visitors)[rows],
        brand,
        brand * same,
        _price_match(candidates, index),
        candidates.touched.astype(np.float64),
    ]


def _share(weights: Floats, labels: npt.NDArray[np.int32], width: int, candidates: Candidates) -> Floats:
    """Return the share of each candidate's label in the weights of the user's recent items.

    Parameters
    ----------
    weights
        Weight of each of the users' recent items.
    labels, width
        Label of each slot, such as the number of its category, 0 for none; and how many labels there are.
    candidates
        The candidates.
    """
    visitors, of_candidate = candidates.visitors, labels[candidates.slots]
    table = np.bincount(visitors.rows * width + labels[visitors.slots], weights, len(visitors) * width)
    # Not a sum over labels: their numbers, and with them the order of the sum, differ between processes.
    total = np.bincount(visitors.rows, weights, len(visitors))
    share = table[candidates.rows * width + of_candidate] / np.where(total > 0.0, total, 1.0)[candidates.rows]
    return np.where(of_candidate > 0, share, 0.0)


def _price_match(candidates: Candidates, index: ItemIndex) -> Floats:
    """Return 1 for the mean price of the user's items, 1/e for e times as much or as little; 0 if either is unknown."""
    visitors = candidates.visitors
    prices = np.log1p(index.price[visitors.slots])
    known = np.flatnonzero(~np.isnan(prices))
    rows, weights = visitors.rows[known], visitors.weights[known]
    total = np.bincount(rows, weights, len(visitors))
    mean = np.bincount(rows, weights * prices[known], len(visitors)) / np.where(total > 0.0, total, np.nan)
    distance = np.abs(np.log1p(index.price[candidates.slots]) - mean[candidates.rows])
    near: Floats = np.nan_to_num(np.exp(-distance), nan=0.0)
    return near


def nearness(age_ms: Ints | Floats, scale_ms: int) -> Floats:
    """Map an age to 1 for just now, 1/e at the scale, and towards 0 for long ago; both in milliseconds.

    Examples
    --------
    >>> nearness(np.array([0, 1000]), 1000).round(2).tolist()
    [1.0, 0.37]
    """
    return np.exp(-np.maximum(age_ms, 0) / scale_ms)
