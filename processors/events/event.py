"""Events once they are clean: kinds, actions and their weights, the schema, and the topic of each kind."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from processors.common.topics import (
    BROWSES_TOPIC,
    CLICKS_TOPIC,
    IMPRESSIONS_TOPIC,
    PURCHASES_TOPIC,
    REQUESTS_TOPIC,
    SLATE_REQUESTS_TOPIC,
)

ACTION_NUMBERS = {"fav": 1, "cart": 2, "purchase": 3}
"""Actions that say more than a view, with their number in the order of the funnel."""

EventKind = Literal["browse", "click", "purchase"]
"""Kinds of events in which a user acts on an item."""

RecordKind = EventKind | Literal["impression", "request", "slate"]
"""Kinds of all records that apps send about users."""


ITEM_TOPICS: dict[str, EventKind] = {
    BROWSES_TOPIC: "browse",
    CLICKS_TOPIC: "click",
    PURCHASES_TOPIC: "purchase",
}
"""Topics of the events in which a user acts on an item. The topic says the kind of an event; its JSON does not."""

EVENT_TOPICS: dict[str, RecordKind] = {
    **ITEM_TOPICS,
    IMPRESSIONS_TOPIC: "impression",
    REQUESTS_TOPIC: "request",
    SLATE_REQUESTS_TOPIC: "slate",
}
"""Kind of record by topic, for all topics that apps send records about users to. Impressions
(:mod:`processors.events.impression`) and requests (:mod:`processors.events.ad_request`,
:mod:`processors.events.slate_request`) have schemas of their own."""

ACTION_WEIGHTS = {"view": 1.0, "click": 2.0, "fav": 3.0, "cart": 4.0, "purchase": 6.0}
"""How strongly an action counts as interest in an item, relative to a view. Other actions count as a view."""

DISMISSED, REFUNDED, DISLIKED = "dismiss", "refund", "dislike"
TAKES_BACK = frozenset((DISMISSED, REFUNDED))
"""Actions that undo something: an unwanted ad is dismissed, a purchase is refunded."""

DEFAULT_ACTIONS: dict[EventKind, str] = {"browse": "view", "click": "click", "purchase": "purchase"}
"""Action of an event that names none, by its kind."""


class Context(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """The user's circumstances at an event: page, device, region. All optional.

    ``time_zone`` is an IANA name such as ``Europe/Berlin``.
    """

    page: str | None = None
    placement: str | None = None
    device: str | None = None
    country: str | None = None
    region: str | None = None
    city: str | None = None
    locale: str | None = None
    time_zone: str | None = None


class Event(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A clean event: every field has its type and range, and ``repairs`` says what was changed to make it so.

    Parameters
    ----------
    event_id, user_id, item_id
        Non-empty, at most 256 characters; a browse event without an item, a visit to a page, has an empty ``item_id``.
    time_ms
        When it happened, milliseconds since the epoch.
    kind, action
        The kind comes from the topic; the action refines it. One that :data:`ACTION_WEIGHTS` does not know, such as
        ``rate``, weighs as much as a view.
    price
        Price of one piece in ``currency``, finite and not negative.
    age
        The user's age in years, as the user declared it.
    rating, liking
        The user's rating as the app sends it, and what it says: 1 for the best, 0 in the middle, -1 for the worst.
    purposes
        What the user agreed to, such as ``target``; :obj:`None` if the event does not say.
    repairs
        ``field:what`` for each repair, in the order they were made.
    extra
        Fields of the message that the schema does not know, kept as they came.
    more
        The events of the further lines of an order (:mod:`processors.events.order_lines`).
    """

    event_id: str
    user_id: str
    item_id: str
    time_ms: int
    kind: EventKind
    action: str
    session_id: str | None = None
    price: float | None = None
    currency: str | None = None
    quantity: float | None = None
    category: str | None = None
    brand: str | None = None
    channel: str | None = None
    context: Context | None = None
    age: int | None = None
    rating: float | None = None
    liking: float | None = None
    recommendation_id: str | None = None
    decision_id: str | None = None
    anonymous_id: str | None = None
    purposes: tuple[str, ...] | None = None
    repairs: tuple[str, ...] = ()
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    more: tuple[Event, ...] = ()

    @property
    def disliked(self) -> bool:
        """Whether the user rated the item low."""
        return self.liking is not None and self.liking <= _LOW

    @property
    def chooses(self) -> bool:
        """Whether the user chose the item: neither a visit without an item, nor undoing something, nor a low rating."""
        return bool(self.item_id) and self.action not in TAKES_BACK and not self.disliked

    @property
    def strength(self) -> float:
        """How strongly the event counts as interest in the item, relative to a view: a rating by how high it is.

        Examples
        --------
        >>> rated = Event(event_id="e", user_id="u", item_id="i", time_ms=0, kind="browse", action="rate", liking=1.0)
        >>> rated.strength, msgspec.structs.replace(rated, liking=-1.0).strength
        (4.0, 0.0)
        """
        if self.liking is None:
            return ACTION_WEIGHTS.get(self.action, 1.0)
        return 0.0 if self.liking <= _LOW else 1.0 + _BEST_RATING * max(0.0, self.liking)


_LOW = -0.25
"""A rating is low from here down: two of five stars are, three are not."""

_BEST_RATING = 3.0
"""What the best rating counts beyond a view: as much as a cart does."""


REGION_FIELDS = ("country", "region", "city")
"""Fields of a context whose values are names of regions, the widest first."""
