"""How events, impressions and ad requests are folded into profiles."""

from collections.abc import Sequence

import msgspec

from processors.common.bounded_counter import add_bounded
from processors.common.decay import growth, landmark_at, rebase
from processors.common.hashing import FingerprintRing, fingerprint
from processors.events.event import DISLIKED, DISMISSED, REFUNDED, TAKES_BACK, Event
from processors.events.impression import Impression
from processors.users.category_visits import count_visit
from processors.users.context import update_circumstances
from processors.users.influence import Influence, InfluenceSettings, paced
from processors.users.item_history import ItemHistory
from processors.users.payments import pieces_of
from processors.users.profile import BOUGHT, Profile
from processors.users.settings import ProfileSettings

_SESSIONS = 8
"""Sessions side by side that are told apart."""


class Learned(msgspec.Struct, frozen=True):
    """What came of folding an event into a profile.

    Parameters
    ----------
    duplicate
        Whether the event's id was known; nothing was changed then.
    preceding
        Distinct other items of the running session, the latest first: the event's item is co-visited with them.
    influence
        What the event counts for others.
    entered
        Whether the event's item is the first one of a session.
    returned
        Whether the event took back a purchase as a whole.
    """

    duplicate: bool = False
    preceding: tuple[str, ...] = ()
    influence: Influence = Influence()
    entered: bool = False
    returned: bool = False


class ProfileKeeper:
    """Folds events, impressions and ad requests into profiles.

    Parameters
    ----------
    settings
        Bounds and half-lives of the profiles.
    influence
        When an account has a past, and when it counts as a machine.

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
    >>> keeper.learn(profile, event(1, "tent")).entered, keeper.learn(profile, event(2, "lamp")).preceding
    (True, ('tent',))
    >>> keeper.learn(profile, event(2, "lamp")).duplicate
    True
    >>> profile.item_ids, profile.events, profile.sessions
    (['tent', 'lamp'], 2, 1)
    """

    def __init__(self, settings: ProfileSettings, influence: InfluenceSettings | None = None) -> None:
        self.settings = settings
        self._influence = influence or InfluenceSettings()

    def knows(self, profile: Profile, event: Event) -> bool:
        """Tell whether an event with this id was folded in before, as far back as the profile remembers ids."""
        return FingerprintRing.contains(profile.event_ids, fingerprint(event.event_id))

    @staticmethod
    def _like(profile: Profile, event: Event) -> None:
        """Note a low rating, in place; any other act on an item ends a dislike of it."""
        if event.disliked:
            profile.dislikes.add(event.item_id, event.time_ms, dismissed=False)
        else:
            profile.dislikes.discard(event.item_id)

    def _add_interests(self, profile: Profile, event: Event, weight: float) -> None:
        """Add an event's weight to the interests in its category and brand, in place."""
        most = self.settings.interests
        if event.category:
            add_bounded(profile.categories, event.category, weight, most)
            _count_visit(profile, event.category, event.time_ms)
        if event.brand:
            add_bounded(profile.brands, event.brand, weight, most)
        if not event.category and not event.brand:
            add_bounded(profile.unnamed, event.item_id, weight, most)

    def is_machine(self, profile: Profile) -> bool:
        """Tell whether a user behaves like a machine: others learn nothing from its events then."""
        return profile.pace.behaviour(self._influence) is not None

    def has_past(self, profile: Profile) -> bool:
        """Tell whether a user has touched anything yet: what newcomers choose first is not learned from by name."""
        return len(profile.item_ids) >= min(1, self._influence.past_items)

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
            return Learned(returned=self._take_back(profile, event))
        in_order = event.time_ms >= profile.last_seen - settings.session_idle_ms
        preceding = self._enter_session(profile, event) if in_order else ()
        entered = in_order and max(profile.item_times[-1:], default=-1) < profile.session_start
        weight = self._weight(profile, event)
        known = len(profile.item_ids)
        nth = self._touch_item(profile, event, weight, in_order)
        influence = self._influence_of(profile, event, known, nth)
        profile.unclicked.discard(event.item_id)
        self._like(profile, event)
        if not event.disliked:
            self._add_interests(profile, event, weight)
        _update_circumstances(profile, event)
        profile.events += 1
        profile.first_seen = min(profile.first_seen or event.time_ms, event.time_ms)
        profile.last_seen = max(profile.last_seen, event.time_ms)
        if event.kind == "purchase":
            profile.purchases += 1
            profile.spent += profile.payments.pay(event)
            if event.price is None:
                add_bounded(profile.unpriced, event.item_id, pieces_of(event), BOUGHT, renew=True)
            mark = fingerprint(event.item_id)
            profile.bought = FingerprintRing.add(FingerprintRing.without(profile.bought, mark), mark, BOUGHT)
        return Learned(preceding=preceding, influence=influence, entered=entered)

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

    def beside(self, profile: Profile, items: Sequence[str], at_ms: int, *, alone: bool = False) -> Profile:
        """Return a copy of the profile of somebody who is looking at some items, the last of them the latest.

        Parameters
        ----------
        items
            Ids of the items.
        at_ms
            When, milliseconds since the epoch.
        alone
            Whether these items stand for all that the user has touched.
        """
        own = ItemHistory([], [], [], [], []) if alone else profile.items
        history = ItemHistory([*own.ids], [*own.times], [*own.counts], [*own.weights], [*own.actions])
        weight = growth(at_ms, profile.landmark, self.settings.interest_half_life_ms)
        for item in items:
            history.touch(item, at_ms, weight, "view", in_order=True)
        names = ("item_ids", "item_times", "item_counts", "item_weights", "item_actions")
        return msgspec.structs.replace(profile, **dict(zip(names, history, strict=True)))

    def visit(self, profile: Profile, event: Event) -> bool:
        """Fold a browse event without an item into the profile, in place: a visit to a page.

        Returns
        -------
        bool
            False for a duplicate, which changes nothing.
        """
        mark = fingerprint(event.event_id)
        if FingerprintRing.contains(profile.event_ids, mark):
            return False
        profile.event_ids = FingerprintRing.add(profile.event_ids, mark, self.settings.event_ids)
        if event.time_ms >= profile.last_seen - self.settings.session_idle_ms:
            self._enter_session(profile, event)
        _update_circumstances(profile, event)
        profile.events += 1
        profile.first_seen = min(profile.first_seen or event.time_ms, event.time_ms)
        profile.last_seen = max(profile.last_seen, event.time_ms)
        return True

    @staticmethod
    def _take_back(profile: Profile, event: Event) -> bool:
        """Undo a purchase or part of it, or note that an item is dismissed, in place.

        A refund of what was never bought, or longer ago than payments and items bought are remembered, takes nothing.

        Returns
        -------
        bool
            Whether a purchase was undone as a whole.
        """
        _update_circumstances(profile, event)
        profile.first_seen = min(profile.first_seen or event.time_ms, event.time_ms)
        profile.last_seen = max(profile.last_seen, event.time_ms)
        if event.action == DISMISSED:
            profile.dislikes.add(event.item_id, event.time_ms, dismissed=True)
            if event.item_id in profile.item_ids:
                profile.item_actions[profile.item_ids.index(event.item_id)] = DISMISSED
        if event.action != REFUNDED or not profile.has_bought(event.item_id):
            return False
        # What a profile of an older release bought is in the ring alone.
        money, is_whole = profile.payments.take_back(event) or (_paid(event), True)
        profile.purchases = max(0, profile.purchases - is_whole)
        profile.spent = max(0.0, profile.spent - money) if profile.purchases else 0.0
        _return_pieces(profile.unpriced, event)
        if not profile.payments.holds(event.item_id) and is_whole:
            profile.bought = FingerprintRing.without(profile.bought, fingerprint(event.item_id))
            if event.item_id in profile.item_ids:
                profile.item_actions[profile.item_ids.index(event.item_id)] = REFUNDED
        return bool(is_whole)

    def _enter_session(self, profile: Profile, event: Event) -> tuple[str, ...]:
        """Continue the running sessions or start one, in place; return the items touched in them before the event.

        Sessions of several devices run side by side: what is seen within the idle time is seen together, whichever
        session an app counts it to.
        """
        settings = self.settings
        if profile.events == 0 or event.time_ms > profile.last_seen + settings.session_idle_ms:
            profile.session_start, profile.session_id = event.time_ms, None
            profile.session_events, profile.session_ids = 0, b""
            profile.sessions += 1
        if event.session_id is not None:
            profile.session_id = event.session_id
            mark = fingerprint(event.session_id)
            if not FingerprintRing.contains(profile.session_ids, mark):
                # The app's second id in one stretch is a further session, on another device perhaps, side by side.
                profile.sessions += profile.session_ids != b""
                profile.session_ids = FingerprintRing.add(profile.session_ids, mark, _SESSIONS)
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
            profile.unnamed = {name: w * factor for name, w in profile.unnamed.items()}
            profile.landmark = landmark
        return event.strength * growth(event.time_ms, profile.landmark, half_life)

    def _influence_of(self, profile: Profile, event: Event, known: int, nth: int) -> Influence:
        """Return what an event counts for others; ``known`` items were touched before it, its own ``nth`` times now."""
        settings = self._influence
        if paced(event):
            profile.pace.note(event.time_ms, new_item=nth == 1, half_life_ms=settings.rate_half_life_ms)
        others = known - (nth > 1)
        return Influence(nth, others >= settings.past_items, profile.pace.behaviour(settings))

    def _touch_item(self, profile: Profile, event: Event, weight: float, in_order: bool) -> int:
        """Count a touch of an item, in place, and return how many there were of it, as far as remembered."""
        items = profile.items
        count = items.touch(
            event.item_id, event.time_ms, weight, DISLIKED if event.disliked else event.action, in_order
        )
        if len(items.ids) > self.settings.recent_items:
            mark = fingerprint(items.drop_oldest())
            if not FingerprintRing.contains(profile.older_items, mark):
                profile.older_items = FingerprintRing.add(profile.older_items, mark, self.settings.older_items)
        return count


def _paid(event: Event) -> float:
    return (event.price or 0.0) * pieces_of(event)


def _return_pieces(unpriced: dict[str, float], event: Event) -> None:
    """Take what comes back off the pieces bought without a price, in place: all if the refund does not say how many."""
    if event.item_id in unpriced:
        left = 0.0 if event.quantity is None else unpriced[event.item_id] - event.quantity
        if left > 0.0:
            unpriced[event.item_id] = left
        else:
            del unpriced[event.item_id]


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
