"""Unclicked impressions: how often a user was shown an item without touching it, and when last. Bounded in size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from processors.common.hashing import FingerprintRing, fingerprint


class UnclickedImpressions(msgspec.Struct, array_like=True):
    """Items shown to a user since the user last touched each of them, the one shown last at the end.

    Parameters
    ----------
    ids
        Item ids.
    counts
        Impressions of each item.
    times
        Time of each item's latest impression, milliseconds since the epoch.
    event_ids
        Ring of fingerprints of the latest impressions and ad requests, by which duplicates are found
        (:class:`processors.common.hashing.FingerprintRing`).

    Examples
    --------
    >>> unclicked = UnclickedImpressions()
    >>> unclicked.add(["tent", "lamp"], 1000, touched={}, bound=60)
    >>> unclicked.add(["tent"], 2000, touched={"tent": 1500}, bound=60)
    >>> unclicked.ids, unclicked.counts, unclicked.times
    (['lamp', 'tent'], [1, 2], [1000, 2000])
    >>> unclicked.discard("tent")
    >>> unclicked.ids
    ['lamp']
    """

    ids: list[str] = msgspec.field(default_factory=list)
    counts: list[int] = msgspec.field(default_factory=list)
    times: list[int] = msgspec.field(default_factory=list)
    # Apart from the ring of other events: impressions are many, and would push out what tells a repeated click.
    event_ids: bytes = b""

    def is_new(self, event_id: str, bound: int) -> bool:
        """Tell whether an id is none of those remembered, and remember it from now on, in place.

        Parameters
        ----------
        event_id
            Id of an impression or of an ad request.
        bound
            Ids remembered; a duplicate that comes after so many others is taken to be new.
        """
        mark = fingerprint(event_id)
        if FingerprintRing.contains(self.event_ids, mark):
            return False
        self.event_ids = FingerprintRing.add(self.event_ids, mark, bound)
        return True

    def add(self, items: Sequence[str], time_ms: int, touched: Mapping[str, int], bound: int) -> None:
        """Count one impression of each of some items, in place.

        Parameters
        ----------
        items
            Ids of the items shown, the topmost first. If there are more than ``bound``, the last are left out.
        time_ms
            When they were shown, milliseconds since the epoch.
        touched
            When the user last touched which items, milliseconds since the epoch. An item shown no later than that is
            not counted: the impression was clicked.
        bound
            Items kept at most; those shown the longest ago go first.
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

    def discard(self, item: str) -> None:
        """Drop an item, in place, because the user has touched it."""
        if item in self.ids:
            at = self.ids.index(item)
            del self.ids[at], self.counts[at], self.times[at]
