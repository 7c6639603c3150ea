"""Names of the features, in the order of their rows, and the weights that they have before anything was learned."""

from __future__ import annotations

from processors.ranking.sources import ALL

ITEM_FEATURES = (
    "trend_hour",
    "trend_hour_root",
    "trend_day",
    "trend_day_root",
    "trend_week",
    "trend_week_root",
    "visits",
    "visits_root",
    "entries",
    "entries_root",
    "trend_in_category",
    "item_fresh",
    "item_lately",
)
"""What is known of the item alone: decayed and all-time popularity relative to the top item's, how often sessions begin
with it lately relative to the top item of these, popularity relative to its category's top item, how new it is, how
lately any user touched it."""

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
"""What the user did with the item: whether it is among the recent ones, how many items ago, how often, how long ago at
several time scales, the position again for users who come back after a pause, the last action on it, its decayed weight
relative to the user's greatest, and the last two again for items of the last item's category. All are 0 for items that
are not among the user's recent ones."""

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
"""How the item fits the user: share of its category in the user's interests and in the last items, whether that is the
last item's category, the same for users who come back after a pause; share of its brand, the same only for items of the
last item's category; how near its price is to those of the user's items; whether the user has ever touched it."""

_BASELINE = {
    "trend_day": 0.5,
    "trend_day_root": 1.0,
    "own": 1.0,
    "own_position": 2.0,
    "own_count": 0.5,
    "category_share": 0.5,
}


def baseline_weights() -> dict[str, float]:
    """Return the weights by name of feature that rank before anything was learned: mostly by co-visitation.

    Slates are ranked by them, too, while what was learned does worse. Features that are not named have the weight 0.
    The weights of a source's features come from :attr:`processors.ranking.sources.base.Source.baseline`.
    """
    return {**{name: weight for source in ALL for name, weight in source.baseline.items()}, **_BASELINE}


def feature_names(columns: tuple[str, ...]) -> tuple[str, ...]:
    """List the names of all features in the order of their rows, given the names of the sources' values.

    Examples
    --------
    >>> feature_names(("together",))[:3]
    ('together', 'together_root', 'trend_hour')
    """
    from_sources = tuple(name for column in columns for name in (column, f"{column}_root"))
    return (*from_sources, *ITEM_FEATURES, *HISTORY_FEATURES, *TASTE_FEATURES)


def own_rows(features: int) -> range:
    """Return the rows that are 0 except for users' recent items, given the number of all features."""
    return range(features - len(TASTE_FEATURES) - len(HISTORY_FEATURES), features - len(TASTE_FEATURES))
