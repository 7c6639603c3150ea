"""The user profile: recent items, decayed interests, purchases, the running session, ads. Bounded in size.

A profile is plain data: events, impressions and ad requests are folded into it by
:class:`processors.users.profile_keeper.ProfileKeeper`.
"""

import msgspec

from processors.common.hashing import FINGERPRINT_BYTES, FingerprintRing, fingerprint
from processors.users.ad_history import AdHistory
from processors.users.category_visits import CategoryVisits
from processors.users.dislikes import Dislikes
from processors.users.influence import Pace
from processors.users.item_history import ItemHistory
from processors.users.payments import Payments
from processors.users.unclicked_impressions import UnclickedImpressions

BOUGHT = 64
"""Items bought last whose fingerprints are kept."""


class Profile(msgspec.Struct, array_like=True):
    """One user's state. Its fields are stored by position: a new one goes to the end, with a default.

    Times are milliseconds since the epoch. Rings are rings of fingerprints
    (:class:`processors.common.hashing.FingerprintRing`).

    Parameters
    ----------
    item_ids, item_times, item_counts, item_weights, item_actions
        Recent items, see :attr:`items`.
    older_items
        Ring of the items that were recent before.
    categories, brands
        Interests: decayed weights of the user's events by category and by brand.
    landmark
        Time that all weights are relative to (:mod:`processors.common.decay`).
    first_seen, last_seen
        Times of the earliest and the latest event.
    events, purchases, spent
        Number of events, number of purchases not wholly refunded, and money spent on these less what came back.
    session_id, session_start, session_events
        The running session: the app's id for it, if any, its first event's time, and its number of events.
    sessions
        Number of sessions so far.
    event_ids
        Ring of the latest event ids, by which duplicates are found.
    unclicked
        Items shown and not touched since.
    context
        The user's circumstances as last known (:func:`processors.users.context.update_circumstances`).
    age
        The user's age in years, as last declared.
    ads
        Ad decisions and impressions.
    category_visits
        Visits to some of the ``categories``.
    bought
        Ring of the items bought last and not returned.
    last_active
        Time of the latest event, impression, ad request or change of the lists.
    payments
        What was paid in the purchases made last and not returned.
    pace
        How the user's events follow each other.
    unnamed
        By item: decayed weight of the events that named neither its category nor its brand. They are filled in where
        something is decided (:mod:`processors.models.completed_profiles`).
    unpriced
        By item: pieces bought without a price, and not taken back; filled in likewise.
    dislikes
        Items dismissed or rated low.
    session_ids
        Ring of the session ids met since the user was last away for longer than a session may rest.
    taught
        Ring of the items bought last whose purchase others have learned from, and have not unlearned.
    lists
        The shop's lists that the user is on, as the shop uploaded them last
        (:mod:`processors.events.audience_upload`); ads alone look at them.
    """

    item_ids: list[str] = msgspec.field(default_factory=list)
    item_times: list[int] = msgspec.field(default_factory=list)
    item_counts: list[int] = msgspec.field(default_factory=list)
    item_weights: list[float] = msgspec.field(default_factory=list)
    item_actions: list[str] = msgspec.field(default_factory=list)
    older_items: bytes = b""
    categories: dict[str, float] = msgspec.field(default_factory=dict)
    brands: dict[str, float] = msgspec.field(default_factory=dict)
    landmark: int = 0
    first_seen: int = 0
    last_seen: int = 0
    events: int = 0
    purchases: int = 0
    spent: float = 0.0
    session_id: str | None = None
    session_start: int = 0
    session_events: int = 0
    sessions: int = 0
    event_ids: bytes = b""
    unclicked: UnclickedImpressions = msgspec.field(default_factory=UnclickedImpressions)
    context: dict[str, str] = msgspec.field(default_factory=dict)
    age: int | None = None
    ads: AdHistory = msgspec.field(default_factory=AdHistory)
    category_visits: dict[str, CategoryVisits] = msgspec.field(default_factory=dict)
    bought: bytes = b""
    last_active: int = 0
    payments: Payments = msgspec.field(default_factory=Payments)
    pace: Pace = msgspec.field(default_factory=Pace)
    unnamed: dict[str, float] = msgspec.field(default_factory=dict)
    unpriced: dict[str, float] = msgspec.field(default_factory=dict)
    dislikes: Dislikes = msgspec.field(default_factory=Dislikes)
    session_ids: bytes = b""
    taught: bytes = b""
    lists: list[str] = msgspec.field(default_factory=list)

    @property
    def items(self) -> ItemHistory:
        """The recent items; changing its lists changes the profile."""
        return ItemHistory(self.item_ids, self.item_times, self.item_counts, self.item_weights, self.item_actions)

    def has_bought(self, item: str) -> bool:
        """Tell whether an item is among those bought last and not returned."""
        return FingerprintRing.contains(self.bought, fingerprint(item))

    def last_bought(self) -> dict[bytes, int]:
        """Return when each item bought last and not returned was bought, by its fingerprint.

        In milliseconds since the epoch; 0 for a purchase that is longer ago than payments are remembered.
        """
        times, size = self.payments.latest(), FINGERPRINT_BYTES
        marks = [self.bought[at : at + size] for at in range(0, len(self.bought), size)]
        return {mark: times.get(mark, 0) for mark in marks}

    def teach(self, item: str) -> None:
        """Note that others have learned from a purchase of an item."""
        mark = fingerprint(item)
        self.taught = FingerprintRing.add(FingerprintRing.without(self.taught, mark), mark, BOUGHT)

    def unteach(self, item: str) -> bool:
        """Note that others unlearn a purchase of an item; return False if there is none that they learned from."""
        mark = fingerprint(item)
        if not FingerprintRing.contains(self.taught, mark):
            return False
        self.taught = FingerprintRing.without(self.taught, mark)
        return True

    def recency_ms(self, now_ms: int) -> int:
        """Return the milliseconds since the user's latest event: the R of recency, frequency, monetary value.

        Examples
        --------
        >>> Profile(last_seen=400).recency_ms(1000)
        600
        """
        return max(0, now_ms - self.last_seen)
