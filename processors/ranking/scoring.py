"""Scores of candidates: linear over their features, by the weights of each user's bucket."""

from __future__ import annotations

import numpy as np

from processors.common.arrays import Features, Floats
from processors.common.compiled import kernel
from processors.ranking.candidates import Candidates
from processors.ranking.feature_names import own_rows
from processors.ranking.frame import SLATES, SLATES_AND_TRIALS, Frame, Stage

NEVER = -np.inf
"""Score of what must not be in a slate."""

_TIE = 1e-9
"""Greatest difference that breaking a tie makes to a score: far below any difference that is learned."""


def scores_of(weights: Floats, candidates: Candidates, features: Features) -> Floats:
    """Score candidates: the sum of their features times the weights of their user's bucket, shape (candidates,).

    A candidate's score is the same to the last bit whatever other candidates it is scored with.

    Parameters
    ----------
    weights
        Weights of one head, shape (buckets, features).
    candidates
        Candidates of some users.
    features
        Features of the candidates, shape (features, candidates).
    """
    own, visitors = own_rows(len(features)), candidates.visitors
    found: Floats = _scores(
        weights,
        candidates.buckets,
        candidates.begins,
        features,
        visitors.begins,
        candidates.history,
        own.start,
        own.stop,
    )
    return found


@kernel
def _scores(weights, buckets, begins, features, recent_begins, history, own_begin, own_end):  # type: ignore[no-untyped-def]  # numba finds the types
    """Return each candidate's score; the rows from ``own_begin`` to ``own_end`` are 0 but for recent items."""
    scores = np.zeros(features.shape[1])
    for user in range(len(begins) - 1):
        bucket, first, end = buckets[user], np.uint64(begins[user]), np.uint64(begins[user + 1])
        for row in range(len(features)):
            weight = weights[bucket, row]
            if weight == 0.0:
                continue
            if own_begin <= row < own_end:
                for at in range(recent_begins[user], recent_begins[user + 1]):
                    scores[history[at]] += weight * features[row, history[at]]
            else:
                for at in range(first, end):
                    scores[at] += weight * features[row, at]
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
