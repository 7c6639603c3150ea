"""The same logic as an app on Quix Streams: what a competent user of it would write, to compare with.

Two streaming dataframes, JSON records, one record at a time, exactly once, states in RocksDB with changelogs:

- that of ``events`` (all kinds of events in one topic, keyed by user) folds each event into the user's profile, ranks,
  and sends both placements, and a signal to each item that the event concerns;
- that of ``item-signals`` (keyed by item, so that every item has one writer) keeps the states of items.

How it is tuned, where that differs from the defaults of Quix Streams 3.28:

- At most some 250 records per partition wait in the client, not 100,000: it hands them out in the order in which they
  were fetched, so signals would wait behind all events that were there first.
- The producer gathers records for 20 ms, which makes fewer and larger requests.
- Records are decoded straight into structs by msgspec, and written by orjson, as its JSON serializer does anyway.
- There is one chain without branches, as a branch copies every value with pickle; the topic is chosen per record.

It commits every 5 seconds, as is the default, unless told otherwise. Answers and signals can be read only after the
commit of their transaction, so who wants answers sooner commits more often: ``docs/benchmarks.md`` has what that costs.

To its favour: no intake rules and no dead letters; the only process, so ranking reads the states of other items from
memory (:mod:`bench.idiomatic_items`), for which several processes would need another topic and a reader of it; and a
restart would have to fill that memory first.

``python -m bench.idiomatic_quix`` runs it; ``IDIOMATIC_*`` variables configure it. It ends on SIGTERM, and writes then
in which order it processed which records, for :mod:`bench.idiomatic_replay`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
from quixstreams import Application, State, message_context
from quixstreams.models import Topic
from quixstreams.models.serializers.json import JSONDeserializer

from bench.idiomatic_items import Items
from bench.idiomatic_logic import learn, new_item, new_profile
from bench.idiomatic_messages import (
    EVENTS,
    QUIX,
    RECOMMENDATIONS,
    SIGNALS,
    Cause,
    Event,
    Signal,
    hear,
    recommendations,
    signals_of,
)
from bench.idiomatic_rank import slates

_CONSUMER = {"queued.min.messages": 250, "fetch.message.max.bytes": 65_536}
_PRODUCER = {"linger.ms": 20}


class Shop:
    """The functions of both dataframes, and what they share.

    Parameters
    ----------
    items
        The states of items that ranking reads.
    """

    def __init__(self, items: Items) -> None:
        self._items = items

    def answer(
        self, event: Event, _key: str, timestamp_ms: int, _headers: Any, state: State[str, Any]
    ) -> list[dict[str, Any]]:
        """Fold an event into its user's profile; return signals to items, and the user's recommendations."""
        profile = state.get("profile") or new_profile()
        preceding = learn(profile, event)
        if preceding is None:
            return []
        state.set("profile", profile)
        record = message_context()
        cause = Cause(EVENTS, record.partition, record.offset, timestamp_ms / 1000)
        ranked = slates(profile, self._items.view, self._items.popular())
        return [*signals_of(event, preceding), *recommendations(event, cause, ranked)]

    def take(self, signal: Signal, state: State[str, Any]) -> None:
        """Fold a signal into the state of its item."""
        item = state.get("item") or new_item()
        hear(item, signal)
        state.set("item", item)
        self._items.put(signal.item_id, item)


def is_signal(value: dict[str, Any]) -> bool:
    """Tell a signal from a recommendation.

    Examples
    --------
    >>> is_signal({"item_id": "tent", "others": []}), is_signal({"user_id": "u", "items": []})
    (True, False)
    """
    return "others" in value


def key_of(value: dict[str, Any]) -> str:
    """Return the key of what is sent: the item of a signal, the user of a recommendation."""
    return str(value["item_id"] if is_signal(value) else value["user_id"])


def connect(app: Application, shop: Shop) -> None:
    """Connect the functions of a shop to the topics, which are there already."""

    def topic(name: str, struct: Any = Any) -> Topic:
        loads = JSONDeserializer(loads=msgspec.json.Decoder(struct).decode)
        return app.topic(QUIX + name, value_deserializer=loads, key_deserializer="str", key_serializer="str")

    signals, answers = topic(SIGNALS, Signal), topic(RECOMMENDATIONS)

    def topic_of(value: dict[str, Any], _key: str, _timestamp_ms: int, _headers: Any) -> Topic:
        return signals if is_signal(value) else answers

    events = app.dataframe(topic(EVENTS, Event))
    events.apply(shop.answer, stateful=True, expand=True, metadata=True).to_topic(topic_of, key=key_of)
    app.dataframe(signals).update(shop.take, stateful=True)


def main() -> None:
    """Run the app with what the environment says."""
    environment = os.environ
    order: list[tuple[str, int, int]] = []
    app = Application(
        environment["IDIOMATIC_BROKER"],
        consumer_group=environment["IDIOMATIC_GROUP"],
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=float(environment["IDIOMATIC_COMMIT_S"]),
        state_dir=environment["IDIOMATIC_DIRECTORY"],
        consumer_extra_config=_CONSUMER,
        producer_extra_config=_PRODUCER,
        on_message_processed=lambda *record: order.append(record),
        loglevel="WARNING",
    )
    connect(app, Shop(Items()))
    app.run()
    Path(environment["IDIOMATIC_ORDER"]).write_bytes(msgspec.json.encode(order))


if __name__ == "__main__":
    main()
