"""What users' choices teach: where in the list each chosen item stood, as one step for the ranker.

Before an event is folded in, :class:`Training` asks what its user would have been shown. It runs the stages of the
ranking (:mod:`processors.ranking.pipeline`) that serve lessons and trials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from processors.common.arrays import Features, Flags, Floats, Ints, run_begins, run_lengths
from processors.evaluation.live_quality import Choices
from processors.models.examples import RANKER, Examples
from processors.models.exploration_rate import Trials
from processors.models.exposure import Measured, measure
from processors.models.ranker_weights import HEADS, buckets_of, effective, fallback_weights
from processors.ranking.candidates import Candidates
from processors.ranking.exploration import Explore
from processors.ranking.frame import Frame
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.rule_index import matches
from processors.ranking.scoring import Score, scores_of
from processors.ranking.slate import Slates
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


class Training:
    """Finds out what the users' next choices teach.

    Parameters
    ----------
    pipeline
        The ranking.
    """

    def __init__(self, pipeline: RankingPipeline) -> None:
        self._pipeline = pipeline
        self._plain = effective(fallback_weights(pipeline.features))[0]  # the same for all heads
        (self._explore,) = (stage for stage in pipeline.stages if isinstance(stage, Explore))

    def lessons(
        self,
        profiles: Sequence[Profile],
        now_ms: Sequence[int],
        chosen: Sequence[str],
        read: ReadModels,
        at_ms: int,
    ) -> tuple[list[Answers], Examples]:
        """Find what the users' choices teach, given the profiles as they were before.

        Parameters
        ----------
        profiles
            At most :data:`processors.ranking.candidates.MAX_ROWS`, not empty.
        now_ms
            When each user chose, milliseconds since the epoch.
        chosen
            Item of each user.
        read
            The read models.
        at_ms
            The moment at which the rules must be in force, milliseconds since the epoch.

        Returns
        -------
        answers
            Per head, in the order of :data:`processors.models.ranker_weights.HEADS`.
        examples
            The same for the models plane.
        """
        pipeline = self._pipeline
        # Without what rules want shown: nobody is taught from that.
        frame = Frame(profiles, now_ms, read, at_ms)
        pipeline.run(pipeline.stages_for("lesson", shared=True), frame)
        slots = np.array(read.items.slots_of(list(chosen)), np.int64)
        answers = [self._asked(frame, slots, head) for head in range(len(HEADS))]
        examples = examples_of(pipeline.features, buckets_of(profiles, now_ms), answers)
        examples.trials = self._trials(frame, slots)
        if read.rules.exposures(at_ms):
            slates = pipeline.slates(pipeline.begin(profiles, now_ms, read, at_ms))
            examples.exposure = self._exposure_in(slates, read, at_ms)
        return answers, examples

    def _asked(self, frame: Frame, chosen: Ints, head: int) -> Answers:
        """Ask one head where the chosen items stand in its list."""
        part, candidates = frame.copied(), frame.candidates
        part.only_new = HEADS[head] == "new"
        part.scored_by, part.weights = f"learned {HEADS[head]}", frame.read.weights.learned[head]
        self._pipeline.run(self._pipeline.stages_for("lesson", shared=False), part)
        if part.only_new:
            is_touched = candidates.touched & (candidates.slots == chosen[candidates.rows])
            touched = np.zeros(len(frame.profiles), np.bool_)
            touched[candidates.rows[is_touched]] = True
            chosen = np.where(touched, NO_QUESTION, chosen)
        plain = frame.once("plain scores", lambda: scores_of(self._plain, candidates, frame.features))
        return listwise_loss(part.scores, plain, frame.ties, candidates, frame.features, part.kept, chosen)

    def _trials(self, frame: Frame, chosen: Ints) -> Trials:
        """Count whether users chose what the first placement shows them, of those whose slate may show a new item.

        Their slates are made once more, by the ranking as it is now and without rules: close enough to compare how
        much exploring serves users.
        """
        pipeline, arm = self._pipeline, frame.read.weights.arm
        part = pipeline.placed(frame, 0)
        stages = [*pipeline.stages_for("trial", shared=True), *pipeline.stages_for("trial", shared=False)]
        scoring = next(at for at, stage in enumerate(stages) if isinstance(stage, Score))
        pipeline.run(stages[:scoring], part)
        if not self._explore.could(part):
            return Trials(arm)
        pipeline.run(stages[scoring:], part)
        able = (part.propensities < 1.0).any(axis=1)
        slots = part.candidates.slots[np.where(part.filled, part.numbers, 0)]
        hits = (part.filled & (slots == chosen[:, None])).any(axis=1)
        return Trials(arm, int(able.sum()), int((able & hits).sum()))

    def _exposure_in(self, slates: Sequence[Slates], read: ReadModels, at_ms: int) -> tuple[Measured, ...]:
        """Measure what the items of each rule for exposure got in slates of all its placements."""
        found = []
        for name, rule in read.rules.exposures(at_ms):
            offset, parts = read.rules.exposure_offset(name), list[Measured]()
            for placement, part in zip(self._pipeline.settings.placements, slates, strict=True):
                if not rule.placements or placement.name in rule.placements:
                    slots = np.maximum(part.slots, 0)
                    matching = matches(rule.items, slots.ravel(), at_ms, read.items).reshape(slots.shape)
                    parts.append(measure(name, rule.bounds, matching, part.slots >= 0, offset))
            total = sum(part.total for part in parts)
            if total:
                found.append(Measured(name, sum(part.got for part in parts), total, *rule.bounds, offset))
        return tuple(found)


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
    ranks[listed_users] = _positions(scores[kept], is_chosen, begins, lengths)
    plain_ranks[listed_users] = _positions(plain[kept], is_chosen, begins, lengths)
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


def _positions(scores: Floats, is_chosen: Flags, begins: Ints, lengths: Ints) -> Ints:
    """Return the position of each list's chosen item; of equals it is the last: nothing is won by saying nothing."""
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
