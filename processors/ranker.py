"""The ranker: a linear score over the candidates' features, whose weights are learned from every event.

Before an event is learned by anything else, the list its user would have been shown is a question: where in it was the
item that the user then chose? The answer is one step of softmax regression over the list, which pulls the weights
towards what told the chosen item from the others. There are two heads: one for slates of anything, one for slates of
what the user has not touched, because what makes people come back to an item says nothing of what they discover.

References
----------
Z. Cao, T. Qin, T.-Y. Liu, M.-F. Tsai, H. Li, "Learning to rank: from pairwise approach to listwise approach", ICML 2007
(the loss, for one chosen item). J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods for online learning and
stochastic optimization", JMLR 12, 2011 (the steps).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.candidates import Candidates
from processors.sources.base import Floats, Ints

HEADS = ("any", "new")
"""Which weights rank: those for slates of anything, those for slates of what the user has not touched."""

NEVER = -np.inf
_TIE = 1e-9


def scores_of(weights: Floats, features: Floats) -> Floats:
    """Linear scores, shape (candidates,).

    Added up feature by feature: unlike a matrix product, that gives a candidate the same score to the last bit
    whatever other candidates it is scored with.
    """
    scores = np.zeros(features.shape[1])
    for weight, column in zip(weights.tolist(), features, strict=True):
        if weight:
            scores += weight * column
    return scores


@dataclass(frozen=True)
class Lessons:
    """What some questions taught one head.

    Attributes
    ----------
    gradients
        Of the loss by the weights, one row per question whose item was a candidate.
    losses
        Negative log-likelihood of the chosen item, one per row of ``gradients``.
    ranks
        Place of the chosen item in the list, from 1; 0 if it was no candidate. One per question.
    """

    gradients: Floats
    losses: Floats
    ranks: Ints


def learn(weights: Floats, candidates: Candidates, features: Floats, asked: Ints, head: str) -> Lessons:
    """Ask where the chosen items stood.

    Parameters
    ----------
    weights
        Of the head.
    asked
        Slot of the item that each user chose; -1 if there is no question for the user, or the index doesn't know it.
    head
        One of :data:`HEADS`; for ``new``, what the user has touched is not in the list.
    """
    listed = np.ones(len(candidates), np.bool_) if head == "any" else ~candidates.touched
    listed &= asked[candidates.rows] >= 0
    rows, columns = candidates.rows[listed], features[:, listed]
    chosen = candidates.slots[listed] == asked[rows]
    users = len(asked)
    ranks = np.zeros(users, np.int64)
    answered = np.zeros(users, np.bool_)
    answered[rows[chosen]] = True
    of_answered = answered[rows]
    rows, columns, chosen = rows[of_answered], columns[:, of_answered], chosen[of_answered]
    if not len(rows):
        return Lessons(np.empty((0, len(weights))), np.empty(0), ranks)
    scores = scores_of(weights, columns)
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    lengths = np.diff(begins, append=len(rows))
    best = np.repeat(np.maximum.reduceat(scores, begins), lengths)
    odds = np.exp(scores - best)
    shares = odds / np.repeat(np.add.reduceat(odds, begins), lengths)
    expected = np.add.reduceat(columns * shares, begins, axis=1)
    of_chosen = np.repeat(scores[chosen], lengths)
    ranks[rows[chosen]] = np.add.reduceat((scores > of_chosen).astype(np.int64), begins) + 1
    return Lessons((expected - columns[:, chosen]).T, -np.log(shares[chosen]), ranks)


def with_ties(scores: Floats, ties: Floats) -> Floats:
    """Scores in which equals differ by a hash of their item's id."""
    found: npt.NDArray[np.float64] = scores + ties * _TIE
    return found
