"""Scores of candidates: linear over their features, by the weights of each user's bucket."""

from __future__ import annotations

import numpy as np

from processors.common.arrays import Features, Floats, run_begins
from processors.models.ranker_weights import buckets_of
from processors.ranking.candidates import Candidates
from processors.ranking.features import own_rows, silent_rows
from processors.ranking.frame import SLATES, SLATES_AND_TRIALS, Frame, Stage

NEVER = -np.inf

_TIE = 1e-9

_FEW = 4096
"""Candidates up to which one operation over all features is faster than one for each."""

_STRETCH = 1000
"""Candidates from which on it pays to score those of users of one bucket on their own."""


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


class Score(Stage):
    """Score the candidates by the weights of the frame."""

    name = "score"

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.scores = frame.once(
            ("scores", frame.scored_by), lambda: scores_of(frame.weights, frame.candidates, frame.features)
        )
        return frame


class BreakTies(Stage):
    """Let equal scores differ by a hash of the item's id, so that the order is the same in every process."""

    name = "ties"
    purposes = SLATES_AND_TRIALS

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        frame.scores = frame.scores + frame.ties * _TIE
        return frame


class AddRuleOffsets(Stage):
    """Add what rules push items up or down by: boosts, and offsets that keep exposure within its bounds."""

    name = "rule_offsets"
    purposes = SLATES

    def apply(self, frame: Frame) -> Frame:
        """See :class:`processors.ranking.frame.Stage`."""
        if frame.effects.offsets is not None:
            frame.scores = frame.scores + frame.effects.offsets
        return frame
