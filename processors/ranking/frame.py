"""What a stage of the ranking is, and the frame of candidates that it works on.

One frame holds the candidates of up to :data:`processors.ranking.candidates.MAX_ROWS` users. Stages that do the same
for every placement work on it once; then each placement continues with a copy of its own. A stage never changes an
array of the frame: it assigns a new one, so that copies keep the array as it was before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import numpy as np

from processors.common.arrays import Features, Flags, Floats, Ints
from processors.ranking.candidates import Candidates, Marks
from processors.ranking.read_models import ReadModels
from processors.ranking.rule_effects import NO_EFFECTS, RuleEffects
from processors.users.profile import Profile

Found = TypeVar("Found")

Purpose = Literal["slate", "lesson", "trial"]
"""What the stages are run for: ``slate`` makes slates for users; ``lesson`` ranks the item that a user chose next, so
that the ranker learns from it; ``trial`` makes a slate once more, to measure whether exploring serves users."""

EVERYTHING: frozenset[Purpose] = frozenset(("slate", "lesson", "trial"))
SLATES: frozenset[Purpose] = frozenset(("slate",))
SLATES_AND_TRIALS: frozenset[Purpose] = frozenset(("slate", "trial"))


@dataclass
class Frame:
    """Candidates of some users, and what the stages have found out about them for one placement.

    An attribute is set by the stage named below; before that, reading it raises :exc:`AttributeError`. A candidate is
    known by its number, the index into all arrays of shape (candidates,).

    Parameters
    ----------
    profiles, now_ms
        The users, and the moment each slate is for (milliseconds since the epoch); one per row.
    read
        The read models.
    at_ms
        The moment at which rules must be in force, milliseconds since the epoch.
    wanted
        Slots of items that rules make candidates for everybody; :obj:`None` without rules.

    Attributes
    ----------
    placement, number, size, only_new
        The placement: its name, its number in the settings, the positions of its slates, and whether they leave out
        what the user has touched. Set by :meth:`processors.ranking.pipeline.RankingPipeline.for_placement`.
    scored_by, weights
        A name for the weights that rank, and the weights, float64 of shape (buckets, features). Set likewise.
    candidates
        Users and items of the candidates, and which sources proposed them; from ``gather``.
    ties
        Hash of each candidate's item, in [0, 1), shape (candidates,): gives equal scores the same order in every
        process; from ``gather``.
    kept
        Which candidates no stage has removed so far, bool of shape (candidates,); from ``gather`` on.
    features
        Features of the candidates, float32 of shape (features, candidates); from ``describe``.
    true_kinds
        Which kinds of reason are true of which candidates, uint32 of shape (candidates,), bit k for kind k; from
        ``reasons``.
    effects
        What the rules of the shop do to the candidates; from ``rules``.
    scores
        Score of each candidate, float64 of shape (candidates,): a logit, so that adding 0.7 doubles the odds; from
        ``score`` on.
    kept_scores
        The same, with minus infinity for candidates that were removed; from ``rank``.
    numbers, filled
        The slates: the candidate number at each position, and which positions are filled, shape (users, size). A number
        at a position that is not filled means nothing. From ``rank`` on.
    propensities
        Probability that each item was to be in the slate, shape (users, size); from ``explore``.
    kinds, links
        The reason for each position, as an index into :data:`processors.ranking.reasons.KINDS`, and the user's item
        (slot) or context that it names, -1 where it names none; shape (users, size); from ``explain``.
    removed
        How many candidates each stage removed, by its name.
    done
        Names of the stages that the frame has been through.
    """

    profiles: Sequence[Profile]
    now_ms: Sequence[int]
    read: ReadModels
    at_ms: int
    wanted: Ints | None = None
    placement: str = ""
    number: int = 0
    size: int = 0
    only_new: bool = False
    scored_by: str = ""
    weights: Floats = field(init=False)
    candidates: Candidates = field(init=False)
    features: Features = field(init=False)
    true_kinds: Marks = field(init=False)
    ties: Floats = field(init=False)
    kept: Flags = field(init=False)
    effects: RuleEffects = NO_EFFECTS
    scores: Floats = field(init=False)
    kept_scores: Floats = field(init=False)
    numbers: Ints = field(init=False)
    filled: Flags = field(init=False)
    propensities: Floats = field(init=False)
    kinds: Ints = field(init=False)
    links: Ints = field(init=False)
    removed: dict[str, int] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    _memo: dict[object, Any] = field(default_factory=dict)

    def once(self, what: object, find: Callable[[], Found]) -> Found:
        """Return what any copy of this frame found under a key, or find it now.

        For results that several placements need. What depends on the placement must have it in the key: all copies of a
        frame share the results.

        Parameters
        ----------
        what
            The key.
        find
            Called if there is no result yet.
        """
        if what not in self._memo:
            self._memo[what] = find()
        found: Found = self._memo[what]
        return found

    def split(self, users: int) -> tuple[Frame, Frame]:
        """Return a frame of the first so many users, and one of the others, as if each had been alone.

        Call it after ``describe`` and before any other stage.
        """
        at = int(self.candidates.begins[users])
        first = Frame(self.profiles[:users], self.now_ms[:users], self.read, self.at_ms)
        others = Frame(self.profiles[users:], self.now_ms[users:], self.read, self.at_ms)
        first.candidates, others.candidates = self.candidates.split(users)
        for part, columns in ((first, slice(0, at)), (others, slice(at, None))):
            part.ties, part.kept = self.ties[columns], self.kept[columns]
            part.features = np.ascontiguousarray(self.features[:, columns])
            part.done = self.done
        return first, others

    def copied(self) -> Frame:
        """Return a copy that later stages can change apart from this frame; results of :meth:`once` stay shared."""
        other = object.__new__(Frame)
        other.__dict__.update(self.__dict__)
        other.removed = dict(self.removed)
        return other


class Stage(ABC):
    """One step on the way from candidates to slates.

    Attributes
    ----------
    name
        As ``why-not`` and the metrics call it; unique.
    purposes
        What it is run for.
    shared
        Whether it does the same for every placement. Such stages come first in the list.
    removes
        The text by which ``why-not`` explains that this stage removed a candidate; :obj:`None` if it removes none.
    """

    name: str
    purposes: frozenset[Purpose] = EVERYTHING
    shared: bool = False
    removes: str | None = None

    @abstractmethod
    def apply(self, frame: Frame) -> Frame:
        """Work on the frame and return the same frame, its arrays replaced but never changed in place.

        Promises: the same frame gives the same result in every process, and a user's part of the result does not depend
        on which other users are in the frame.
        """

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """Say why this stage took a candidate out of the slate; :obj:`None` if it did not.

        Parameters
        ----------
        before, after
            The frame of a single user before and after this stage.
        number
            The candidate's number.
        """
        gone = self.removes is not None and before.kept[number] and not after.kept[number]
        return self.removes if gone else None

    def why_item(self, frame: Frame, slot: int) -> str | None:  # noqa: ARG002  # most stages look at candidates alone
        """Say why this stage would remove an item that is no candidate; :obj:`None` if it would not, or cannot tell.

        Parameters
        ----------
        frame
            The frame of a single user.
        slot
            The item's slot in the item index.
        """
        return None

    def note(self, frame: Frame, number: int) -> str | None:  # noqa: ARG002  # most stages have nothing to add
        """Say what this stage did to the score of a candidate that ranks too low; :obj:`None` if nothing.

        Parameters
        ----------
        frame
            The frame of a single user after all stages.
        number
            The candidate's number.
        """
        return None
