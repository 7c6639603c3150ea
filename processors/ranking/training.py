"""Training examples for the ranker: at which position it ranked the items that users chose next.

Before an event is folded into its user's profile, :class:`Training` ranks the user's candidates and compares the result
with the item that the user chose. It runs the stages of the ranking (:mod:`processors.ranking.pipeline`) that serve
lessons and trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from processors.common.arrays import Features, Flags, Floats, Ints
from processors.common.compiled import kernel
from processors.evaluation.live_quality import Choices
from processors.models.examples import RANKER, Examples
from processors.models.exploration_rate import Trials
from processors.models.exposure import Measured, measure
from processors.models.ranker_weights import HEADS, buckets_of, effective, fallback_weights
from processors.ranking.candidates import Candidates
from processors.ranking.exploration import Explore
from processors.ranking.feature_names import baseline_weights
from processors.ranking.frame import Frame
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.rule_index import matches
from processors.ranking.scoring import Score, scores_of
from processors.ranking.slate import Slates
from processors.users.profile import Profile

DEPTH = 20
"""Positions within which the item that a user chose counts as found."""

NO_QUESTION = -2
"""Stands for the chosen item of a user from whose choice a head does not learn."""


@dataclass(frozen=True)
class Answers:
    """What one head learns from the choices of some users.

    Each user whose choice it learns from is a question: at which position is the item that the user chose? Only
    questions whose item is among the user's candidates give a gradient.

    Attributes
    ----------
    asked
        Rows of the users with a question, shape (questions,).
    users
        Rows of the users whose item was listed, shape (listed,).
    gradients
        Gradient of the loss by the weights, shape (listed, features); every figure in [-1, 1].
    losses
        Negative log-likelihood of the chosen item, in nats, shape (listed,).
    ranks
        Position of the chosen item in the list, from 1; 0 if it was not listed; shape (all users,).
    plain_ranks
        The same if the candidates were ranked by the baseline weights.
    confidences
        Probability of the candidate ranked first, shape (listed,).
    """

    asked: Ints
    users: Ints
    gradients: Floats
    losses: Floats
    ranks: Ints
    plain_ranks: Ints
    confidences: Floats


class Training:
    """Makes training examples from the users' next choices.

    Parameters
    ----------
    pipeline
        The ranking that learns.
    """

    def __init__(self, pipeline: RankingPipeline) -> None:
        self._pipeline = pipeline
        self._plain = effective(fallback_weights(pipeline.features, baseline_weights()))[0]  # the same for all heads
        (self._explore,) = (stage for stage in pipeline.stages if isinstance(stage, Explore))

    def lessons(
        self,
        profiles: Sequence[Profile],
        now_ms: Sequence[int],
        chosen: Sequence[str],
        read: ReadModels,
        at_ms: int,
        frame: Frame | None = None,
    ) -> tuple[list[Answers], Examples]:
        """Make the examples that some users' choices give, from the profiles as they were before.

        Parameters
        ----------
        profiles
            The users, at least one and at most :data:`processors.ranking.candidates.MAX_ROWS`.
        now_ms
            When each user chose, milliseconds since the epoch.
        chosen
            Id of the item that each user chose.
        read
            The read models.
        at_ms
            The moment at which the rules must be in force, milliseconds since the epoch.
        frame
            What :meth:`processors.ranking.pipeline.RankingPipeline.together` has found of these users, if it was asked.

        Returns
        -------
        answers
            One per head, in the order of :data:`processors.models.ranker_weights.HEADS`.
        examples
            The same as a message for the models plane, with the trials of exploration and the exposure of items.
        """
        pipeline = self._pipeline
        # Without the items that rules make candidates for everybody: the ranker does not learn from those.
        if frame is None:
            frame = Frame(profiles, now_ms, read, at_ms)
        pipeline.run(pipeline.stages_for("lesson", shared=True), frame)
        slots = np.array(read.items.slots_of(list(chosen)), np.int64)
        answers = [self._ask(frame, slots, head) for head in range(len(HEADS))]
        known = np.array([bool(profile.item_ids) for profile in profiles], np.bool_)
        examples = examples_of(pipeline.features, buckets_of(profiles, now_ms), answers, known)
        examples.trials = self._trials(frame, slots)
        if read.rules.exposures(at_ms):
            slates = pipeline.slates(pipeline.begin(profiles, now_ms, read, at_ms))
            examples.exposure = self._exposure_in(slates, read, at_ms)
        return answers, examples

    def _ask(self, frame: Frame, chosen: Ints, head: int) -> Answers:
        """Find at which positions one head, by its number, ranks the chosen items."""
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
        return listwise_loss(part.scores, plain, candidates, frame.features, part.kept, chosen)

    def _trials(self, frame: Frame, chosen: Ints) -> Trials:
        """Count how many users could be shown a new item at the first placement, and how many chose from their slate.

        The slates are not those that were shown: they are made once more, by the ranking as it is now and without
        rules. That is close enough to compare rates of exploration.
        """
        pipeline, arm = self._pipeline, frame.read.weights.arm
        part = pipeline.for_placement(frame, 0)
        stages = [*pipeline.stages_for("trial", shared=True), *pipeline.stages_for("trial", shared=False)]
        scoring = next(at for at, stage in enumerate(stages) if isinstance(stage, Score))
        pipeline.run(stages[:scoring], part)
        if not self._explore.may_explore(part):
            return Trials(arm)
        pipeline.run(stages[scoring:], part)
        able = (part.propensities < 1.0).any(axis=1)
        slots = part.candidates.slots[np.where(part.filled, part.numbers, 0)]
        hits = (part.filled & (slots == chosen[:, None])).any(axis=1)
        return Trials(arm, int(able.sum()), int((able & hits).sum()))

    def _exposure_in(self, slates: Sequence[Slates], read: ReadModels, at_ms: int) -> tuple[Measured, ...]:
        """Measure how much exposure the items of each ``exposure`` rule got in the slates of its placements."""
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
    scores: Floats, plain: Floats, candidates: Candidates, features: Features, listed: Flags, chosen: Ints
) -> Answers:
    """Find the position of each chosen item, and the gradient of its negative log-likelihood by softmax.

    Parameters
    ----------
    scores, plain
        Score of each candidate by the learned and by the baseline weights, shape (candidates,).
    candidates, features
        The candidates, and their features, shape (features, candidates).
    listed
        Which candidates are ranked, shape (candidates,).
    chosen
        Slot of the item that each user chose, shape (users,); -1 if the index does not know it, :data:`NO_QUESTION` if
        nothing is to be learned from the choice.
    """
    found = _losses(candidates.begins, candidates.slots, scores, plain, features, listed, chosen)
    return Answers(np.flatnonzero(chosen > NO_QUESTION), *found)


@kernel
def _losses(begins, slots, scores, plain, features, listed, chosen):  # type: ignore[no-untyped-def]  # noqa: C901  # numba finds the types
    """Return all of :class:`Answers` but the questions.

    Of equal scores the chosen item counts as the last: scores that are all alike must not look like a good ranking.
    """
    users, height = len(chosen), len(features)
    rows, gradients = np.empty(users, np.int64), np.zeros((users, height))
    losses, confidences = np.empty(users), np.empty(users)
    positions, plain_positions, n = np.zeros(users, np.int64), np.zeros(users, np.int64), 0
    odds = np.zeros(len(slots))
    for user in range(users):
        begin, end, answer = begins[user], begins[user + 1], -1
        for at in range(begin, end):
            if listed[at] and slots[at] == chosen[user]:
                answer = at
        if answer < 0:
            continue
        highest, total = -np.inf, 0.0
        for at in range(begin, end):
            if listed[at]:
                highest = max(highest, scores[at])
                positions[user] += scores[at] >= scores[answer]
                plain_positions[user] += plain[at] >= plain[answer]
        for at in range(begin, end):
            if listed[at]:
                odds[at] = math.exp(scores[at] - highest)
                total += odds[at]
        for row in range(height):
            # Four sums side by side keep the processor busy: one alone waits for each addition to end.
            first, second, third, fourth, at = 0.0, 0.0, 0.0, 0.0, begin
            while at + 4 <= end:
                first += odds[at] * features[row, at]
                second += odds[at + 1] * features[row, at + 1]
                third += odds[at + 2] * features[row, at + 2]
                fourth += odds[at + 3] * features[row, at + 3]
                at += 4
            while at < end:
                first += odds[at] * features[row, at]
                at += 1
            gradients[n, row] = ((first + second) + (third + fourth)) / total - features[row, answer]
        losses[n] = -math.log(max(odds[answer] / total, 1e-300))
        rows[n], confidences[n] = user, 1.0 / total
        n += 1
    return rows[:n], gradients[:n], losses[:n], positions, plain_positions, confidences[:n]


def examples_of(features: tuple[str, ...], buckets: Ints, answers: Sequence[Answers], known: Flags) -> Examples:
    """Make the message for the models plane from the answers of all heads.

    Parameters
    ----------
    features
        Names of the features, in the order of the gradients.
    buckets
        Bucket of each user, shape (users,).
    answers
        One per head, in the order of :data:`processors.models.ranker_weights.HEADS`.
    known
        Whether each user has a history, shape (users,).
    """
    first = answers[0]
    asked = first.asked[known[first.asked]]
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
        asked=len(asked),
        found=int(((first.ranks[asked] > 0) & (first.ranks[asked] <= DEPTH)).sum()),
    )


def _joined(columns: Iterable[np.ndarray], dtype: str) -> bytes:
    """Return the bytes of columns one after another, each cast to a type."""
    return np.concatenate([column.astype(dtype) for column in columns]).tobytes()


def choices_of(answers: Sequence[Answers]) -> list[Choices]:
    """Return what was expected of the first candidates and whether they were chosen, per head.

    Parameters
    ----------
    answers
        From :meth:`Training.lessons`.
    """
    return [
        Choices(head, part.confidences, part.ranks[part.users] == 1) for head, part in zip(HEADS, answers, strict=True)
    ]
