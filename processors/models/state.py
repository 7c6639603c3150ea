"""What the models plane keeps of everything that is learned, and the settings of learning."""

from __future__ import annotations

import msgspec

from processors.models.click_learner import ClickState
from processors.models.click_model import ClickModelSettings
from processors.models.context_popularity import ContextsSettings, ContextsState
from processors.models.exploration_rate import ShareState
from processors.models.exposure import Exposure
from processors.models.interest_group_learner import GroupsSettings, GroupsState
from processors.models.misses import Misses
from processors.models.ranker_learner import RankerSettings, RankerState
from processors.models.ranker_weights import HISTORIES


class ModelsSettings(RankerSettings, frozen=True, forbid_unknown_fields=True):
    """How models learn and are watched. Those of the ranker stand at the top.

    Parameters
    ----------
    groups
        Settings of the interest groups.
    contexts
        Settings of what is chosen in which context.
    clicks
        Settings of clicks on ads, and of purchases after them.
    """

    groups: GroupsSettings = GroupsSettings()
    contexts: ContextsSettings = ContextsSettings()
    clicks: ClickModelSettings = ClickModelSettings()


class ModelState(RankerState, array_like=True):
    """The state of the ranker, and after it of every other model that learns from the same messages.

    Fields are stored by position: new ones go to the end.
    """

    groups: GroupsState = msgspec.field(default_factory=GroupsState)
    share: ShareState = msgspec.field(default_factory=ShareState)
    contexts: ContextsState = msgspec.field(default_factory=ContextsState)
    exposure: dict[str, Exposure] = msgspec.field(default_factory=dict)
    clicks: ClickState = msgspec.field(default_factory=ClickState)
    purchases: ClickState = msgspec.field(default_factory=ClickState)
    histories: list[list[float]] = msgspec.field(default_factory=lambda: [[0.0, 0.0, 0.0] for _ in range(HISTORIES)])
    missed: Misses = msgspec.field(default_factory=Misses)

    @property
    def by_history(self) -> list[list[float]]:
        """For each length of history: decayed number of examples, and decayed sums of reciprocal ranks.

        As ranked by what was learned, and by co-visitation alone.
        """
        return self.histories

    @property
    def misses(self) -> Misses:
        """What is known of choices that were not found."""
        return self.missed

    @property
    def exploration_arm(self) -> int:
        """How much is to be explored: the arm that the bandit has pulled."""
        return self.share.arm
