"""What we know of a user: decayed interests, habits of buying, the session at hand. Bounded in size.

A profile is plain data (:class:`Profile`) plus one rule that folds an event into it (:meth:`ProfileKeeper.learn`).
Items are kept as parallel lists, oldest first: that decodes several times faster than a list of objects, and the
ranker wants columns anyway.
"""

from typing import Any

import msgspec

from processors.common.bounded_counter import add_bounded
from processors.common.bounds import Entries, EntriesOrNone, HalfLife, Milliseconds, Steps
from processors.common.decay import growth, landmark_at, rebase
from processors.common.hashing import FingerprintRing, fingerprint
from processors.common.time import DAY_MS
from processors.events.event import ACTION_WEIGHTS, REFUNDED, TAKES_BACK, Event
from processors.events.impression import Impression
from processors.users.ad_history import AdHistory
from processors.users.category_visits import CategoryVisits, note_visit
from processors.users.context import remember
from processors.users.unclicked_impressions import UnclickedImpressions

_BOUGHT = 64
"""Items bought that are remembered."""


class ProfileSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds and half-lives of a profile.

    Parameters
    ----------
    recent_items
        Distinct items kept in detail, the most recent ones.
    older_items
        Fingerprints kept of items that fell out of the detail, so that ``discover`` still knows them.
    interests
        Categories kept, and as many brands; the weakest goes first.
    event_ids
        Event ids remembered per user: the window within which duplicates are found. As many ids of impressions and
        requests for ads are.
    interest_half_life_ms
        After this long without a new event, an interest counts half.
    session_idle_ms
        A gap longer than this ends the session.
    window_items
        Items of the session that a new event is paired with.
    shown_items
        Distinct items kept that were shown without a reaction, those shown last; 0 keeps none.
    """

    recent_items: Entries = 120
    older_items: EntriesOrNone = 1000
    interests: Entries = 24
    event_ids: Entries = 128
    interest_half_life_ms: HalfLife = 14 * DAY_MS
    session_idle_ms: Milliseconds = 1_800_000
    window_items: Steps = 20
    shown_items: EntriesOrNone = 60


class Profile(msgspec.Struct, array_like=True):
    """One user's state. All times in milliseconds since the epoch, all weights relative to ``landmark``.

    ``item_ids`` and the lists beside it run from the least to the most recently touched item.
    ``context`` are the user's circumstances as last known (:func:`processors.users.context.remember`); ``age`` in
    years. ``habits`` are of some of the categories; ``bought`` has the items bought last and not returned.
    ``older_items``, ``event_ids`` and ``bought`` are rings of fingerprints
    (:class:`processors.common.hashing.FingerprintRing`).
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
    shown: UnclickedImpressions = msgspec.field(default_factory=UnclickedImpressions)
    context: dict[str, str] = msgspec.field(default_factory=dict)
    age: int | None = None
    ads: AdHistory = msgspec.field(default_factory=AdHistory)
    habits: dict[str, CategoryVisits] = msgspec.field(default_factory=dict)
    bought: bytes = b""

    def has_bought(self, item: str) -> bool:
        """Whether an item is among those bought last."""
        return FingerprintRing.contains(self.bought, fingerprint(item))

    def recency_ms(self, now_ms: int) -> int:
        """Time since the user was last seen: the R of recency, frequency, monetary value.

        Examples
        --------
        >>> Profile(last_seen=400).recency_ms(1000)
        600
        """
        return max(0, now_ms - self.last_seen)


class Learned(msgspec.Struct, frozen=True):
    """What folding in one event showed.

    Parameters
    ----------
    duplicate
        The event id was known; nothing was changed.
    preceding
        Distinct other items of the running session, the latest first: what the event's item is paired with.
    """

    duplicate: bool = False
    preceding: tuple[str, ...] = ()


class ProfileKeeper:
    """Folds events into profiles.

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
        """Whether the profile has learned an event of this id, as far back as it remembers ids."""
        return FingerprintRing.contains(profile.event_ids, fingerprint(event.event_id))

    def learn(self, profile: Profile, event: Event) -> Learned:
        """Fold one event into the profile, in place.

        An event that is older than the running session by more than the idle cut-off arrived too late to say
        anything of the order of things: it counts, but starts no session and is paired with nothing.

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
        profile.shown.forget(event.item_id)
        if event.category:
            add_bounded(profile.categories, event.category, weight, settings.interests)
            _note_habit(profile, event.category, event.time_ms)
        if event.brand:
            add_bounded(profile.brands, event.brand, weight, settings.interests)
        _note_circumstances(profile, event)
        profile.events += 1
        profile.first_seen = min(profile.first_seen or event.time_ms, event.time_ms)
        profile.last_seen = max(profile.last_seen, event.time_ms)
        if event.kind == "purchase":
            profile.purchases += 1
            profile.spent += _paid(event)
            mark = fingerprint(event.item_id)
            profile.bought = FingerprintRing.add(FingerprintRing.without(profile.bought, mark), mark, _BOUGHT)
        return Learned(preceding=preceding)

    def see(self, profile: Profile, impression: Impression) -> bool:
        """Note what the user was shown, in place; whether it was news, or a duplicate that changes nothing.

        Nothing else of the profile changes: who looks has not done anything.

        Examples
        --------
        >>> keeper, profile = ProfileKeeper(ProfileSettings()), Profile()
        >>> seen = Impression(event_id="e", user_id="u", time_ms=1_700_000_000_000, items=("tent",))
        >>> keeper.see(profile, seen), keeper.see(profile, seen)
        (True, False)
        >>> profile.shown.ids, profile.item_ids, profile.events
        (['tent'], [], 0)
        """
        if not profile.shown.is_new(impression.event_id, self.settings.event_ids):
            return False
        touched = dict(zip(profile.item_ids, profile.item_times, strict=True))
        profile.shown.note(impression.items, impression.time_ms, touched, self.settings.shown_items)
        return True

    def ask(self, profile: Profile, request_id: str) -> bool:
        """Note that an ad was asked for, in place; whether it was news, or a repetition that changes nothing."""
        return profile.shown.is_new(f"request {request_id}", self.settings.event_ids)

    @staticmethod
    def _take_back(profile: Profile, event: Event) -> None:
        """Undo a purchase, in place; a dismissal says nothing of the user's interests, only of where the user is."""
        _note_circumstances(profile, event)
        profile.first_seen = min(profile.first_seen or event.time_ms, event.time_ms)
        profile.last_seen = max(profile.last_seen, event.time_ms)
        if event.action == REFUNDED:
            profile.purchases = max(0, profile.purchases - 1)
            profile.spent = max(0.0, profile.spent - _paid(event))
            profile.bought = FingerprintRing.without(profile.bought, fingerprint(event.item_id))
            if event.item_id in profile.item_ids:
                profile.item_actions[profile.item_ids.index(event.item_id)] = REFUNDED

    def _enter_session(self, profile: Profile, event: Event) -> tuple[str, ...]:
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
        start, times, ids = profile.session_start, profile.item_times, profile.item_ids
        preceding: list[str] = []
        for at in range(len(ids) - 1, -1, -1):
            if times[at] < start or len(preceding) == settings.window_items:
                break
            if ids[at] != event.item_id:
                preceding.append(ids[at])
        return tuple(preceding)

    def _weight(self, profile: Profile, event: Event) -> float:
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
        ids = profile.item_ids
        columns: tuple[list[Any], ...] = (
            ids,
            profile.item_times,
            profile.item_counts,
            profile.item_weights,
            profile.item_actions,
        )
        time_ms, count = event.time_ms, 1
        try:
            at = ids.index(event.item_id)
        except ValueError:
            to = len(ids) if in_order else 0
        else:
            time_ms = max(time_ms, profile.item_times[at])
            count += profile.item_counts[at]
            weight += profile.item_weights[at]
            for column in columns:
                del column[at]
            to = len(ids) if in_order else at
        for column, value in zip(columns, (event.item_id, time_ms, count, weight, event.action), strict=True):
            column.insert(to, value)
        if len(ids) > self.settings.recent_items:
            mark = fingerprint(ids[0])
            if not FingerprintRing.contains(profile.older_items, mark):
                profile.older_items = FingerprintRing.add(profile.older_items, mark, self.settings.older_items)
            for column in columns:
                del column[0]


def _paid(event: Event) -> float:
    return (event.price or 0.0) * (1.0 if event.quantity is None else event.quantity)


def _note_habit(profile: Profile, category: str, at_ms: int) -> None:
    """Note a visit to a category; habits go with their categories."""
    note_visit(profile.habits, category, at_ms, profile.session_start)
    if len(profile.habits) > len(profile.categories):
        profile.habits = {name: habit for name, habit in profile.habits.items() if name in profile.categories}


def _note_circumstances(profile: Profile, event: Event) -> None:
    """Remember where the user is and how old, as last said; an event that came late says nothing new."""
    if event.time_ms < profile.last_seen:
        return
    if event.age is not None:
        profile.age = event.age
    remember(profile.context, event.context, event.channel)
