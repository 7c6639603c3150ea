"""What the users of a micro-batch did, as targeting asks for it: one column per question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from processors.ads.audience import Audience
from processors.ads.opportunity import Opportunity
from processors.common.arrays import Flags, Floats
from processors.common.time import DAY_MS
from processors.users.profile import Profile


class UserFacts:
    """What the users of a batch did, each thing looked up once however many campaigns ask for it.

    All columns have the shape (opportunities,).

    Parameters
    ----------
    opportunities
        The moments of the batch, with the users' profiles.
    """

    def __init__(self, opportunities: Sequence[Opportunity]) -> None:
        self._opportunities = opportunities
        self._known: dict[tuple[str, str], Floats] = {}

    def matching(self, audience: Audience) -> Iterator[Flags]:
        """Tell, for each field about what users did that an audience gives, which users match it."""
        if audience.interests:
            yield any_of(self._shares(interest.name) >= interest.at_least for interest in audience.interests)
        if audience.visitors is not None:
            yield (self._figures("sessions") > 1) == (audience.visitors == "returning")
        if audience.seen_within_days is not None:
            recency = np.array([found.profile.recency_ms(found.at_ms) for found in self._opportunities])
            yield recency <= audience.seen_within_days * DAY_MS
        if audience.events_at_least is not None:
            yield self._figures("events") >= audience.events_at_least
        if audience.spent_at_least is not None:
            yield self._figures("spent") >= audience.spent_at_least
        if audience.viewed_categories:
            yield any_of(self._viewed("categories", name) for name in audience.viewed_categories)
        if audience.viewed_items:
            yield any_of(self._viewed("item_ids", item) for item in audience.viewed_items)

    def bought(self, item: str) -> Flags:
        """Tell which users bought an item lately and did not return it."""
        return self._column("bought", item, lambda profile: profile.has_bought(item)) > 0.0

    def _shares(self, name: str) -> Floats:
        return self._column("shares", name, lambda profile: share_of(profile, name))

    def _viewed(self, field: str, name: str) -> Flags:
        return self._column(field, name, lambda profile: name in getattr(profile, field)) > 0.0

    def _figures(self, field: str) -> Floats:
        return self._column(field, "", lambda profile: getattr(profile, field))

    def _column(self, question: str, name: str, look_up: Callable[[Profile], float]) -> Floats:
        found = self._known.get((question, name))
        if found is None:
            found = np.array([look_up(one.profile) for one in self._opportunities], np.float64)
            self._known[question, name] = found
        return found


def any_of(answers: Iterable[Flags]) -> Flags:
    """Combine columns of answers: true where at least one is."""
    found: Flags = np.logical_or.reduce(list(answers))
    return found


def share_of(profile: Profile, name: str) -> float:
    """Return the share that a category, or else a brand, takes of a user's interests.

    Examples
    --------
    >>> share_of(Profile(categories={"tents": 3.0, "lamps": 1.0}), "tents")
    0.75
    """
    for weights in (profile.categories, profile.brands):
        if name in weights:
            total = sum(weights.values())
            return weights[name] / total if total > 0.0 else 0.0  # all of them may have faded to nothing
    return 0.0
