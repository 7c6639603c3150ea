"""New items meet their audience before anybody has clicked them, by what the catalogue says, without exploring."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest

from processors.simulator import Simulator
from processors.simulator.catalogue import EMBEDDING_SIZE, catalogue_rows
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings, TopicSettings

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

START = 1_700_000_000_000
EVENTS, SHOPPERS, DEPTH = 3000, 200, 20


@dataclass
class Launch:
    """Of the items that nobody has seen yet: who would turn to them, and who is shown them."""

    audience: set[tuple[str, str]]
    shown: set[tuple[str, str]]
    users: int
    items: int


@pytest.fixture(scope="module", params=[True, False], ids=["with embeddings", "by rows alone"])
def launch(request: pytest.FixtureRequest) -> Launch:
    """A shop after a while, at the moment at which one item in twenty-three enters the catalogue."""
    simulator = Simulator(seed=3, shoppers=SHOPPERS)
    rows = dict(catalogue_rows(simulator.catalogue, embeddings=request.param))
    new = {product.item_id for product in simulator.catalogue.products[5::23]}
    driver = TopologyDriver(settings(EMBEDDING_SIZE if request.param else 0), publish=False)
    known = {key: row for key, row in rows.items() if key.decode() not in new}
    for key, row in known.items():
        driver.pipe("catalog.items.v1", key, row, START)
    for event in simulator.events(START, rate_per_s=5, count=EVENTS):
        if event.product.item_id not in new:
            at = max(driver.now, event.timestamp)
            driver.pipe(event.topic, event.key.encode(), msgspec.json.encode(event.value()), at)
    for key in rows.keys() - known.keys():
        driver.pipe("catalog.items.v1", key, rows[key], driver.now + 1)
    driver.flush()
    users = simulator.in_shop()
    audience = {(user, item) for user in users for item in simulator.truth_top(user, DEPTH) if item in new}
    shown = {(user, place.item_id) for user in users for slate in driver.recommend(user) for place in slate}
    return Launch(audience, {pair for pair in shown if pair[1] in new}, len(users), len(new))


def settings(embedding_size: int) -> Settings:
    """Without exploration: that would show new items to anybody."""
    plain, replace = Settings(topics=TopicSettings(partitions=1)), msgspec.structs.replace
    ranking = replace(plain.users.ranking, exploration=0.0)
    items = replace(plain.items, embedding_size=embedding_size)
    return replace(plain, items=items, users=replace(plain.users, ranking=ranking))


def test_a_fifth_of_their_audience_is_shown_new_items_that_nobody_has_clicked(launch: Launch) -> None:
    assert len(launch.audience) >= 10
    assert len(launch.audience & launch.shown) >= 0.2 * len(launch.audience)


def test_others_are_hardly_shown_them(launch: Launch) -> None:
    others = launch.users * launch.items - len(launch.audience)
    assert len(launch.shown - launch.audience) <= 0.1 * others
