"""The types of events that files and tools may name: the topic of each, and the action that it stands for."""

from typing import Any

from processors.common.errors import FieldError
from processors.common.topics import (
    BROWSES_TOPIC,
    CLICKS_TOPIC,
    IMPRESSIONS_TOPIC,
    PURCHASES_TOPIC,
    REQUESTS_TOPIC,
    SLATE_REQUESTS_TOPIC,
)
from processors.events.event import EVENT_TOPICS

EVENT_TYPES = {
    "browse": BROWSES_TOPIC,
    "view": BROWSES_TOPIC,
    "rate": BROWSES_TOPIC,
    "click": CLICKS_TOPIC,
    "cart": CLICKS_TOPIC,
    "fav": CLICKS_TOPIC,
    "purchase": PURCHASES_TOPIC,
    "refund": PURCHASES_TOPIC,
    "dismiss": CLICKS_TOPIC,
    "impression": IMPRESSIONS_TOPIC,
    "request": REQUESTS_TOPIC,
    "slate": SLATE_REQUESTS_TOPIC,
}
"""Topic of each type of event."""


def take_topic(fields: dict[str, Any], default: str | None = None) -> str:
    """Remove from a JSON event what names its topic, and return the topic.

    An event names its topic as ``topic``, or its type as ``event_type`` or ``type``. A type that says more than the
    topic does, such as ``cart``, is kept as ``action``, unless the event has an action already.

    Parameters
    ----------
    fields
        The event by field; it is changed.
    default
        Topic of events that name none.

    Raises
    ------
    FieldError
        If the event names no topic and there is no default, or if its topic or type is not known.

    Examples
    --------
    >>> fields = {"type": "cart", "user_id": "u1"}
    >>> take_topic(fields), fields
    ('events.click.v1', {'user_id': 'u1', 'action': 'cart'})
    """
    topic, name = fields.pop("topic", None), "event_type" if "event_type" in fields else "type"
    kind = fields.get(name)
    if isinstance(kind, str) and kind in EVENT_TYPES:
        del fields[name]
        if kind not in ("browse", "impression", "request", "slate"):
            fields.setdefault("action", kind)
        topic = topic or EVENT_TYPES[kind]
    elif kind is not None and topic is None:
        raise FieldError(name, kind, f"one of {', '.join(EVENT_TYPES)}")
    topic = topic or default
    if topic is None:
        raise FieldError("event_type", None, f"one of {', '.join(EVENT_TYPES)}, or a topic")
    if not isinstance(topic, str) or topic not in EVENT_TOPICS:
        raise FieldError("topic", topic, f"one of {', '.join(EVENT_TOPICS)}")
    return topic


def id_field(topic: str) -> str:
    """Return the name of the field that holds the id of a record on a topic.

    Examples
    --------
    >>> id_field("events.click.v1"), id_field("ads.requests.v1")
    ('event_id', 'request_id')
    """
    return "request_id" if topic in (REQUESTS_TOPIC, SLATE_REQUESTS_TOPIC) else "event_id"
