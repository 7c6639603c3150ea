"""The user profile: recent items, decayed interests, purchases, the running session, ads. Bounded in size.

A profile is plain data (:class:`Profile`); :class:`ProfileKeeper` folds events, impressions and ad requests into it.
"""

import msgspec

from processors.common.bounded_counter import add_bounded
from processors.common.decay import growth, landmark_at, rebase
from processors.common.hashing import FingerprintRing, fingerprint
from processors.events.event import ACTION_WEIGHTS, REFUNDED, TAKES_BACK, Event
from processors.events.impression import Impression
from processors.users.ad_history import AdHistory
from processors.users.category_visits import CategoryVisits, count_visit
from processors.users.context import update_circumstances
from processors.users.item_history import ItemHistory
from processors.users.payments import Payments
from processors.users.settings import ProfileSettings
from processors.users.unclicked_impressions import UnclickedImpressions

_BOUGHT = 64
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
        Time of the latest event, impression or ad request.
    payments
        What was paid in the purchases made last and not returned.
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

    @property
    def items(self) -> ItemHistory:
        """The recent items; changing its lists changes the profile."""
        return ItemHistory(self.item_ids, self.item_times, self.item_counts, self.item_weights, self.item_actions)

    def has_bought(self, item: str) -> bool:
        """Tell whether an item is among those bought last and not returned."""
        return FingerprintRing.contains(self.bought, fingerprint(item))

    def recency_ms(self, now_ms: int) -> int:
        """Return the milliseconds since the user's latest event: the R of recency, frequency, monetary value.

        Examples
        --------
        >>> Profile(last_seen=400).recency_ms(1000)
        600
        """
        return max(0, now_ms - self.last_seen)


class Learned(msgspec.Struct, frozen=True):
    """What came of folding an event into a profile.

    Parameters
    ----------
    duplicate
        Whether the event's id was known; nothing was changed then.
    preceding
        Distinct other items of the running session, the latest first: the event's item is co-visited with them.
    """

    duplicate: bool = False
    preceding: tuple[str, ...] = ()


class ProfileKeeper:
    """Folds events, impressions and ad requests into profiles.

    Parameters
    ----------
    settings
        Bounds and half-lives of the profiles.

    Examples
    --------
    >>> keeper = ProfileKeeper(ProfileSettings())
    >>> profile = Profile()
    >>> def event(n, item):
    ...     return Event(
    ...         event_id=f"e{n}",
    ...         user_id="u",
    ...         item_id=item,
    ...         time_ms=1_700_000_000_000 + n,
    ...         kind="click",
    ...         action="click",
    ...         category="tents",
    ...     )
    >>> keeper.learn(profile, event(1, "tent")), keeper.learn(profile, event(2, "lamp")).preceding
    (Learned(duplicate=False, preceding=()), ('tent',))
    >>> keeper.learn(profile, event(2, "lamp")).duplicate
    True
    >>> profile.item_ids, profile.events, profile.sessions
    (['tent', 'lamp'], 2, 1)
    """

    def __init__(self, settings: ProfileSettings) -> None:
        self.settings = settings

    def knows(self, profile: Profile, event: Event) -> bool:
        """Tell whether an event with this id was folded in before, as far back as the profile remembers ids."""
        return FingerprintRing.contains(profile.event_ids, fingerprint(event.event_id))

    def learn(self, profile: Profile, event: Event) -> Learned:
        """Fold one event into the profile, in place.

        An event that is older than the profile's latest by more than the session's idle time came too late to belong
        to the running session: it counts, but starts no session and is co-visited with nothing.

        Complexity: linear in the bounds of the profile, a few microseconds.
        """
        settings = self.settings
        mark = fingerprint(event.event_id)
        if FingerprintRing.contains(profile.event_ids, mark):
            return Learned(duplicate=True)
        profile.event_ids = FingerprintRing.add(profile.event_ids, mark, settings.event_ids)
        if event.action in TAKES_BACK:
            self._take_back(profile, event)
            return Learned()
        in_order = event.time_ms >= profile.last_seen - settings.session_idle_ms
        preceding = self._enter_session(profile, event) if in_order else ()
        weight = self._weight(profile, event)
        self._touch_item(profile, event, weight, in_order)
        profile.unclicked.discard(event.item_id)
        if event.category:
            add_bounded(profile.categories, event.category, weight, settings.interests)
            _count_visit(profile, event.category, event.time_ms)
        if event.brand:
            add_bounded(profile.brands, event.brand, weight, settings.interests)
        _update_circumstances(profile, event)
        profile.events += 1
        profile.first_seen = min(profile.first_seen or event.time_ms, event.time_ms)
        profile.last_seen = max(profile.last_seen, event.time_ms)
        if event.kind == "purchase":
            profile.purchases += 1
            profile.spent += profile.payments.pay(event)
            mark = fingerprint(event.item_id)
            profile.bought = FingerprintRing.add(FingerprintRing.without(profile.bought, mark), mark, _BOUGHT)
        return Learned(preceding=preceding)

    def note_impression(self, profile: Profile, impression: Impression) -> bool:
        """Count what the user was shown, in place. Nothing but ``unclicked`` changes: seeing is no event.

        Returns
        -------
        bool
            False for a duplicate, which changes nothing.

        Examples
        --------
        >>> keeper, profile = ProfileKeeper(ProfileSettings()), Profile()
        >>> seen = Impression(event_id="e", user_id="u", time_ms=1_700_000_000_000, items=("tent",))
        >>> keeper.note_impression(profile, seen), keeper.note_impression(profile, seen)
        (True, False)
        >>> profile.unclicked.ids, profile.item_ids, profile.events
        (['tent'], [], 0)
        """
        if not profile.unclicked.is_new(impression.event_id, self.settings.event_ids):
            return False
        touched = dict(zip(profile.item_ids, profile.item_times, strict=True))
        profile.unclicked.add(impression.items, impression.time_ms, touched, self.settings.shown_items)
        return True

    def note_request(self, profile: Profile, request_id: str) -> bool:
        """Remember the id of an ad request, in place; return False for a duplicate, which must get no second answer."""
        return profile.unclicked.is_new(f"request {request_id}", self.settings.event_ids)

    @staticmethod
    def _take_back(profile: Profile, event: Event) -> None:
        """Undo a purchase or part of it, in place. A dismissal only updates the user's circumstances and times.

        A refund of what was never bought, or longer ago than payments and items bought are remembered, takes nothing.
        """
        _update_circumstances(profile, event)
        profile.first_seen = min(profile.first_seen or event.time_ms, event.time_ms)
        profile.last_seen = max(profile.last_seen, event.time_ms)
        if event.action != REFUNDED or not profile.has_bought(event.item_id):
            return
        # What a profile of an older release bought is in the ring alone.
        money, is_whole = profile.payments.take_back(event) or (_paid(event), True)
        profile.purchases = max(0, profile.purchases - is_whole)
        profile.spent = max(0.0, profile.spent - money) if profile.purchases else 0.0
        if not profile.payments.holds(event.item_id) and is_whole:
            profile.bought = FingerprintRing.without(profile.bought, fingerprint(event.item_id))
            if event.item_id in profile.item_ids:
                profile.item_actions[profile.item_ids.index(event.item_id)] = REFUNDED

    def _enter_session(self, profile: Profile, event: Event) -> tuple[str, ...]:
        """Continue the running session or start one, in place; return the items touched in it before the event."""
        settings = self.settings
        fresh = profile.events == 0 or event.time_ms > profile.last_seen + settings.session_idle_ms
        if fresh or (event.session_id is not None and event.session_id != profile.session_id):
            profile.session_start = event.time_ms
            profile.session_events = 0
            profile.sessions += 1
        if event.session_id is not None or profile.session_events == 0:
            profile.session_id = event.session_id
        profile.session_events += 1
        if profile.session_events == 1:
            return ()
        return profile.items.touched_since(profile.session_start, event.item_id, settings.window_items)

    def _weight(self, profile: Profile, event: Event) -> float:
        """Return the weight of an event relative to the profile's landmark, which is moved first if it is due."""
        half_life = self.settings.interest_half_life_ms
        landmark = landmark_at(event.time_ms, half_life)
        if landmark > profile.landmark:
            factor = rebase(profile.landmark, landmark, half_life)
            profile.item_weights = [w * factor for w in profile.item_weights]
            profile.categories = {name: w * factor for name, w in profile.categories.items()}
            profile.brands = {name: w * factor for name, w in profile.brands.items()}
            profile.landmark = landmark
        return ACTION_WEIGHTS.get(event.action, 1.0) * growth(event.time_ms, profile.landmark, half_life)

    def _touch_item(self, profile: Profile, event: Event, weight: float, in_order: bool) -> None:
        items = profile.items
        items.touch(event.item_id, event.time_ms, weight, event.action, in_order)
        if len(items.ids) > self.settings.recent_items:
            mark = fingerprint(items.drop_oldest())
            if not FingerprintRing.contains(profile.older_items, mark):
                profile.older_items = FingerprintRing.add(profile.older_items, mark, self.settings.older_items)


def _paid(event: Event) -> float:
    return (event.price or 0.0) * (1.0 if event.quantity is None else event.quantity)


def _count_visit(profile: Profile, category: str, at_ms: int) -> None:
    """Count a visit to a category; visits to a category are dropped with the interest in it."""
    visits = profile.category_visits
    count_visit(visits, category, at_ms, profile.session_start)
    if len(visits) > len(profile.categories):
        profile.category_visits = {name: found for name, found in visits.items() if name in profile.categories}


def _update_circumstances(profile: Profile, event: Event) -> None:
    """Take over circumstances and age from an event, in place, unless a later event came before it."""
    if event.time_ms < profile.last_seen:
        return
    if event.age is not None:
        profile.age = event.age
    update_circumstances(profile.context, event.context, event.channel)
