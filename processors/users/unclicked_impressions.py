"""What a user was shown and has not reacted to: how often, and when last. Bounded in size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from processors.common.hashing import FingerprintRing, fingerprint


class UnclickedImpressions(msgspec.Struct, array_like=True):
    """The items shown to a user since the user last touched each of them, the latest last.

    ``times`` are milliseconds since the epoch. ``event_ids`` is a ring of fingerprints of impressions
    (:class:`processors.common.hashing.FingerprintRing`), apart from that of the events: there are many more
    impressions, and they must not push out of it what keeps a click from counting twice.

    Examples
    --------
    >>> showings = UnclickedImpressions()
    >>> showings.note(["tent", "lamp"], 1000, touched={}, bound=60)
    >>> showings.note(["tent"], 2000, touched={"tent": 1500}, bound=60)
    >>> showings.ids, showings.counts, showings.times
    (['lamp', 'tent'], [1, 2], [1000, 2000])
    >>> showings.forget("tent")
    >>> showings.ids
    ['lamp']
    """

    ids: list[str] = msgspec.field(default_factory=list)
    counts: list[int] = msgspec.field(default_factory=list)
    times: list[int] = msgspec.field(default_factory=list)
    event_ids: bytes = b""

    def is_new(self, event_id: str, bound: int) -> bool:
        """Whether no impression of this id is remembered; it is from now on, as one of the last ``bound``."""
        mark = fingerprint(event_id)
        if FingerprintRing.contains(self.event_ids, mark):
            return False
        self.event_ids = FingerprintRing.add(self.event_ids, mark, bound)
        return True

    def note(self, items: Sequence[str], time_ms: int, touched: Mapping[str, int], bound: int) -> None:
        """Count that some items were shown, in place.

        Parameters
        ----------
        items
            The one that is seen first, first: if there are more than there is room for, the last are left out.
        touched
            When the user last touched which items. What was shown no later than that has had its reaction.
        bound
            Items kept, at most; those shown the longest ago go first.
        """
        known = {item: (n, at) for item, n, at in zip(self.ids, self.counts, self.times, strict=True)}
        for item in reversed(items):
            if touched.get(item, -1) < time_ms:
                count, at = known.pop(item, (0, 0))
                known[item] = count + 1, max(at, time_ms)
        kept = sorted(known.items(), key=lambda entry: entry[1][1])[max(0, len(known) - bound) :]
        self.ids = [item for item, _ in kept]
        self.counts = [count for _, (count, _) in kept]
        self.times = [at for _, (_, at) in kept]

    def forget(self, item: str) -> None:
        """Forget an item, in place: the user has reacted to it."""
        if item in self.ids:
            at = self.ids.index(item)
            del self.ids[at], self.counts[at], self.times[at]
