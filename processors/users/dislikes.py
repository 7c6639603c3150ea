"""What a user does not want to see: items dismissed or rated low, the latest, each with its time. Bounded in size."""

from __future__ import annotations

import msgspec

MOST = 32
"""Items that are remembered; the one disliked longest ago goes first."""


class Dislikes(msgspec.Struct, array_like=True):
    """Items that a user dismissed or rated low, the one disliked last at the end, as columns.

    Parameters
    ----------
    ids
        Item ids, each once.
    times
        When each was disliked, milliseconds since the epoch.
    dismissed
        Whether each was dismissed: the user wants nothing of the kind. Who rates an item low has at least tried it.

    Examples
    --------
    >>> dislikes = Dislikes()
    >>> for at_ms, item in enumerate(("tent", "lamp", "tent"), 7):
    ...     dislikes.add(item, at_ms, dismissed=False)
    >>> dislikes.ids, dislikes.times
    (['lamp', 'tent'], [8, 9])
    >>> dislikes.discard("lamp")
    >>> dislikes.ids
    ['tent']
    """

    ids: list[str] = msgspec.field(default_factory=list)
    times: list[int] = msgspec.field(default_factory=list)
    dismissed: list[bool] = msgspec.field(default_factory=list)

    def add(self, item: str, at_ms: int, *, dismissed: bool) -> None:
        """Note that an item is disliked, in place."""
        self.discard(item)
        self.ids.append(item)
        self.times.append(at_ms)
        self.dismissed.append(dismissed)
        if len(self.ids) > MOST:
            self.discard(self.ids[0])

    def discard(self, item: str) -> None:
        """Forget that an item was disliked, in place: the user did something else with it."""
        if item in self.ids:
            at = self.ids.index(item)
            del self.ids[at], self.times[at], self.dismissed[at]
