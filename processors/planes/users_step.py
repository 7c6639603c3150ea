"""What one step of the users plane results in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from processors.evaluation.live_quality import Observations
from processors.planes.base import Step
from processors.users.profile import Profile


@dataclass
class UsersStep(Step[Profile]):
    """Result of one step of the users plane.

    Parameters
    ----------
    quality
        What the step showed of the quality of slates.
    removed
        How many candidates each stage of the ranking removed, by its name, over all placements.
    decisions
        How many ad decisions had which outcome.
    delays
        Time between ads and the clicks and purchases attributed to them: ``click`` or ``purchase``, and milliseconds.
    costs
        What ad decisions are going to cost, by campaign: to be held once the step is committed.
    """

    quality: Observations = field(default_factory=Observations)
    removed: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    delays: list[tuple[str, int]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
