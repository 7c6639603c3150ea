"""A simulated session: which product a shopper looks at next, and whether a view becomes a purchase.

A session has an intent, which is one of the shopper's interests. Each event either takes the current product
a step down the funnel (view, click, cart, purchase) or turns to another product, which is drawn from a
mixture:

- now and then anything at all, a stray look that nothing follows from;
- what people look at next after the product last turned to on purpose, the more so the further down the
  funnel it got;
- else what the shopper likes in the category of the intent.

The same mixture, written as probabilities, is the truth that recommendations are measured against.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from random import Random

import numpy as np

from processors.simulator.catalogue import LINKS
from processors.simulator.products import Catalogue, CategoryProducts, Floats
from processors.simulator.tastes import Shopper, liking

__all__ = ["ACTIONS", "Session", "begin", "first_looks"]

ACTIONS = ("view", "click", "cart", "purchase")

NOWHERE = -1
STRAY = 0.05
PULL = (0.35, 0.5, 0.6, 0.7)  # by how far the product got
DEEPER = (0.45, 0.28, 0.5, 0.0)  # chance of a step down the funnel from each action
STRAY_DEEPER = 0.2
SHORTEST, LONGEST, USUAL = 3, 12, 6

_RANKED = (0.4, 0.3, 0.2, 0.1)
LINK_CHANCES = tuple(tuple(c / sum(_RANKED[:n]) for c in _RANKED[:n]) for n in range(LINKS + 1))
_LINK_STEPS = tuple((*accumulate(chances[:-1]), 1.0) for chances in LINK_CHANCES)


@dataclass(slots=True)
class Session:
    """A session under way: a shopper with an intent, and the product at hand.

    Parameters
    ----------
    shopper
        Who it is.
    session_id
        What its events carry.
    intent
        The products of the category that the session is about.
    chances
        Probabilities of these products by the shopper's taste.
    steps
        The running sums of `chances`.
    events_left
        How many events are still to come.
    position
        The product of the latest event; -1 before the first.
    thread
        The product last turned to on purpose, whose complements attract; -1 before the first.
    stage
        How far down the funnel the current product is, an index into `ACTIONS`.
    quantity
        How many of it are in the cart.

    Examples
    --------
    >>> from processors.simulator import Simulator
    >>> simulator = Simulator(seed=1)
    >>> session = begin(simulator.catalogue, simulator.shopper("shopper-0042"), "session-1", Random(1))
    >>> session.advance(simulator.catalogue, Random(1))
    >>> ACTIONS[session.stage], simulator.catalogue.products[session.position].category
    ('view', 'kitchen')
    """

    shopper: Shopper
    session_id: str
    intent: CategoryProducts
    chances: Floats
    steps: Floats
    events_left: int
    position: int = NOWHERE
    thread: int = NOWHERE
    stage: int = 0
    quantity: int = 1

    def advance(self, catalogue: Catalogue, rng: Random) -> None:
        """Make the next event happen.

        Examples
        --------
        >>> from processors.simulator import Simulator
        >>> simulator = Simulator(seed=1)
        >>> session = begin(simulator.catalogue, simulator.shopper("shopper-0042"), "session-1", Random(1))
        >>> before = session.events_left
        >>> session.advance(simulator.catalogue, Random(1))
        >>> before - session.events_left, simulator.catalogue.products[session.position].kind
        (1, 'mixing bowl')
        """
        self.events_left -= 1
        if self.position != NOWHERE and rng.random() < self._going_deeper():
            self.stage += 1
            if ACTIONS[self.stage] == "cart":
                self.quantity = 1 if rng.random() < 0.85 else rng.randrange(2, 4)
            return
        position, on_purpose = self._propose(catalogue, rng)
        while position == self.position:
            position, on_purpose = self._propose(catalogue, rng)
        self.position, self.stage = position, 0
        if on_purpose:
            self.thread = position

    def next_looks(self, catalogue: Catalogue) -> Floats:
        """Return the chance of each product to be the one this shopper turns to next.

        It is exact: the probabilities `advance` draws from, given that it turns to another product at all.

        Examples
        --------
        >>> from processors.simulator import Simulator
        >>> simulator = Simulator(seed=1)
        >>> session = begin(simulator.catalogue, simulator.shopper("shopper-0042"), "session-1", Random(1))
        >>> session.advance(simulator.catalogue, Random(1))
        >>> chances = session.next_looks(simulator.catalogue)
        >>> round(float(chances.sum()), 6), float(chances[session.position])
        (1.0, 0.0)
        """
        links = self._links(catalogue)
        pull = self._pull() if links else 0.0
        weights = np.full(len(catalogue.products), STRAY / len(catalogue.products))
        weights[self.intent.start : self.intent.stop] += (1 - STRAY - pull) * self.chances
        weights[list(links)] += pull * np.array(LINK_CHANCES[len(links)])
        if self.position != NOWHERE:
            weights[self.position] = 0.0
        chances: Floats = weights / weights.sum()
        return chances

    def _going_deeper(self) -> float:
        chance = DEEPER[self.stage]
        if self.stage:
            chance = min(0.9, chance * self.shopper.buying)
        return chance if self.position == self.thread else chance * STRAY_DEEPER

    def _pull(self) -> float:
        return PULL[self.stage] if self.position == self.thread else PULL[0]

    def _links(self, catalogue: Catalogue) -> tuple[int, ...]:
        return catalogue.links[self.thread] if self.thread != NOWHERE else ()

    def _propose(self, catalogue: Catalogue, rng: Random) -> tuple[int, bool]:
        draw = rng.random()
        if draw < STRAY:
            return rng.randrange(len(catalogue.products)), False
        links = self._links(catalogue)
        if links and draw < STRAY + self._pull():
            return links[bisect_right(_LINK_STEPS[len(links)], rng.random())], True
        return self.intent.start + int(self.steps.searchsorted(rng.random(), side="right")), True


def begin(catalogue: Catalogue, shopper: Shopper, session_id: str, rng: Random) -> Session:
    """Begin a session: choose an intent and how long it lasts.

    Examples
    --------
    >>> from processors.simulator import Simulator
    >>> simulator = Simulator(seed=1)
    >>> session = begin(simulator.catalogue, simulator.shopper("shopper-0042"), "session-1", Random(1))
    >>> session.intent.category, session.events_left
    ('kitchen', 9)
    """
    draw, interest = rng.random(), 0
    while interest + 1 < len(shopper.interests) and draw >= shopper.interests[interest][1]:
        draw -= shopper.interests[interest][1]
        interest += 1
    products = catalogue.of_category(shopper.interests[interest][0])
    chances = liking(shopper, interest, products)
    steps = chances.cumsum()
    steps[-1] = 1.0  # rounding must not leave a gap beyond the last product
    length = min(LONGEST, int(rng.triangular(SHORTEST, LONGEST + 1, USUAL)))
    return Session(shopper, session_id, products, chances, steps, events_left=length)


def first_looks(catalogue: Catalogue, shopper: Shopper) -> Floats:
    """Return the chance of each product to be the first one looked at in this shopper's next session.

    Examples
    --------
    >>> from processors.simulator import Simulator
    >>> simulator = Simulator(seed=1)
    >>> chances = first_looks(simulator.catalogue, simulator.shopper("shopper-0042"))
    >>> round(float(chances.sum()), 6)
    1.0
    """
    chances = np.full(len(catalogue.products), STRAY / len(catalogue.products))
    for interest, (category, share) in enumerate(shopper.interests):
        products = catalogue.of_category(category)
        chances[products.start : products.stop] += (1 - STRAY) * share * liking(shopper, interest, products)
    return chances
