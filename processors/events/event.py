"""What an event is once it is clean: the native schema, and the source record it came in."""

from typing import Any, Literal

import msgspec

from processors.common.topics import BROWSES_TOPIC, CLICKS_TOPIC, IMPRESSIONS_TOPIC, PURCHASES_TOPIC, REQUESTS_TOPIC

ACTION_NUMBERS = {"fav": 1, "cart": 2, "purchase": 3}
"""Actions that say more than a look."""

EventKind = Literal["browse", "click", "purchase"]
"""Kinds of events that touch an item."""

RecordKind = EventKind | Literal["impression", "request"]
"""Kinds of what apps send."""


ITEM_TOPICS: dict[str, EventKind] = {
    BROWSES_TOPIC: "browse",
    CLICKS_TOPIC: "click",
    PURCHASES_TOPIC: "purchase",
}
"""Topics of the events that touch an item. The topic says the kind of an event; its JSON does not."""

EVENT_TOPICS: dict[str, RecordKind] = {**ITEM_TOPICS, IMPRESSIONS_TOPIC: "impression", REQUESTS_TOPIC: "request"}
"""All that apps send of users, by topic. Impressions (:mod:`processors.events.impression`) and requests
(:mod:`processors.events.ad_request`) are of other shapes than the rest."""


ACTION_WEIGHTS = {"view": 1.0, "click": 2.0, "fav": 3.0, "cart": 4.0, "purchase": 6.0}
"""How strongly an action speaks for an interest, relative to a look."""

DISMISSED, REFUNDED = "dismiss", "refund"
TAKES_BACK = frozenset((DISMISSED, REFUNDED))
"""Actions that speak against something: an ad that is not wanted, a purchase that is undone."""

DEFAULT_ACTIONS: dict[EventKind, str] = {"browse": "view", "click": "click", "purchase": "purchase"}


class Context(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """Where an event happened. Everything is optional; ``time_zone`` is an IANA name such as ``Europe/Berlin``."""

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
        Non-empty, at most 256 characters.
    time_ms
        When it happened, milliseconds since the epoch.
    kind, action
        The kind comes from the topic; the action refines it. One that :data:`ACTION_WEIGHTS` does not know, such as
        ``rate``, weighs as much as a look.
    price
        In ``currency``, finite and not negative.
    age
        The user's, in years, as declared.
    purposes
        What the user agreed to, such as ``target``; :obj:`None` if the event does not say.
    repairs
        ``field:what`` for each repair, in the order they were made.
    extra
        Fields of the message that the schema does not know, kept as they came.
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
    recommendation_id: str | None = None
    decision_id: str | None = None
    anonymous_id: str | None = None
    purposes: tuple[str, ...] | None = None
    repairs: tuple[str, ...] = ()
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


REGION_FIELDS = ("country", "region", "city")
"""What of a user's context a region can be the name of."""
