"""The same logic as an idiomatic Faust app: what a competent Faust user would write, to compare with.

An agent per event topic, tables for state, ``topic.send`` for what comes out, JSON records, one event at a time:

- the agents of the event topics fold each event into the ``profiles`` table, send a signal to each item it concerns on
  ``item-signals`` (keyed by item, so that every item has one writer), rank, and send both placements;
- the agent of ``item-signals`` keeps the ``items`` global table, which the ranking reads.

To its favour: no intake rules, no dead letters and no exactly_once; uvloop, orjson and Faust's C extensions are on;
what is sent is not waited for; neighbours are sorted again only after their item has changed, and popularity once a
second; the default store is ``memory://``.

``python -m bench.idiomatic_faust worker`` runs it; ``IDIOMATIC_*`` variables configure it.
"""

from __future__ import annotations

import os
from typing import Any

import faust

from bench.idiomatic_logic import State, View, learn, most_popular, new_item, new_profile, view
from bench.idiomatic_messages import Cause, hear, recommendations, signals_of
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
            for signal in signals_of(event, preceding):
                await self.signals.send(key=signal["item_id"], value=Signal(**signal))
            await self._recommend(event, profile, message.message)

    async def _recommend(self, event: Event, profile: State, message: Any) -> None:
        cause = Cause(message.topic.removeprefix(PREFIX), message.partition, message.offset, message.timestamp)
        ranked = slates(profile, self._view, self._popular)
        for answer in recommendations(event, cause, ranked):
            await self.recommendations.send(key=event.user_id, value=answer)

    def _view(self, item_id: str) -> View:
        found = self._views.get(item_id)
        if found is None:
            found = self._views[item_id] = view(self.items[item_id])
        return found

    async def _item(self, signals: Any) -> None:
        async for signal in signals:
            item = self.items[signal.item_id]
            hear(item, signal)
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
    shop.app.main()


if __name__ == "__main__":
    main()
