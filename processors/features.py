"""What the ranker looks at: one column per feature over the candidates of many users.

Every feature lies in [0, 1], so that one learning rate suits all. A source's value is taken relative to the user's best
candidate in it, so that it means the same for a user with one visit and one with sixty; its square root stands beside
it, because the best few differ less in worth than in value.
"""

from __future__ import annotations

import numpy as np

from processors.candidates import Candidates
from processors.item_index import ItemIndex
from processors.sources.base import Floats, Ints, Visitors

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
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
    "touched",
)
"""What the user did with the item: at all, how many items ago, how often, how long ago at several time scales, the same
for users who come back after a pause, the last action on it, and whether it was ever touched, however long ago."""

TASTE_FEATURES = ("category_share", "category_recent", "category_last", "category_resumed", "price_near")
"""How it fits the user: share of its category in the user's interests and in the last items, whether that is the last
item's category, the same for users who come back after a pause, how near its price is to that of the last item."""


def feature_names(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Names of all features, given the value columns of the sources.

    Examples
    --------
    >>> feature_names(("together",))[:3]
    ('together', 'together_root', 'trend_hour')
    """
    from_sources = tuple(name for column in columns for name in (column, f"{column}_root"))
    return (*from_sources, *ITEM_FEATURES, *HISTORY_FEATURES, *TASTE_FEATURES)


def features_of(candidates: Candidates, index: ItemIndex) -> Floats:
    """Features of the candidates, shape (features, candidates), rows as :func:`feature_names` names them."""
    parts = (
        *_from_sources(candidates),
        *_of_items(candidates, index),
        *_of_history(candidates),
        *_of_taste(candidates, index),
    )
    return np.stack(parts) if len(candidates) else np.empty((len(parts), 0))


def _from_sources(candidates: Candidates) -> list[Floats]:
    filled = np.flatnonzero(np.diff(candidates.begins))
    begins = candidates.begins[filled]
    lengths = np.diff(candidates.begins)[filled]
    columns = []
    for value in candidates.values.values():
        best = np.maximum.reduceat(value, begins) if len(begins) else value
        share = value / np.repeat(np.where(best > 0.0, best, 1.0), lengths)
        columns += [share, np.sqrt(share)]
    return columns


def _of_items(candidates: Candidates, index: ItemIndex) -> list[Floats]:
    slots, visitors = candidates.slots, candidates.visitors
    columns = []
    for scale, trends in enumerate(index.trends):
        top = index.popular(1, scale)
        popularity = np.exp2(np.minimum(trends[slots] - (trends[top[0]] if len(top) else 0.0), 0.0))
        columns += [popularity, np.sqrt(popularity)]
    most = index.most_visited(1)
    visited = index.visits[slots]
    visits = visited / (index.visits[most[0]] if len(most) else 1.0)
    in_category = np.exp2(np.minimum(index.trend[slots] - index.category_trend[index.category[slots]], 0.0))
    now = visitors.now_ms[candidates.rows]
    return [
        *columns,
        visits,
        np.sqrt(visits),
        np.where((index.category[slots] > 0) & (visited > 0.0), in_category, 0.0),
        _nearness(now - index.first_seen[slots], DAY_MS),
        _nearness(now - index.last_seen[slots], HOUR_MS),
    ]


def _of_history(candidates: Candidates) -> list[Floats]:
    visitors, at, n = candidates.visitors, candidates.history, len(candidates)
    age = visitors.now_ms[visitors.rows] - visitors.times

    def column(values: Floats) -> Floats:
        found = np.zeros(n)
        found[at] = values
        return found

    position = 1.0 / (1.0 + visitors.positions.astype(np.float64))
    return [
        column(np.ones(len(at))),
        column(position),
        *(column((visitors.positions == p).astype(np.float64)) for p in range(3)),
        column(1.0 - 1.0 / visitors.counts),
        *(column(_nearness(age, scale)) for scale in _AGES_MS),
        column(position * _paused(visitors)[visitors.rows]),
        *(column((visitors.actions == number).astype(np.float64)) for number in (1, 2, 3)),
        candidates.touched.astype(np.float64),
    ]


def _paused(visitors: Visitors) -> Floats:
    """Per user, how long the last event is ago: 0 for just now, towards 1 beyond half an hour."""
    last = np.array([profile.last_seen for profile in visitors.profiles], np.int64)
    return 1.0 - _nearness(visitors.now_ms - last, _PAUSE_MS)


def _of_taste(candidates: Candidates, index: ItemIndex) -> list[Floats]:
    visitors, rows = candidates.visitors, candidates.rows
    category = index.category[candidates.slots]
    of_history = index.category[visitors.slots]
    known = category > 0
    shares = _category_share(visitors.weights, of_history, candidates, index)
    recent = _category_share(_RECENT_DECAY ** visitors.positions.astype(np.float64), of_history, candidates, index)
    last_category = np.full(len(visitors), -1)
    last_price = np.full(len(visitors), np.nan)
    last = visitors.positions == 0
    last_category[visitors.rows[last]] = of_history[last]
    last_price[visitors.rows[last]] = index.price[visitors.slots[last]]
    same = (known & (category == last_category[rows])).astype(np.float64)
    distance = np.abs(np.log1p(index.price[candidates.slots]) - np.log1p(last_price[rows]))
    return [
        np.where(known, shares, 0.0),
        np.where(known, recent, 0.0),
        same,
        same * _paused(visitors)[rows],
        np.nan_to_num(np.exp(-distance), nan=0.0),
    ]


def _category_share(weights: Floats, of_history: Ints, candidates: Candidates, index: ItemIndex) -> Floats:
    """Share of each candidate's category in the weights of the user's recent items."""
    visitors, width = candidates.visitors, index.categories
    table = np.bincount(visitors.rows * width + of_history, weights, len(visitors) * width)
    # Not over the categories: their numbers, and so the order of the sum, differ between processes.
    total = np.bincount(visitors.rows, weights, len(visitors))
    share: Floats = table[candidates.rows * width + index.category[candidates.slots]]
    return share / np.where(total > 0.0, total, 1.0)[candidates.rows]


def _nearness(age_ms: Ints, scale_ms: int) -> Floats:
    """1 for just now, 1/e after the scale, 0 for long ago."""
    return np.exp(-np.maximum(age_ms, 0) / scale_ms)
