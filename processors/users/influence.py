"""What a user's event counts for everybody else: how often it was repeated, whose it is, whether a machine sent it.

Everybody is served. But items become popular, neighbours and models are learned by what many people do, and one account
must not be able to pass for many. So every event carries to the items plane how often its user has touched the item
(:attr:`Influence.nth`) and whether the user has a past (:attr:`Influence.settled`); and nothing at all is learned from
accounts that behave like machines.

Whether one does is told by three figures that a machine cannot help having, each kept in a few numbers per user:

* **rate**: more browse and click events within a minute or so than a person can make;
* **regularity**: gaps between events that are all alike, as of a timer;
* **breadth**: many events in a short time, hardly one of them with an item that was touched before, as of a crawler.

An account that stops is a person again after some minutes: the rate is a decayed number.
"""

from __future__ import annotations

import math

import msgspec

from processors.common.bounds import EntriesOrNone, Milliseconds, Positive, Share
from processors.events.event import Event

_MEMORY = 31 / 32
"""Weight of what is known of gaps and of new items against that of one more event."""


class InfluenceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When an account has a past, and when it counts as a machine.

    Parameters
    ----------
    past_items
        Distinct items that a user must have touched before for an event to count in full; 0 counts everybody so.
    rate_half_life_ms
        After this long an event counts half for the rate; milliseconds. With 60,000, a steady event a second is 87.
    machine_events
        Decayed number of browse and click events beyond which an account is a machine; 0 takes nobody for one.
    crawler_events
        The same for an account of which nearly all events are with items that it had not touched before.
    crawler_novelty
        Share of such events, over the last thirty or so, from which an account is a crawler.
    timer_events
        Events in a row with gaps alike, after which an account is a timer.
    timer_spread
        Mean deviation of the gaps, relative to their mean, below which they are alike.
    """

    past_items: EntriesOrNone = 2
    rate_half_life_ms: Milliseconds = 60_000
    machine_events: EntriesOrNone = 300
    crawler_events: Positive = 120
    crawler_novelty: Share = 0.98
    timer_events: Positive = 64
    timer_spread: Share = 0.02


class Pace(msgspec.Struct, array_like=True):
    """How a user's browse and click events follow each other.

    Parameters
    ----------
    last_ms
        Time of the latest one, milliseconds since the epoch.
    recent
        Decayed number of them.
    gaps
        How many gaps the next two figures know.
    gap_ms, gap_spread_ms
        Exponentially weighted mean of the gaps, and of their absolute deviation from it, milliseconds.
    novelty
        Exponentially weighted share of events with an item that had not been touched before.

    Examples
    --------
    >>> pace, settings = Pace(), InfluenceSettings()
    >>> for n in range(400):
    ...     pace.note(1000 + 50 * n, new_item=False, half_life_ms=60_000)
    >>> round(pace.recent), pace.behaviour(settings)
    (357, 'rate')
    >>> pace.note(1_000_000, new_item=False, half_life_ms=60_000)
    >>> pace.behaviour(settings) is None
    True
    """

    last_ms: int = 0
    recent: float = 0.0
    gaps: int = 0
    gap_ms: float = 0.0
    gap_spread_ms: float = 0.0
    novelty: float = 0.0

    def note(self, time_ms: int, *, new_item: bool, half_life_ms: int) -> None:
        """Take in an event, in place; one that came late counts as if it had happened with the latest.

        Parameters
        ----------
        time_ms
            When it happened, milliseconds since the epoch.
        new_item
            Whether its item had not been touched before.
        half_life_ms
            After this long an event counts half for the rate; milliseconds.
        """
        gap = max(0, time_ms - self.last_ms)
        self.recent = 1.0 + self.recent * math.exp2(-gap / max(1, half_life_ms))
        self.novelty = _MEMORY * self.novelty + (1.0 - _MEMORY) * new_item
        if self.last_ms:
            known = min(_MEMORY, self.gaps / (self.gaps + 1.0))
            self.gap_spread_ms = known * self.gap_spread_ms + (1.0 - known) * abs(gap - self.gap_ms)
            self.gap_ms = known * self.gap_ms + (1.0 - known) * gap
            self.gaps += 1
        self.last_ms = max(self.last_ms, time_ms)

    def behaviour(self, settings: InfluenceSettings) -> str | None:
        """Return by which of ``rate``, ``breadth``, ``regularity`` a user is a machine; :obj:`None` for a person."""
        if not settings.machine_events:
            return None
        if self.recent > settings.machine_events:
            return "rate"
        if self.recent > settings.crawler_events and self.novelty >= settings.crawler_novelty:
            return "breadth"
        alike = self.gap_ms > 0.0 and self.gap_spread_ms <= settings.timer_spread * self.gap_ms
        return "regularity" if alike and self.gaps >= settings.timer_events else None


class Influence(msgspec.Struct, array_like=True, frozen=True):
    """What an event counts for others.

    Parameters
    ----------
    nth
        How often the user has touched the item, this time included, as far as it is remembered.
    settled
        Whether the user has a past: touched other items before.
    machine
        By which behaviour the user is a machine (:meth:`Pace.behaviour`): others learn nothing from the event then.
    """

    nth: int = 1
    settled: bool = True
    machine: str | None = None


def paced(event: Event) -> bool:
    """Tell whether an event says something about its user's pace: lines of an order come all at once."""
    return event.kind != "purchase"
