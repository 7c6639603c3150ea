"""Scores of candidates: linear over their features, by the weights of each user's bucket."""

from __future__ import annotations

import numpy as np

from processors.common.arrays import Features, Floats, run_begins
from processors.models.ranker_weights import buckets_of
from processors.ranking.candidates import Candidates
from processors.ranking.feature_names import own_rows
from processors.ranking.features import silent_rows
from processors.ranking.frame import SLATES, SLATES_AND_TRIALS, Frame, Stage

NEVER = -np.inf
"""Score of what must not be in a slate."""

_TIE = 1e-9
"""Greatest difference that breaking a tie makes to a score: far below any difference that is learned."""

_FEW = 4096
"""Candidates up to which one operation over all features is faster than one for each."""

_STRETCH = 1000
"""Candidates per bucket from which on it is faster to score each bucket by itself."""


def scores_of(weights: Floats, candidates: Candidates, features: Features) -> Floats:
    """Score candidates: the sum of their features times the weights of their user's bucket, shape (candidates,).

    A candidate's score is the same to the last bit whatever other candidates it is scored with, because features are
    added up one after another; the last bits of a matrix product depend on its size. Fastest if the users of a bucket
    are neighbours.

    Parameters
    ----------
    weights
        Weights of one head, shape (buckets, features).
    candidates
        Candidates of some users.
    features
        Features of the candidates, shape (features, candidates).
    """
    buckets = buckets_of(candidates.visitors.profiles, candidates.visitors.now_ms)
    own = own_rows(len(features))
    skipped = silent_rows(candidates).union(own)
    rows = [row for row in np.flatnonzero(weights.any(axis=0)).tolist() if row not in skipped]
    first = run_begins(buckets)
    scores = np.zeros(features.shape[1])
    if 1 < len(scores) <= _FEW:
        # Sums row by row, too, in one call; a single column would be summed in pairs, with other last bits.
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


class Score(Stage):
    """Score the candidates by what the ranker has learned, or by the baseline weights while those do better."""

    name = "score"

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.scores = frame.once(
            ("scores", frame.scored_by), lambda: scores_of(frame.weights, frame.candidates, frame.features)
        )
        return frame


class BreakTies(Stage):
    """Order equal scores by a hash of the item's id, so that the order is the same in every process."""

    name = "ties"
    purposes = SLATES_AND_TRIALS

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        scores = frame.scores
        frame.scores = frame.once((self.name, frame.scored_by), lambda: scores + frame.ties * _TIE)
        return frame


class AddRuleOffsets(Stage):
    """Add what rules raise or lower scores by: boosts, and the offsets that keep exposure within its bounds."""

    name = "rule_offsets"
    purposes = SLATES

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        if frame.effects.offsets is not None:
            frame.scores = frame.scores + frame.effects.offsets
        return frame
