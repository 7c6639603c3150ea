"""What users' choices teach: where in the list each chosen item stood, as one step for the ranker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from processors.common.arrays import Features, Flags, Floats, Ints, run_begins, run_lengths
from processors.evaluation.live_quality import Choices
from processors.models.examples import RANKER, Examples
from processors.models.ranker_weights import HEADS
from processors.ranking.candidates import Candidates
from processors.users.profile import Profile

NO_QUESTION = -2


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


def listwise_loss(
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


def examples_of(features: tuple[str, ...], buckets: Ints, answers: Sequence[Answers]) -> Examples:
    """Examples from the answers of each head.

    Parameters
    ----------
    buckets
        Bucket of each user.
    answers
        In the order of :data:`processors.models.ranker_weights.HEADS`.
    """
    heads = np.repeat(np.arange(len(answers)), [len(part.users) for part in answers])
    return Examples(
        model=RANKER,
        features=features,
        heads=heads.astype("<i1").tobytes(),
        buckets=_joined((buckets[part.users] for part in answers), "<i1"),
        ranks=_joined((part.ranks[part.users] for part in answers), "<i4"),
        plain_ranks=_joined((part.plain_ranks[part.users] for part in answers), "<i4"),
        losses=_joined((part.losses for part in answers), "<f4"),
        gradients=_joined((part.gradients for part in answers), "<f4"),
    )


def _joined(columns: Iterable[np.ndarray], dtype: str) -> bytes:
    return np.concatenate([column.astype(dtype) for column in columns]).tobytes()


def choices_of(answers: Sequence[Answers], profiles: Sequence[Profile]) -> list[Choices]:
    """What users chose, per head, for the figures of quality.

    Parameters
    ----------
    answers
        From :meth:`RankingPipeline.lessons`.
    profiles
        Of the users, as they were asked.
    """
    known = np.array([bool(profile.item_ids) for profile in profiles], np.bool_)
    return [
        Choices(head, part.ranks[part.asked], known[part.asked], part.confidences, part.ranks[part.users] == 1)
        for head, part in zip(HEADS, answers, strict=True)
    ]
