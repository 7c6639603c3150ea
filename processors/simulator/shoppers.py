"""The simulator: events of shoppers whose tastes are known, and the truth to measure recommendations against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count as counting
from itertools import islice
from typing import Any

import msgspec
import numpy as np

from processors.simulator.catalogue import build_catalogue
from processors.simulator.crowd import Crowd
from processors.simulator.products import Catalogue, Floats, Product
from processors.simulator.sessions import ACTIONS, first_looks
from processors.simulator.tastes import Population, Shopper

__all__ = ["Shopper", "SimulatedEvent", "Simulator"]

_TOPICS = dict(
    zip(ACTIONS, ("events.browse.v1", "events.click.v1", "events.click.v1", "events.purchase.v1"), strict=True)
)
_PAGES = dict(zip(ACTIONS, ("listing", "product", "cart", "checkout"), strict=True))


class SimulatedEvent(msgspec.Struct, frozen=True, gc=False):
    """One thing a shopper did.

    Parameters
    ----------
    event_id
        Follows from the seed and the event's number.
    timestamp
        Event time in epoch milliseconds.
    session_id
        The session it belongs to.
    action
        "view", "click", "cart" or "purchase".
    quantity
        How many, for a cart or a purchase.
    shopper
        Who did it.
    product
        With what.

    Examples
    --------
    >>> event = next(Simulator(seed=1).events(start_ms=0, rate_per_s=10))
    >>> event.topic, event.key, event.event_id
    ('events.browse.v1', 'shopper-0170', 'sim-1-0000000001')
    """

    event_id: str
    timestamp: int
    session_id: str
    action: str
    quantity: int
    shopper: Shopper
    product: Product

    @property
    def topic(self) -> str:
        """The topic an app would send it to.

        Examples
        --------
        >>> next(Simulator(seed=1).events(start_ms=0, rate_per_s=10)).topic
        'events.browse.v1'
        """
        return _TOPICS[self.action]

    @property
    def key(self) -> str:
        """The record's key: the user id.

        Examples
        --------
        >>> next(Simulator(seed=1).events(start_ms=0, rate_per_s=10)).key
        'shopper-0170'
        """
        return self.shopper.user_id

    def value(self) -> dict[str, Any]:
        """Return the record's value, ready for JSON.

        Examples
        --------
        >>> value = next(Simulator(seed=1).events(start_ms=0, rate_per_s=10)).value()
        >>> value["action"], value["item_id"], value["price"]
        ('view', 'photography-camera-bag-ridge', 114.82)
        """
        product, shopper = self.product, self.shopper
        context = {"page": _PAGES[self.action], "device": shopper.device, "country": shopper.country}
        if self.action == "view":
            context["placement"] = "listing"
        value: dict[str, Any] = {
            "event_id": self.event_id,
            "user_id": shopper.user_id,
            "item_id": product.item_id,
            "timestamp": self.timestamp,
            "action": self.action,
            "session_id": self.session_id,
            "price": product.price,
            "currency": product.currency,
            "category": product.category,
            "brand": product.brand,
            "channel": shopper.channel,
            "context": context,
        }
        if self.action in ("cart", "purchase"):
            value["quantity"] = self.quantity
        return value


class Simulator:
    """A shop full of simulated shoppers.

    Shoppers come, each with an intent, and several are in the shop at once. Everything follows from the
    arguments: the same ones give the same events, byte for byte. Only the sessions under way are held in
    memory, whatever the number of shoppers.

    Parameters
    ----------
    seed
        Decides everything. Its decimal form is part of the event ids.
    shoppers
        How many people there are, ``shopper-0000`` onwards.
    catalogue
        What they look at; by default ``build_catalogue(seed)``.
    sessions_apart
        The least event time in seconds between a shopper's sessions. Zero suits a demo, whose time is
        compressed: there the session id alone tells sessions apart. With more than 1,800 a new session also
        follows an idle gap of half an hour; when nobody is left to come, event time leaps to the first who
        is.

    Examples
    --------
    >>> simulator = Simulator(seed=1, shoppers=200)
    >>> [event.product.name for event in simulator.events(start_ms=0, rate_per_s=10, count=2)]
    ['Norrsken Ridge camera bag', 'Fornello Grove cutting board']
    """

    def __init__(
        self,
        seed: int,
        shoppers: int = 200,
        catalogue: Catalogue | None = None,
        *,
        sessions_apart: float = 0.0,
    ) -> None:
        if not sessions_apart >= 0:
            raise ValueError(f"sessions_apart must not be negative, but is {sessions_apart}")
        self.seed = seed
        self.catalogue = build_catalogue(seed) if catalogue is None else catalogue
        self.population = Population(seed, shoppers, self.catalogue)
        self.sessions_apart = sessions_apart
        self._crowd: Crowd | None = None

    def shopper(self, user_id: str) -> Shopper:
        """Return who a shopper is, or raise KeyError when nobody has that id.

        Examples
        --------
        >>> Simulator(seed=1).shopper("shopper-0042").country
        'IT'
        """
        return self.population.shopper(self.population.number(user_id))

    def events(self, start_ms: int, rate_per_s: float, count: int | None = None) -> Iterator[SimulatedEvent]:
        """Return events in time order, from the beginning.

        Event time advances by exponential gaps; how fast the events are taken is the caller's business. Each
        call begins again with an empty shop: to draw in chunks, keep the iterator. `affinity` and what builds
        on it follow the iterator begun last.

        Parameters
        ----------
        start_ms
            Event time at the beginning, in epoch milliseconds.
        rate_per_s
            Mean number of events per second of event time.
        count
            How many; endless by default.

        Examples
        --------
        >>> [event.timestamp for event in Simulator(seed=1).events(1_000, rate_per_s=10, count=3)]
        [1421, 1459, 1594]
        """
        if not rate_per_s > 0:
            raise ValueError(f"rate_per_s must be more than zero, not {rate_per_s}")
        self._crowd = Crowd(self.population, self.catalogue, rate_per_s, self.sessions_apart)
        return islice(self._record(self._crowd, start_ms), count)

    def in_shop(self) -> list[str]:
        """Return the ids of the shoppers whose sessions are under way.

        Examples
        --------
        >>> simulator = Simulator(seed=1, shoppers=200)
        >>> event = next(simulator.events(start_ms=0, rate_per_s=10))
        >>> event.key in simulator.in_shop(), len(simulator.in_shop())
        (True, 25)
        """
        return list(self._crowd.sessions) if self._crowd else []

    def affinity(self, user_id: str) -> Floats:
        """Return each product's chance, in the catalogue's order, to be what this shopper turns to next.

        In a session it follows from intent, tastes and where the shopper is; the product at hand has no
        chance, because a step down its funnel is not a turn to it. Between sessions it is the first look of
        the next session. It is the exact distribution the events are drawn from, and sums to one.

        Examples
        --------
        >>> chances = Simulator(seed=1).affinity("shopper-0042")
        >>> chances.shape, round(float(chances.sum()), 6)
        ((300,), 1.0)
        """
        session = self._crowd.sessions.get(user_id) if self._crowd else None
        if session is None:
            return first_looks(self.catalogue, self.shopper(user_id))
        return session.next_looks(self.catalogue)

    def truth_top(self, user_id: str, k: int = 10) -> list[str]:
        """Return the ids of the `k` likeliest next products, best first: the ideal slate.

        Examples
        --------
        >>> Simulator(seed=1).truth_top("shopper-0042", k=2)
        ['kitchen-cutting-board-grove', 'cycling-saddle-bag-pebble']
        """
        best = np.argsort(-self.affinity(user_id), kind="stable")[:k]
        return [self.catalogue.products[position].item_id for position in best]

    def hit(self, user_id: str, item_ids: Sequence[str], k: int = 10) -> float:
        """Return the chance that the next product this shopper turns to is among the first `k` of a slate.

        It is the expected hit-rate at `k`, without the noise of one draw: `affinity` summed over the slate.
        An item counts once; one that is not in the catalogue counts nothing but takes up its position.

        Examples
        --------
        >>> simulator = Simulator(seed=1)
        >>> simulator.hit("shopper-0042", simulator.truth_top("shopper-0042")) == simulator.oracle(
        ...     user_id="shopper-0042"
        ... )
        True
        """
        positions = {self.catalogue.positions.get(item_id, -1) for item_id in item_ids[:k]} - {-1}
        return float(self.affinity(user_id)[sorted(positions)].sum())

    def oracle(self, k: int = 10, user_id: str | None = None) -> float:
        """Return what the ideal slate hits: the ceiling for `hit`.

        Parameters
        ----------
        k
            Length of the slate.
        user_id
            For one shopper; by default the mean over all who are in the shop now, or zero when nobody is.

        Examples
        --------
        >>> simulator = Simulator(seed=1)
        >>> events = list(simulator.events(0, rate_per_s=10, count=100))
        >>> round(simulator.oracle(k=10), 2)
        0.87
        """
        users = self.in_shop() if user_id is None else [user_id]
        ceilings = [self.hit(user, self.truth_top(user, k), k) for user in users]
        return sum(ceilings) / len(ceilings) if ceilings else 0.0

    def _record(self, crowd: Crowd, start_ms: int) -> Iterator[SimulatedEvent]:
        for number in counting(1):
            session = crowd.step()
            yield SimulatedEvent(
                event_id=f"sim-{self.seed}-{number:010d}",
                timestamp=start_ms + int(crowd.elapsed_s * 1000),
                session_id=session.session_id,
                action=ACTIONS[session.stage],
                quantity=session.quantity,
                shopper=session.shopper,
                product=self.catalogue.products[session.position],
            )
