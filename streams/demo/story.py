"""One shopper's story: tastes, what the shopper does, and what is suggested."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from processors.ranking.messages import Recommendation
from processors.ranking.slate import SlateItem
from processors.simulator import Catalogue, Shopper, SimulatedEvent, Simulator
from streams.demo.snapshot import ShopperAction, Story, Suggestion

_ACTIONS = {"view": "looked at", "click": "clicked", "cart": "into cart", "purchase": "bought"}
_CANDIDATES = 2_000

K = 10
"""How many items of a slate count."""


class _Done(NamedTuple):
    at_s: float
    action: str
    name: str
    foreseen: int | None


class Follower:
    """Follows one shopper: what is done, and what is suggested.

    Parameters
    ----------
    shopper
        The shopper to follow.
    catalogue
        Catalogue with the names of the products.
    remembered
        How many of the shopper's last events are kept.
    """

    def __init__(self, shopper: Shopper, catalogue: Catalogue, remembered: int = 20) -> None:
        self.user_id = shopper.user_id
        self._tastes = tastes(shopper)
        self._names = {product.item_id: product.name for product in catalogue.products}
        self._done: deque[_Done] = deque(maxlen=remembered)
        self._slate: list[SlateItem] = []

    def sent(self, event: SimulatedEvent, now_s: float) -> None:
        """Take note of something the shopper did."""
        foreseen = None
        if event.action == "view":
            item_id = event.product.item_id
            foreseen = next((item.rank for item in self._slate[:K] if item.item_id == item_id), None)
        self._done.appendleft(_Done(now_s, _ACTIONS[event.action], event.product.name, foreseen))

    def recommended(self, message: Recommendation) -> None:
        """Take note of the shopper's new slate."""
        self._slate = message.items

    def story(self, now_s: float) -> Story:
        """Return the story so far."""
        actions = tuple(ShopperAction(now_s - done.at_s, done.action, done.name, done.foreseen) for done in self._done)
        slate = tuple(
            Suggestion(item.rank, self._names.get(item.item_id, item.item_id), self._reason(item))
            for item in self._slate
        )
        return Story(self.user_id, self._tastes, actions, slate)

    def _reason(self, item: SlateItem) -> str:
        for reason in item.reasons:
            text = reason.text or reason.kind
            if reason.item_id is not None:
                text = text.replace(reason.item_id, self._names.get(reason.item_id, reason.item_id))
            return text
        return ""


def tastes(shopper: Shopper) -> str:
    """Describe what a shopper likes, most liked first.

    Examples
    --------
    >>> tastes(Simulator(seed=1).shopper("shopper-0042"))
    'kitchen 51 % (Maison, Fornello), cycling 49 % (Serpentin)'
    """
    pairs = sorted(zip(shopper.interests, shopper.brands, strict=True), key=lambda pair: -pair[0][1])
    return ", ".join(f"{name} {share:.0%} ({', '.join(brands)})".replace("%", " %") for (name, share), brands in pairs)


def liveliest(simulator: Simulator) -> Shopper:
    """Find the shopper who comes most often, among the first two thousand.

    Examples
    --------
    >>> simulator = Simulator(seed=1, shoppers=200)
    >>> liveliest(simulator).activity > 10
    True
    """
    population = simulator.population
    shoppers = map(population.shopper, range(min(population.size, _CANDIDATES)))
    return max(shoppers, key=lambda shopper: shopper.activity)
