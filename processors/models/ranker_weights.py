"""The ranker: a linear score over the candidates' features, whose weights are learned from every event.

Before an event is learned by anything else, the list its user would have been shown is a question: where in it was the
item that the user then chose? The answer is one step of softmax regression over the list, which pulls the weights
towards what set the chosen item apart from the others. There are two heads: one for slates of anything, one for slates
of what the user has not touched, because what makes people come back to an item says nothing of what they discover. And
there are weights of their own for each length of history and for each pause since the user's last event, added to those
that all share: with one visit to go by, the crowd says more, with ten the user does; and who comes back after a day
picks up other things than who clicks through a category.

References
----------
Z. Cao, T. Qin, T.-Y. Liu, M.-F. Tsai, H. Li, "Learning to rank: from pairwise approach to listwise approach", ICML 2007
(the loss, for one chosen item).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from processors.common.arrays import Floats, Ints
from processors.common.compiled import kernel
from processors.users.profile import Profile

HEADS = ("any", "new")
"""Which weights rank: those for slates of anything, those for slates of what the user has not touched."""

HISTORY_EDGES = (1, 2, 4, 10, 30)
"""Lengths of known history at which a user passes to the next weights."""

PAUSE_EDGES_MS = (60_000, 1_800_000)
"""Times since the user's last event at which a user passes to the next weights, in milliseconds."""

_HISTORY_EDGES, _PAUSE_EDGES = np.array(HISTORY_EDGES), np.array(PAUSE_EDGES_MS)

HISTORIES, PAUSES = len(HISTORY_EDGES) + 1, len(PAUSE_EDGES_MS) + 1

BUCKETS = HISTORIES * PAUSES
"""Kinds of users that are ranked by weights of their own: a length of history and a pause each."""

WEIGHT_ROWS = 1 + HISTORIES + PAUSES
"""Rows of weights that are learned: those that all share, then those of each length of history, then of each pause."""


def fallback_weights(names: tuple[str, ...], baseline: Mapping[str, float]) -> Floats:
    """Return the baseline as weights of shape (heads, weight rows, features).

    Slates are ranked by them before anything was learned, and while what was learned is worse. The first row, which all
    share, has them; what histories and pauses add is nothing.

    Parameters
    ----------
    names
        The features.
    baseline
        Weight per feature; those it lacks get 0.

    Examples
    --------
    >>> fallback_weights(("together", "visits"), {"together": 2.0})[0, :3].tolist()
    [[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    weights = np.zeros((len(HEADS), WEIGHT_ROWS, len(names)))
    weights[:, 0] = [baseline.get(name, 0.0) for name in names]
    return weights


def carried_over(names: tuple[str, ...], known: tuple[str, ...], values: bytes, fresh: Floats) -> Floats:
    """Return figures per feature, those of features that were known before carried over by name.

    Parameters
    ----------
    names
        The features now.
    known, values
        The features before, and their figures: float64 of shape (heads, weight rows, known features). Where there were
        other rows, nothing is carried over.
    fresh
        Figures of a feature that was not known, shape (heads, weight rows, features).
    """
    figures = np.frombuffer(values, np.float64)
    if len(figures) != fresh.shape[0] * fresh.shape[1] * len(known):
        return fresh.copy()
    old = figures.reshape(*fresh.shape[:2], len(known))
    if names == known:
        return old.copy()
    carried = fresh.copy()
    shared = [name for name in names if name in known]
    carried[:, :, [names.index(name) for name in shared]] = old[:, :, [known.index(name) for name in shared]]
    return carried


def buckets_of(profiles: Sequence[Profile], now_ms: Sequence[int] | Ints) -> Ints:
    """Return the bucket of each user, by the number of recent items and the time since the last event.

    Parameters
    ----------
    profiles
        The users.
    now_ms
        The moment that each is ranked for, milliseconds since the epoch.

    Examples
    --------
    >>> buckets_of([Profile(), Profile(item_ids=["tent"]), Profile(item_ids=["tent"], last_seen=900)], [0, 60_000, 900])
    array([0, 4, 3])
    """
    lengths = np.array([len(profile.item_ids) for profile in profiles], np.int64)
    last_seen = np.array([profile.last_seen for profile in profiles], np.int64)
    buckets: Ints = _buckets(lengths, last_seen, np.asarray(now_ms, np.int64), _HISTORY_EDGES, _PAUSE_EDGES)
    return buckets


@kernel
def _buckets(lengths, last_seen_ms, now_ms, history_edges, pause_edges):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return how many edges each user has passed, those of history times the kinds of pauses and those of pause."""
    buckets = np.zeros(len(lengths), np.int64)
    for user in range(len(lengths)):
        if lengths[user]:
            for edge in history_edges:
                buckets[user] += (len(pause_edges) + 1) * (lengths[user] >= edge)
            for edge in pause_edges:
                buckets[user] += now_ms[user] - last_seen_ms[user] >= edge
    return buckets


def rows_of_bucket(bucket: int) -> tuple[int, int, int]:
    """Return the rows of weights that add up to those of a bucket.

    Examples
    --------
    >>> rows_of_bucket(0), rows_of_bucket(4)
    ((0, 1, 7), (0, 2, 8))
    """
    history, pause = divmod(bucket, PAUSES)
    return 0, 1 + history, 1 + HISTORIES + pause


def effective(weights: Floats) -> Floats:
    """Return the weights of each bucket, (heads, buckets, features), from those learned, (heads, rows, features)."""
    of_history, of_pause = weights[:, 1 : 1 + HISTORIES], weights[:, 1 + HISTORIES :]
    heads, _, features = weights.shape
    both: Floats = of_history[:, :, None] + of_pause[:, None] + weights[:, :1, None]
    return both.reshape(heads, BUCKETS, features)
