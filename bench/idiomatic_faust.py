"""The same logic as an idiomatic Faust app: what a competent Faust user would write, to compare with.

An agent per event topic, tables for state, ``topic.send`` for what comes out, JSON records, one event at a time:

- the agents of the event topics fold each event into the ``profiles`` table, send a signal to each item it concerns on
  ``item-signals`` (keyed by item, so that every item has one writer), rank, and send both placements;
- the agent of ``item-signals`` keeps the ``items`` global table, which the ranking reads.

To its favour: no intake rules, no dead letters and no exactly_once; uvloop, orjson and Faust's C extensions are on;
what is sent is not waited for; neighbours are sorted again only after their item has changed, and popularity once a
second; the default store is ``memory://``.

``python -m bench.idiomatic_faust worker`` runs it; ``IDIOMATIC_*`` variables configure it. It says ``READY`` on
standard output once its partitions are assigned and its tables recovered.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, cast

import faust

from bench.idiomatic_logic import (
    RANKING,
    State,
    View,
    learn,
    most_popular,
    new_item,
    new_profile,
    pair,
    view,
    visit,
)
from bench.idiomatic_rank import slates

PREFIX = "idiomatic."
RECOMMENDATIONS = f"{PREFIX}recommendations.v1"
SIGNALS = f"{PREFIX}item-signals"


class Event(faust.Record, serializer="json"):
    """An event of a user."""

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


class Signal(faust.Record, serializer="json"):
    """What an event says of one item: what was visited how many steps later, and whether it was visited itself."""

    item_id: str
    timestamp: int
    visited: bool
    others: list[Any]
    category: str | None = None
    brand: str | None = None
    price: float | None = None


def recommendation(event: Event, message: Any, placement: str, slate: list[State]) -> dict[str, Any]:
    """Return a message of ``recommendations.v1``, field by field as the worker publishes it."""
    topic = message.topic.removeprefix(PREFIX)
    return {
        "recommendation_id": f"{topic}/{message.partition}/{message.offset}/{placement}",
        "user_id": event.user_id,
        "placement": placement,
        "generated_at": datetime.fromtimestamp(message.timestamp, UTC).isoformat(timespec="milliseconds"),
        "caused_by": {
            "event_id": event.event_id,
            "topic": topic,
            "partition": message.partition,
            "offset": message.offset,
        },
        "model_version": RANKING.model_version,
        "items": slate,
    }


class Shop:
    """The app with its topics, tables and agents.

    Parameters
    ----------
    broker
        Address of a broker, ``host:port``.
    store
        ``memory://``, or ``rocksdb://`` to keep the tables in RocksDB through rocksdict.
    directory
        Directory for the tables' files.
    partitions
        Number of partitions of every topic.
    """

    def __init__(self, broker: str, store: str, directory: str, partitions: int) -> None:
        options = {"driver": "rocksdict"} if store.startswith("rocksdb") else None
        self.app = app = faust.App(
            "idiomatic",
            broker=f"kafka://{broker}",
            store=store,
            datadir=directory,
            topic_partitions=partitions,
            topic_disable_leader=True,
            web_enabled=False,
            stream_wait_empty=False,
        )
        self.recommendations = app.topic(RECOMMENDATIONS, value_serializer="json")
        self.signals = app.topic(SIGNALS, value_type=Signal)
        self.profiles = app.Table("profiles", default=new_profile, partitions=partitions, options=options)
        self.items = app.GlobalTable("items", default=new_item, partitions=partitions, options=options)
        self._views: dict[str, View] = {}
        self._popular: list[tuple[str, float]] = []
        for kind in ("browse", "click", "purchase"):
            app.agent(app.topic(f"{PREFIX}events.{kind}.v1", value_type=Event), name=kind)(self._shopper)
        app.agent(self.signals, name="item-signals")(self._item)
        app.timer(1.0)(self._rank_popularity)

    async def _shopper(self, events: Any) -> None:
        async for message in events.events():
            event = message.value
            profile = self.profiles[event.user_id]
            preceding = learn(profile, event)
            if preceding is None:
                continue
            self.profiles[event.user_id] = profile
            await self._signal_items(event, preceding)
            await self._recommend(event, profile, message.message)

    async def _signal_items(self, event: Event, preceding: list[str]) -> None:
        """Signal to the event's item what came before it, and to those items what came after them."""
        at, item_id = event.timestamp, event.item_id
        earlier = [(name, -distance) for distance, name in enumerate(preceding, 1)]
        visited = Signal(item_id, at, True, earlier, event.category, event.brand, event.price)
        await self.signals.send(key=item_id, value=visited)
        for distance, name in enumerate(preceding, 1):
            await self.signals.send(key=name, value=Signal(name, at, False, [(item_id, distance)]))

    async def _recommend(self, event: Event, profile: State, message: Any) -> None:
        ranked = slates(profile, self._view, self._popular)
        for placement, slate in reversed(list(zip(RANKING.placements, ranked, strict=True))):
            value = recommendation(event, message, placement.name, slate)
            await self.recommendations.send(key=event.user_id, value=value)

    def _view(self, item_id: str) -> View:
        found = self._views.get(item_id)
        if found is None:
            found = self._views[item_id] = view(self.items[item_id])
        return found

    async def _item(self, signals: Any) -> None:
        async for signal in signals:
            item = self.items[signal.item_id]
            if signal.visited:
                visit(item, signal.timestamp, signal.category, signal.brand, signal.price)
            pair(item, signal.others, signal.timestamp)
            self.items[signal.item_id] = item
            self._views.pop(signal.item_id, None)

    async def _rank_popularity(self) -> None:
        self._popular = most_popular(dict(self.items.items()))


def main() -> None:
    """Run the app with what the environment says."""
    import uvloop

    uvloop.install()
    environment = os.environ
    shop = Shop(
        environment["IDIOMATIC_BROKER"],
        environment.get("IDIOMATIC_STORE", "memory://"),
        environment["IDIOMATIC_DIRECTORY"],
        int(environment["IDIOMATIC_PARTITIONS"]),
    )

    async def ready(_app: Any, **_kwargs: Any) -> None:
        print("READY", flush=True)

    cast(Any, shop.app.on_rebalance_complete).connect(ready, weak=False)
    shop.app.main()


if __name__ == "__main__":
    main()
