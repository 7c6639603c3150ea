"""The ranker: a linear score over the candidates' features, whose weights are learned from every event.

Before an event is learned by anything else, the list its user would have been shown is a question: where in it was the
item that the user then chose? The answer is one step of softmax regression over the list, which pulls the weights
towards what told the chosen item from the others. There are two heads: one for slates of anything, one for slates of
what the user has not touched, because what makes people come back to an item says nothing of what they discover. And
there are weights of their own for each length of history and for each pause since the user's last event, added to those
that all share: with one visit to go by, the crowd says more, with ten the user does; and who comes back after a day
picks up other things than who clicks through a shelf.

References
----------
Z. Cao, T. Qin, T.-Y. Liu, M.-F. Tsai, H. Li, "Learning to rank: from pairwise approach to listwise approach", ICML 2007
(the loss, for one chosen item).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from processors.common.arrays import Features, Flags, Floats, Ints, run_begins, run_lengths
from processors.ranking.candidates import Candidates
from processors.ranking.features import own_rows, silent_rows
from processors.users.profile import Profile

HEADS = ("any", "new")
"""Which weights rank: those for slates of anything, those for slates of what the user has not touched."""

HISTORY_EDGES = (1, 2, 4, 10, 30)
"""Lengths of known history at which a user passes to the next weights."""

PAUSE_EDGES_MS = (60_000, 1_800_000)
"""Times since the user's last event, likewise."""

HISTORIES, PAUSES = len(HISTORY_EDGES) + 1, len(PAUSE_EDGES_MS) + 1

BUCKETS = HISTORIES * PAUSES
"""Kinds of users that are ranked by weights of their own: a length of history and a pause each."""

WEIGHT_ROWS = 1 + HISTORIES + PAUSES
"""Rows of weights that are learned: those that all share, then those of each length of history, then of each pause."""

NEVER = -np.inf
NO_QUESTION = -2
_TIE = 1e-9
_FEW = 4096
"""Candidates up to which one operation over all features is faster than one for each."""
_STRETCH = 1000
"""Candidates from which on it pays to score those of users of one bucket on their own."""

FALLBACK = {
    "together": 2.0,
    "together_root": 2.0,
    "next": 1.0,
    "next_root": 1.0,
    "related": 1.0,
    "content": 0.5,
    "embedding": 0.5,
    "trend_day": 0.5,
    "trend_day_root": 1.0,
    "own": 1.0,
    "own_position": 2.0,
    "own_count": 0.5,
    "category_share": 0.5,
}
"""Weights before anything was learned, and for when what was learned is worse: the order of co-visitation."""


def fallback_weights(names: tuple[str, ...]) -> Floats:
    """Shape (heads, weight rows, features): what is shared, then what histories and pauses add, which is nothing.

    Examples
    --------
    >>> fallback_weights(("together", "visits"))[0, :3].tolist()
    [[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    """
    weights = np.zeros((len(HEADS), WEIGHT_ROWS, len(names)))
    weights[:, 0] = [FALLBACK.get(name, 0.0) for name in names]
    return weights


def carried_over(names: tuple[str, ...], known: tuple[str, ...], values: bytes, fresh: Floats) -> Floats:
    """Figures per feature, those of features that were known before carried over by name.

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
    """Bucket of each user, by the number of recent items and the time since the last event.

    Examples
    --------
    >>> buckets_of([Profile(), Profile(item_ids=["tent"]), Profile(item_ids=["tent"], last_seen=900)], [0, 60_000, 900])
    array([0, 4, 3])
    """
    lengths = np.array([len(profile.item_ids) for profile in profiles], np.int64)
    pauses = np.asarray(now_ms, np.int64) - np.array([profile.last_seen for profile in profiles], np.int64)
    history = np.searchsorted(HISTORY_EDGES, lengths, side="right")
    pause = np.where(lengths > 0, np.searchsorted(PAUSE_EDGES_MS, pauses, side="right"), 0)
    buckets: Ints = history * PAUSES + pause
    return buckets


def rows_of_bucket(bucket: int) -> tuple[int, int, int]:
    """Rows of weights that add up to those of a bucket.

    Examples
    --------
    >>> rows_of_bucket(0), rows_of_bucket(4)
    ((0, 1, 7), (0, 2, 8))
    """
    history, pause = divmod(bucket, PAUSES)
    return 0, 1 + history, 1 + HISTORIES + pause


def effective(weights: Floats) -> Floats:
    """Weights of each bucket, shape (heads, buckets, features), from those learned, (heads, weight rows, features)."""
    of_history, of_pause = weights[:, 1 : 1 + HISTORIES], weights[:, 1 + HISTORIES :]
    heads, _, features = weights.shape
    both: Floats = of_history[:, :, None] + of_pause[:, None] + weights[:, :1, None]
    return both.reshape(heads, BUCKETS, features)


def scores_of(weights: Floats, candidates: Candidates, features: Features) -> Floats:
    """Linear scores, shape (candidates,).

    Added up feature by feature: unlike a matrix product, that gives a candidate the same score to the last bit
    whatever other candidates it is scored with. What is known to be 0 is not looked at. Fastest if users of a bucket
    stand together.

    Parameters
    ----------
    weights
        Of one head, shape (buckets, features).
    features
        Shape (features, candidates).
    """
    buckets = buckets_of(candidates.visitors.profiles, candidates.visitors.now_ms)
    own = own_rows(len(features))
    skipped = silent_rows(candidates).union(own)
    rows = [row for row in np.flatnonzero(weights.any(axis=0)).tolist() if row not in skipped]
    first = run_begins(buckets)
    scores = np.zeros(features.shape[1])
    if 1 < len(scores) <= _FEW:
        # Adds up row by row, too (a single column would be added up in pairs), and spares the looking at each.
        of_row = weights[:, rows].T.astype(features.dtype)
        weighted = features[rows] * of_row.take(buckets[candidates.rows], axis=1)
        scores = weighted.astype(np.float64).sum(axis=0)
    elif len(first) * _STRETCH > len(scores):
        which, of_row = buckets[candidates.rows], weights.T.astype(features.dtype)
        for row in rows:
            scores += of_row[row].take(which) * features[row]
    else:
        begins = candidates.begins[np.append(first, len(buckets))].tolist()
        for bucket, begin, end in zip(buckets[first].tolist(), begins, begins[1:], strict=False):
            part, of_bucket = scores[begin:end], weights[bucket].tolist()
            for row in rows:
                if of_bucket[row]:
                    part += of_bucket[row] * features[row, begin:end]
    at, of_item = candidates.history, weights[buckets[candidates.visitors.rows]]
    for row in own:
        scores[at] += of_item[:, row] * features[row, at]
    return scores


@dataclass(frozen=True)
class Answers:
    """What some questions taught one head.

    Attributes
    ----------
    asked
        Row of each question.
    users
        Row of each question whose item was listed.
    gradients
        Of the loss by the weights, one row for each of ``users``; every figure in [-1, 1].
    losses
        Negative log-likelihood of the chosen item, one for each of ``users``.
    ranks
        Place of the chosen item in the list, from 1; 0 if it was not listed. One per user.
    plain_ranks
        The same by the order of co-visitation.
    confidences
        Probability of the candidate put first, one for each of ``users``.
    """

    asked: Ints
    users: Ints
    gradients: Floats
    losses: Floats
    ranks: Ints
    plain_ranks: Ints
    confidences: Floats


def ask(
    scores: Floats, plain: Floats, ties: Floats, candidates: Candidates, features: Features, listed: Flags, chosen: Ints
) -> Answers:
    """Ask where the chosen items stood among those listed.

    Parameters
    ----------
    scores, plain
        By what is learned, and by co-visitation alone.
    ties
        Hash of each candidate's item: sums run in its order, so that processes with other slots get the same bits.
    listed
        Which candidates are in the lists.
    chosen
        Slot of the item that each user chose; -1 if the index doesn't know it, -2 if there is no question for the user.
    """
    users = len(chosen)
    questions = np.flatnonzero(chosen > NO_QUESTION)
    is_chosen = listed & (candidates.slots == chosen[candidates.rows])
    answered = np.zeros(users, np.bool_)
    answered[candidates.rows[is_chosen]] = True
    kept = np.flatnonzero(listed & answered[candidates.rows])
    kept = kept[np.lexsort((ties[kept], candidates.rows[kept]))]
    ranks, plain_ranks = np.zeros(users, np.int64), np.zeros(users, np.int64)
    if not len(kept):
        return Answers(questions, kept, np.empty((0, len(features))), np.empty(0), ranks, plain_ranks, np.empty(0))
    rows, columns, is_chosen = candidates.rows[kept], features[:, kept], is_chosen[kept]
    begins = run_begins(rows)
    lengths = run_lengths(begins, len(rows))
    listed_users = rows[begins]
    ranks[listed_users] = _places(scores[kept], is_chosen, begins, lengths)
    plain_ranks[listed_users] = _places(plain[kept], is_chosen, begins, lengths)
    shares = _softmax(scores[kept], begins, lengths)
    confidences = np.maximum.reduceat(shares, begins)
    expected = np.add.reduceat(columns * shares, begins, axis=1)
    gradients = (expected - columns[:, is_chosen]).T.astype(np.float64)
    losses = -np.log(np.maximum(shares[is_chosen], 1e-300))
    return Answers(questions, listed_users, gradients, losses, ranks, plain_ranks, confidences)


def _softmax(scores: Floats, begins: Ints, lengths: Ints) -> Floats:
    odds = np.exp(scores - np.repeat(np.maximum.reduceat(scores, begins), lengths))
    shares: Floats = odds / np.repeat(np.add.reduceat(odds, begins), lengths)
    return shares


def _places(scores: Floats, is_chosen: Flags, begins: Ints, lengths: Ints) -> Ints:
    """Place of the chosen item of each list; of equals, it is the last: nothing is won by saying nothing."""
    above = scores >= np.repeat(scores[is_chosen], lengths)
    return np.add.reduceat(above.astype(np.int64), begins)


def with_ties(scores: Floats, ties: Floats) -> Floats:
    """Scores in which equals differ by a hash of their item's id."""
    return scores + ties * _TIE
