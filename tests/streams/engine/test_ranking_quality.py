"""The whole system against shoppers whose tastes are known: how many of their next looks are in what they are shown.

A shopper who turns to a product that is in the slate clicks; ``Simulator.hit`` is the exact chance of that. The oracle
knows the shopper's mind.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest

from processors.simulator import SimulatedEvent, Simulator
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings, TopicSettings

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

START = 1_700_000_000_000
SIZE = 20


@dataclass
class Shop:
    """A shop after a while, and the chances that were measured on the way: ours, popularity's, the oracle's."""

    driver: TopologyDriver
    simulator: Simulator
    events: Iterator[SimulatedEvent]
    chances: np.ndarray
    held_back: str

    def pipe(self, event: SimulatedEvent) -> None:
        value = msgspec.json.encode(event.value())
        self.driver.pipe(event.topic, event.key.encode(), value, max(self.driver.now, event.timestamp))


@pytest.fixture(scope="module")
def shop() -> Shop:
    """6,000 events of 70 shoppers; one product is held back. Measured once a shopper has 50 events."""
    driver = TopologyDriver(Settings(topics=TopicSettings(partitions=1)), publish=False)
    simulator = Simulator(seed=3, shoppers=70)
    events = simulator.events(START, rate_per_s=5)
    visits, touches, chances = Counter[str](), Counter[str](), []
    held_back = simulator.catalogue.products[40].item_id
    shop = Shop(driver, simulator, events, np.empty(0), held_back)
    for _ in range(6000):
        event = next(events)
        if event.product.item_id == held_back:
            continue
        shop.pipe(event)
        user = event.key
        touches[user] += 1
        visits[event.product.item_id] += 1
        if touches[user] >= 50 and touches[user] % 4 == 0 and user in simulator.in_shop():
            home, _ = driver.recommend(user)
            popular = [item for item, _ in visits.most_common(SIZE)]
            ours = simulator.hit(user, [item.item_id for item in home], SIZE)
            chances.append((ours, simulator.hit(user, popular, SIZE), simulator.oracle(SIZE, user)))
    shop.chances = np.array(chances)
    return shop


def test_clicks_are_at_least_twice_those_of_popularity(shop: Shop) -> None:
    ours, popular, _ = shop.chances.mean(axis=0)
    assert len(shop.chances) > 200
    assert ours >= 2.0 * popular


def test_clicks_are_at_least_85_percent_of_the_oracles_after_50_events(shop: Shop) -> None:
    ours, _, oracle = shop.chances.mean(axis=0)
    assert ours >= 0.85 * oracle


def test_what_is_learned_ranks_better_than_co_visitation(shop: Shop) -> None:
    view = shop.driver.topology.users.read.weights.view
    assert view is not None
    assert not view.fallback
    assert view.gain > view.plain_gain
    assert view.examples > 5000


def test_a_new_item_is_shown_to_its_audience_after_its_first_three_events(shop: Shop) -> None:
    driver, simulator = shop.driver, shop.simulator
    product = next(p for p in simulator.catalogue.products if p.item_id == shop.held_back)
    assert driver.topology.index.slot(product.item_id) < 0, "nobody has seen it"
    audience, others = _by_last_category(shop, product.category)
    mate = next(p for p in simulator.catalogue.products if p.category == product.category and p != product)
    for n, user in enumerate(f"guest-{n}" for n in range(3)):
        for step, seen in enumerate((mate, product)):
            at = driver.now + 1000
            value = {
                "event_id": f"new-{n}-{step}",
                "user_id": user,
                "item_id": seen.item_id,
                "timestamp": at,
                "category": seen.category,
            }
            driver.pipe("events.click.v1", user.encode(), msgspec.json.encode(value), at)
    driver.flush()
    assert len(audience) >= 3
    assert _shown_to(shop, product.item_id, audience) >= 0.5
    assert _shown_to(shop, product.item_id, others) < 0.3, "it is not pushed on everybody"


def _by_last_category(shop: Shop, category: str) -> tuple[list[str], list[str]]:
    """Shoppers whose last item was of the category, and the others."""
    users = [shop.simulator.population.user_id(n) for n in range(shop.simulator.population.size)]
    profiles = shop.driver.processors["users"][0].store.read(users)
    categories = {product.item_id: product.category for product in shop.simulator.catalogue.products}
    last = {user: categories[found.item_ids[-1]] for user, found in zip(users, profiles, strict=True) if found}
    return [u for u in last if last[u] == category], [u for u in last if last[u] != category]


def _shown_to(shop: Shop, item: str, users: list[str]) -> float:
    """Share of the users who are shown the item, in either placement."""
    shown = [item in {place.item_id for slate in shop.driver.recommend(user) for place in slate} for user in users]
    return sum(shown) / len(shown)
