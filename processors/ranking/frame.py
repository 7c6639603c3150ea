"""What travels through the stages of the ranking, and what a stage is.

One frame holds the candidates of up to :data:`processors.ranking.candidates.MAX_ROWS` users. The stages that are the
same for every placement work on it once; then each placement goes on with a copy of its own. A stage never changes an
array that it was given: it puts a new one in its place, so a copy keeps what was there before.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from processors.common.arrays import Features, Flags, Floats, Ints
from processors.ranking.candidates import Candidates
from processors.ranking.read_models import ReadModels
from processors.ranking.rule_effects import NO_EFFECTS, RuleEffects
from processors.users.profile import Profile

Found = TypeVar("Found")

Purpose = Literal["slate", "lesson", "trial"]
"""What the stages are run for: slates for users, the questions that the ranker learns from, or the slates by which it
is judged how much exploring serves users."""

EVERYTHING: frozenset[Purpose] = frozenset(("slate", "lesson", "trial"))
SLATES: frozenset[Purpose] = frozenset(("slate",))
SLATES_AND_TRIALS: frozenset[Purpose] = frozenset(("slate", "trial"))


@dataclass
class Frame:
    """The candidates of some users on their way to the slates of one placement.

    Parameters
    ----------
    profiles, now_ms
        The users, and the moment each slate is for (milliseconds since the epoch).
    read
        The read models.
    at_ms
        The moment at which rules must be in force.
    wanted
        Slots that rules make candidates for everybody, if there are any.

    Attributes
    ----------
    placement, number, size, only_new
        The placement: its name, its number in the settings, the length of its slates, and whether they leave out what
        the user has touched.
    scored_by, weights
        Which weights rank, and the weights themselves, shape (buckets, features).
    candidates, features
        Who could be shown what, and the features of each candidate, shape (features, candidates).
    true
        Which kinds of reason hold for which candidate, shape (kinds, candidates).
    ties
        Hash of each candidate's item, in [0, 1): puts equals in one order in every process.
    kept
        Candidates that no stage has removed so far.
    effects
        What the rules make of the candidates.
    scores, offered
        What each candidate is worth; the same with minus infinity for those that were removed.
    numbers, filled
        The slates as candidate numbers, and which of their positions are filled, shape (users, depth). ``depth`` is the
        size of the slate, or more while it is still to be spread.
    propensities
        How likely each item was to be in the slate, shape (users, size).
    kinds, because
        The reason given for each position, as a number into :data:`processors.ranking.reasons.KINDS`, and the user's
        item (slot) or context behind it, -1 without; shape (users, size).
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
    true: Flags = field(init=False)
    ties: Floats = field(init=False)
    kept: Flags = field(init=False)
    effects: RuleEffects = NO_EFFECTS
    scores: Floats = field(init=False)
    offered: Floats = field(init=False)
    numbers: Ints = field(init=False)
    filled: Flags = field(init=False)
    propensities: Floats = field(init=False)
    kinds: Ints = field(init=False)
    because: Ints = field(init=False)
    removed: Counter[str] = field(default_factory=Counter)
    done: tuple[str, ...] = ()
    _memo: dict[object, Any] = field(default_factory=dict)

    def once(self, what: object, find: Callable[[], Found]) -> Found:
        """Return what was found before under this key by any copy of the frame, or find it now.

        For what depends on users and candidates alone, and not on the placement.
        """
        if what not in self._memo:
            self._memo[what] = find()
        found: Found = self._memo[what]
        return found

    def copied(self) -> Frame:
        """Return a frame that goes on by itself; what was found once is shared."""
        other = copy.copy(self)
        other.removed = Counter(self.removed)
        return other


class Stage(ABC):
    """One step on the way from candidates to slates.

    Attributes
    ----------
    name
        In ``why-not`` and in metrics.
    purposes
        What it is run for.
    shared
        Whether it does the same for every placement. Such stages come first in the list.
    removes
        What ``why-not`` says of a candidate that it removed; :obj:`None` if it removes none.
    """

    name: str
    purposes: frozenset[Purpose] = EVERYTHING
    shared: bool = False
    removes: str | None = None

    @abstractmethod
    def apply(self, frame: Frame) -> Frame:
        """Do its part and return the same frame. Arrays of the frame are replaced, never changed.

        The same frame gives the same result in every process, and a user's part of it does not depend on who else is
        in the frame.
        """

    def why(self, before: Frame, after: Frame, number: int) -> str | None:
        """Say why this stage took a candidate out of the slate; :obj:`None` if it did not.

        Parameters
        ----------
        before, after
            The frame of a single user as the stage found it and as it left it.
        number
            Of the candidate.
        """
        gone = self.removes is not None and before.kept[number] and not after.kept[number]
        return self.removes if gone else None

    def note(self, frame: Frame, number: int) -> str | None:  # noqa: ARG002  # most stages have nothing to add
        """Say what else this stage did to a candidate that others rank above; :obj:`None` if nothing."""
        return None
