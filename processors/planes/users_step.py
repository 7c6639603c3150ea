"""The result of one step of the users plane."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from processors.evaluation.live_quality import Observations
from processors.evaluation.published import Published
from processors.planes.base import Step
from processors.users.profile import Profile


@dataclass
class UsersStep(Step[Profile]):
    """Result of one step of the users plane.

    Parameters
    ----------
    quality
        Figures of the quality of slates: some of those that were made, and how users' choices were ranked.
    removed
        By name of a stage of the ranking: how many candidates it removed, over all placements.
    decisions
        By outcome: how many ad decisions had it.
    delays
        For each click or purchase attributed to an ad: ``click`` or ``purchase``, and the milliseconds since the ad's
        impression, or for a purchase since its click if there was one.
    unlearned
        By behaviour of a machine (:mod:`processors.users.influence`): from how many events nothing was learned.
    published
        Slates that the step publishes, to judge by what users choose next; remembered once the step is committed.
    costs
        By campaign id: what ad decisions are going to cost; held against the budget once the step is committed.
    """

    quality: Observations = field(default_factory=Observations)
    removed: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    delays: list[tuple[str, int]] = field(default_factory=list)
    unlearned: Counter[str] = field(default_factory=Counter)
    published: list[Published] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
