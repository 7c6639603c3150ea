"""What the ranker looks at: one column per feature over the candidates of many users.

Every feature lies in [0, 1], so that one learning rate suits all. A source's value is taken relative to the user's best
candidate in it, so that it means the same for a user with one visit and one with sixty; its square root stands beside
it, because the best few differ less in worth than in value.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.common.arrays import Features, Floats, Ints
from processors.common.time import DAY_MS, HOUR_MS
from processors.items.index import ItemIndex
from processors.ranking.candidates import Candidates
from processors.ranking.frame import Frame, Stage
from processors.ranking.sources import ALL
from processors.ranking.sources.base import Visitors

_PAUSE_MS = HOUR_MS // 2
_AGES_MS = (HOUR_MS // 12, HOUR_MS, DAY_MS, 4 * DAY_MS)
_RECENT_DECAY = 0.7

ITEM_FEATURES = (
    "trend_hour",
    "trend_hour_root",
    "trend_day",
    "trend_day_root",
    "trend_week",
    "trend_week_root",
    "visits",
    "visits_root",
    "trend_in_category",
    "item_fresh",
    "item_lately",
)
"""What is known of the item alone: decayed and all-time popularity relative to the top item's, popularity relative to
its category's top item, how new it is, how lately anybody touched it."""

HISTORY_FEATURES = (
    "own",
    "own_position",
    "own_last",
    "own_second",
    "own_third",
    "own_count",
    "own_age_minutes",
    "own_age_hour",
    "own_age_day",
    "own_age_days",
    "own_resumed",
    "own_fav",
    "own_cart",
    "own_purchase",
    "own_weight",
    "own_in_category",
    "own_in_category_weight",
)
"""What the user did with the item: at all, how many items ago, how often, how long ago at several time scales, the same
for users who come back after a pause, the last action on it, its decayed weight relative to the user's heaviest item,
the same only if it is of the last item's category. All are 0 for other items."""

TASTE_FEATURES = (
    "category_share",
    "category_recent",
    "category_last",
    "category_resumed",
    "brand_share",
    "brand_in_category",
    "price_near",
    "touched",
)
"""How it fits the user: share of its category in the user's interests and in the last items, whether that is the last
item's category, the same for users who come back after a pause; share of its brand, the same only if it is of the last
item's category; how near its price is to those of the user's items; whether the user ever touched it, however long
ago."""


_BASELINE = {
    "trend_day": 0.5,
    "trend_day_root": 1.0,
    "own": 1.0,
    "own_position": 2.0,
    "own_count": 0.5,
    "category_share": 0.5,
}


def baseline_weights() -> dict[str, float]:
    """Return the weights of features before anything was learned: the order of co-visitation.

    Slates are ranked by them, too, while what was learned is worse. Features that are not named weigh nothing. Those of
    the sources stand with each source.
    """
    return {**{name: weight for source in ALL for name, weight in source.baseline.items()}, **_BASELINE}


def feature_names(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Names of all features, given the value columns of the sources.

    Examples
    --------
    >>> feature_names(("together",))[:3]
    ('together', 'together_root', 'trend_hour')
    """
    from_sources = tuple(name for column in columns for name in (column, f"{column}_root"))
    return (*from_sources, *ITEM_FEATURES, *HISTORY_FEATURES, *TASTE_FEATURES)


def features_of(candidates: Candidates, index: ItemIndex) -> Features:
    """Features of the candidates, float32 of shape (features, candidates), rows as :func:`feature_names` names them."""
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
    """Find the features of every candidate."""

    name = "describe"
    shared = True

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.features = features_of(frame.candidates, frame.read.items)
        return frame


def own_rows(features: int) -> range:
    """Rows of :func:`features_of`, of which there are so many, that are 0 for all but the users' own items."""
    return range(features - len(TASTE_FEATURES) - len(HISTORY_FEATURES), features - len(TASTE_FEATURES))


def silent_rows(candidates: Candidates) -> set[int]:
    """Rows of :func:`features_of` that are 0 because their sources proposed nothing."""
    proposing = {name for part in candidates.blocks.values() if len(part.block.rows) for name in part.columns}
    silent = [at for at, name in enumerate(candidates.values) if name not in proposing]
    return {row for at in silent for row in (2 * at, 2 * at + 1)}


def _from_sources(candidates: Candidates) -> list[Floats | None]:
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
    slots, now = candidates.slots, candidates.visitors.now_ms[candidates.rows]
    # Users share many candidates: beyond the size of the index it is cheaper to look at each item once.
    if len(slots) < index.capacity:
        standing = _standing(slots, index)
    else:
        standing = [column[slots] for column in _standing(np.arange(index.capacity), index)]
    return [
        *standing,
        nearness(now - index.attributes.since[slots], DAY_MS),
        nearness(now - index.last_seen[slots], HOUR_MS),
    ]


def _standing(slots: Ints, index: ItemIndex) -> list[Floats]:
    """What is known of items at any time: popularity at each scale, of all time, and within the category."""
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
    """Features of the users' own items, one value per item; ``same`` says which are of the last item's category."""
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
    """Decayed weight of each of the users' items, relative to the user's heaviest."""
    heaviest = np.zeros(len(visitors))
    np.maximum.at(heaviest, visitors.rows, visitors.weights)
    relative: Floats = visitors.weights / np.where(heaviest > 0.0, heaviest, 1.0)[visitors.rows]
    return relative


def _paused(visitors: Visitors) -> Floats:
    """Per user, how long the last event is ago: 0 for just now, towards 1 beyond half an hour."""
    last = np.array([profile.last_seen for profile in visitors.profiles], np.int64)
    return 1.0 - nearness(visitors.now_ms - last, _PAUSE_MS)


def _of_last_category(candidates: Candidates, index: ItemIndex) -> Floats:
    """1 for candidates of the category of the user's last item."""
    visitors = candidates.visitors
    last_category = np.full(len(visitors), -1)
    last = visitors.positions == 0
    last_category[visitors.rows[last]] = index.attributes.category[visitors.slots[last]]
    category = index.attributes.category[candidates.slots]
    same: Floats = ((category > 0) & (category == last_category[candidates.rows])).astype(np.float64)
    return same


def _of_taste(candidates: Candidates, index: ItemIndex, same: Floats) -> list[Floats]:
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
        _pricenearness(candidates, index),
        candidates.touched.astype(np.float64),
    ]


def _share(weights: Floats, labels: npt.NDArray[np.int32], width: int, candidates: Candidates) -> Floats:
    """Share of each candidate's label, such as its category, in the weights of the user's recent items."""
    visitors, of_candidate = candidates.visitors, labels[candidates.slots]
    table = np.bincount(visitors.rows * width + labels[visitors.slots], weights, len(visitors) * width)
    # Not over the labels: their numbers, and so the order of the sum, differ between processes.
    total = np.bincount(visitors.rows, weights, len(visitors))
    share = table[candidates.rows * width + of_candidate] / np.where(total > 0.0, total, 1.0)[candidates.rows]
    return np.where(of_candidate > 0, share, 0.0)


def _pricenearness(candidates: Candidates, index: ItemIndex) -> Floats:
    """1 for the mean price of the user's items, 1/e for e times as much; 0 if either is unknown."""
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
    """1 for just now, 1/e after the scale, 0 for long ago.

    Examples
    --------
    >>> nearness(np.array([0, 1000]), 1000).round(2).tolist()
    [1.0, 0.37]
    """
    return np.exp(-np.maximum(age_ms, 0) / scale_ms)
