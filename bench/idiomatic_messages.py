"""What the peers read and send, whatever carries it: recommendations, and signals from users to items."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from bench.idiomatic_logic import RANKING, State, pair, visit

QUIX = "idiomatic-quix."
"""What the names of the Quix app's topics begin with."""
EVENTS = "events.v1"
SIGNALS = "item-signals"
RECOMMENDATIONS = "recommendations.v1"


class Event(msgspec.Struct, frozen=True):
    """What the logic reads of an event; what else an event has is ignored."""

    event_id: str
    user_id: str
    item_id: str
    timestamp: int
    action: str = "view"
    session_id: str | None = None
    price: float | None = None
    quantity: float | None = None
    category: str | None = None
    brand: str | None = None


class Signal(msgspec.Struct, frozen=True):
    """What an event says of one item: what was visited how many steps later, and whether it was visited itself."""

    item_id: str
    timestamp: int
    visited: bool
    others: list[tuple[str, int]]
    category: str | None = None
    brand: str | None = None
    price: float | None = None


class Cause(NamedTuple):
    """The record that a recommendation answers.

    Parameters
    ----------
    topic
        Its topic without the peer's prefix.
    partition, offset
        Where it is in there.
    time_s
        Its Kafka timestamp in seconds.
    """

    topic: str
    partition: int
    offset: int
    time_s: float


def recommendation(event: Any, cause: Cause, placement: str, slate: list[State]) -> State:
    """Return a message of ``recommendations.v1``, field by field as the worker publishes it."""
    return {
        "recommendation_id": f"{cause.topic}/{cause.partition}/{cause.offset}/{placement}",
        "user_id": event.user_id,
        "placement": placement,
        "generated_at": datetime.fromtimestamp(cause.time_s, UTC).isoformat(timespec="milliseconds"),
        "caused_by": {
            "event_id": event.event_id,
            "topic": cause.topic,
            "partition": cause.partition,
            "offset": cause.offset,
        },
        "model_version": RANKING.model_version,
        "items": slate,
    }


def recommendations(event: Any, cause: Cause, ranked: list[list[State]]) -> list[State]:
    """Return the answers to an event, one per placement: the first one comes last, as the worker sends them."""
    answers = zip(RANKING.placements, ranked, strict=True)
    return [recommendation(event, cause, placement.name, slate) for placement, slate in answers][::-1]


def signals_of(event: Any, preceding: list[str]) -> list[State]:
    """Return what an event says of items: to its own item what came before it, to those items what came after them.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> event = SimpleNamespace(item_id="tent", timestamp=7, category=None, brand=None, price=9.5)
    >>> for signal in signals_of(event, ["lamp"]):
    ...     print(signal["item_id"], signal["visited"], signal["others"])
    tent True [('lamp', -1)]
    lamp False [('tent', 1)]
    """
    at, item_id = event.timestamp, event.item_id
    earlier = [(name, -distance) for distance, name in enumerate(preceding, 1)]
    facts = {"category": event.category, "brand": event.brand, "price": event.price}
    own = {"item_id": item_id, "timestamp": at, "visited": True, "others": earlier, **facts}
    others = (
        {"item_id": name, "timestamp": at, "visited": False, "others": [(item_id, distance)]}
        for distance, name in enumerate(preceding, 1)
    )
    return [own, *others]


def hear(item: State, signal: Any) -> None:
    """Fold a signal into the state of its item, in place."""
    if signal.visited:
        visit(item, signal.timestamp, signal.category, signal.brand, signal.price)
    pair(item, signal.others, signal.timestamp)
