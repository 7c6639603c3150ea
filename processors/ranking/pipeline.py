"""From profiles to slates: the stages of the ranking in their order, and what runs them.

:func:`stages_of` alone knows the order. Slates, ``why-not`` (:mod:`processors.ranking.why_not`) and what the ranker
learns from (:mod:`processors.ranking.training`) all run this list, each the stages that serve its purpose. To add a
stage, write it in the file it belongs to and name it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from processors.common.arrays import Ints
from processors.models.ranker_weights import HEADS
from processors.ranking.candidates import MAX_ROWS, without
from processors.ranking.dislikes import Disliked, LessOfTheDisliked
from processors.ranking.diversity import Spread
from processors.ranking.eligibility import AlreadyTouched, ApplyRules, Availability, Limits
from processors.ranking.exploration import Explore
from processors.ranking.fatigue import Fatigue
from processors.ranking.feature_names import feature_names
from processors.ranking.features import Describe
from processors.ranking.frame import EVERYTHING, Frame, Purpose, Stage
from processors.ranking.gathering import Gather
from processors.ranking.objectives import WeighObjectives
from processors.ranking.read_models import ReadModels
from processors.ranking.reason_texts import ReasonTexts
from processors.ranking.reasons import Explain, TrueReasons
from processors.ranking.scoring import AddRuleOffsets, BreakTies, Score
from processors.ranking.selection import Pins, Top
from processors.ranking.settings import Placement, RankingSettings
from processors.ranking.slate import Slates, joined, slates_of
from processors.users.profile import Profile


def stages_of(settings: RankingSettings) -> tuple[Stage, ...]:
    """Return the stages in order: gather, describe, remove, score, adjust, select, explore, explain.

    Parameters
    ----------
    settings
        Sources, and how slates are made.
    """
    gather = Gather(settings.sources)
    return (
        gather,
        Describe(),
        Availability(),
        Limits(settings.unknown_limits),
        Disliked(settings.dislike_days),
        TrueReasons(),
        # From here on each placement has a frame of its own.
        AlreadyTouched(),
        ApplyRules(),
        Score(),
        WeighObjectives(settings.objectives),
        BreakTies(),
        Fatigue(settings.fatigue, settings.fatigue_after, settings.fatigue_half_life_ms),
        LessOfTheDisliked(settings.dislike, settings.dislike_half_life_ms),
        AddRuleOffsets(),
        Top(),
        Spread(settings.diversity),
        Pins(),
        Explore(settings.exploration, settings.new_item_days),
        Explain(feature_names(gather.columns)),
    )


class Asked(NamedTuple):
    """Users, and the moment that each is ranked for, milliseconds since the epoch."""

    profiles: Sequence[Profile]
    now_ms: Sequence[int]


class RankingPipeline:
    """Runs the stages for many users at once.

    Parameters
    ----------
    settings
        Placements, sources, and how slates are made.
    stages
        The stages, by default those of :func:`stages_of`.

    Attributes
    ----------
    settings : RankingSettings
        The settings given.
    texts : ReasonTexts
        What reasons say to people.
    stages : tuple of Stage
        All stages, in the order in which they run.
    features : tuple of str
        Names of the features, in the order of the rows of :attr:`processors.ranking.frame.Frame.features`.
    """

    def __init__(self, settings: RankingSettings, stages: Sequence[Stage] | None = None) -> None:
        self.settings, self.texts = settings, ReasonTexts(settings.locale, settings.texts)
        self.stages = stages_of(settings) if stages is None else tuple(stages)
        self._stages_for = {
            (purpose, shared): tuple(
                stage for stage in self.stages if purpose in stage.purposes and stage.shared is shared
            )
            for purpose in EVERYTHING
            for shared in (True, False)
        }
        (gather,) = (stage for stage in self.stages if isinstance(stage, Gather))
        self._common = tuple(stage for stage in self.stages if isinstance(stage, Gather | Describe))
        self.features = feature_names(gather.columns)

    def rank(
        self,
        profiles: Sequence[Profile],
        now_ms: Sequence[int],
        read: ReadModels,
        at_ms: int,
        frame: Frame | None = None,
    ) -> list[Slates]:
        """Make the slates of all placements for any number of users.

        The result follows from profiles, moments, published item views, model and rules alone, so a replay gives the
        same slates: ties are broken by a hash of the item id, chance is drawn from the user's latest event, and a
        user's slates do not depend on which other users are ranked in the same call.

        Parameters
        ----------
        profiles
            The users.
        now_ms
            The moment each slate is for, milliseconds since the epoch: the user's latest event.
        read
            The read models.
        at_ms
            The moment at which the rules must be in force, milliseconds since the epoch.
        frame
            What :meth:`together` has found of these users, if it was asked.

        Returns
        -------
        list of Slates
            One per placement, in the order of the settings; rows in the order of ``profiles``.
        """
        if frame is not None:
            return self.slates(frame)
        wanted, parts = _wanted(read, at_ms), []
        for begin in range(0, max(1, len(profiles)), MAX_ROWS):
            end = begin + MAX_ROWS
            parts.append(self.slates(Frame(profiles[begin:end], now_ms[begin:end], read, at_ms, wanted)))
        return [joined([part[n] for part in parts]) for n in range(len(self.settings.placements))]

    def together(
        self, slates: Asked, lessons: Asked, read: ReadModels, at_ms: int
    ) -> tuple[Frame, Frame] | tuple[None, None]:
        """Gather and describe the candidates for slates and for lessons at once.

        A large part of a pass is spent however many users there are: for few it is better spent once.

        Parameters
        ----------
        slates, lessons
            The users whose slates are made, and the users as they were before they chose.
        read, at_ms
            As in :meth:`rank`.

        Returns
        -------
        tuple of Frame
            A frame for :meth:`rank` and one for :meth:`processors.ranking.training.Training.lessons`, with what each
            would find by itself, bit by bit; :obj:`None` twice if rules make candidates for slates alone, or the users
            are more than are ranked together.
        """
        wanted = _wanted(read, at_ms)
        if len(slates.profiles) + len(lessons.profiles) > MAX_ROWS or (wanted is not None and len(wanted)):
            return None, None
        frame = Frame([*slates.profiles, *lessons.profiles], [*slates.now_ms, *lessons.now_ms], read, at_ms)
        self.run(self._common, frame)
        return frame.split(len(slates.profiles))

    def begin(self, profiles: Sequence[Profile], now_ms: Sequence[int], read: ReadModels, at_ms: int) -> Frame:
        """Return a frame that no stage has worked on, with the slots that rules make candidates for everybody.

        Parameters
        ----------
        profiles, now_ms, read, at_ms
            As in :meth:`rank`, but at most :data:`processors.ranking.candidates.MAX_ROWS` users.
        """
        return Frame(profiles, now_ms, read, at_ms, _wanted(read, at_ms))

    def slates(self, frame: Frame) -> list[Slates]:
        """Run all stages on a new frame (:meth:`begin`) and return the slates of each placement."""
        self.run(self.stages_for("slate", shared=True), frame)
        slates = []
        for number in range(len(self.settings.placements)):
            part = self.for_placement(frame, number)
            self.run(self.stages_for("slate", shared=False), part)
            slates.append(slates_of(part, self.texts))
        return slates

    def requested(
        self,
        profiles: Sequence[Profile],
        now_ms: Sequence[int],
        read: ReadModels,
        at_ms: int,
        placement: Placement,
        number: int,
        excluded: Sequence[Sequence[str]],
    ) -> Slates:
        """Make the slates of one placement for users whose apps asked for it.

        Parameters
        ----------
        profiles, now_ms, read, at_ms
            As in :meth:`rank`.
        placement, number
            The placement, which need not be one of the settings, and a number that tells it from others.
        excluded
            Per user: ids of items that must not be in the slate.
        """
        parts = []
        for begin in range(0, len(profiles), MAX_ROWS):
            end = begin + MAX_ROWS
            frame = self.begin(profiles[begin:end], now_ms[begin:end], read, at_ms)
            self.run(self.stages_for("slate", shared=True), frame)
            frame.kept = without(frame.candidates, frame.kept, excluded[begin:end], read.items)
            part = self._placed(frame, placement, number)
            self.run(self.stages_for("slate", shared=False), part)
            parts.append(slates_of(part, self.texts))
        return joined(parts)

    def for_placement(self, frame: Frame, number: int) -> Frame:
        """Return a copy of the frame for one placement, with the weights that its slates are ranked by.

        Parameters
        ----------
        frame
            A frame that has been through the shared stages only.
        number
            Number of the placement in the settings.
        """
        return self._placed(frame, self.settings.placements[number], number)

    @staticmethod
    def _placed(frame: Frame, placement: Placement, number: int) -> Frame:
        """Return a copy of the frame for a placement."""
        part = frame.copied()
        part.placement, part.number, part.size = placement.name, number, placement.size
        part.only_new = placement.only_new
        head = "new" if placement.only_new else "any"
        part.scored_by, part.weights = f"serving {head}", frame.read.weights.serving[HEADS.index(head)]
        return part

    def stages_for(self, purpose: Purpose, *, shared: bool) -> tuple[Stage, ...]:
        """Return the stages that serve a purpose, in order.

        Parameters
        ----------
        purpose
            What they are to be run for.
        shared
            Whether to return the stages that all placements share, or those that each placement runs by itself.
        """
        return self._stages_for[purpose, shared]

    @staticmethod
    def run(stages: Iterable[Stage], frame: Frame) -> None:
        """Run stages on a frame, skip those that it has been through, and count what each removes."""
        for stage in stages:
            if stage.name in frame.done:
                continue
            before = frame.kept if frame.done else None
            stage.apply(frame)
            frame.done = (*frame.done, stage.name)
            if before is not None and frame.kept is not before:
                removed = int(np.count_nonzero(before)) - int(np.count_nonzero(frame.kept))
                if removed:
                    frame.removed[stage.name] = frame.removed.get(stage.name, 0) + removed


def _wanted(read: ReadModels, at_ms: int) -> Ints | None:
    """Return the slots that rules make candidates for everybody; costs a pass over all items for some rules."""
    return read.rules.wanted(at_ms, read.items) if len(read.rules) else None
