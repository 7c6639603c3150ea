"""Items that users with similar interests choose most."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from processors.common.bounds import Listed
from processors.models.completed_profiles import all_completed
from processors.ranking.read_models import ReadModels
from processors.ranking.sources.base import ProposedPairs, ReasonKind, Visitors


class InterestGroupSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many items of an interest group are proposed.

    Parameters
    ----------
    group_items
        Most chosen items of the user's interest group; 0 turns the source off.
    """

    group_items: Listed = 20


class InterestGroup:
    """Proposes the items that the user's interest group chooses most (:mod:`processors.models.interest_groups`)."""

    name = "group"
    columns: tuple[str, ...] = ("group",)
    settings: type[msgspec.Struct] = InterestGroupSettings
    baseline: Mapping[str, float] = {}
    reasons: tuple[ReasonKind, ...] = (
        ReasonKind(
            "people_like_you", ("group",),
            {"en": "People with your interests like this", "zh": "与您兴趣相近的人喜欢"}, order=80,
        ),
    )  # fmt: skip

    def __init__(self, settings: InterestGroupSettings) -> None:
        self._items = settings.group_items

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        """See :class:`processors.ranking.sources.base.Source`."""
        groups = (
            read.groups.of(all_completed(visitors.profiles, read.items)) if self._items else np.full(len(visitors), -1)
        )
        rows, slots, weights = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
        for number in np.unique(groups[groups >= 0]).tolist():
            view = read.groups.views[number]
            items = np.array(read.items.slots_of(list(view.items[: self._items])), np.int64)
            known = items >= 0
            members = np.flatnonzero(groups == number)
            rows.append(np.repeat(members, int(known.sum())))
            slots.append(np.tile(items[known], len(members)))
            weights.append(np.tile(np.array(view.weights[: self._items])[known], len(members)))
        of_user = np.concatenate(rows)
        order = np.argsort(of_user, kind="stable")
        return ProposedPairs(of_user[order], np.concatenate(slots)[order], np.concatenate(weights)[order, None])
