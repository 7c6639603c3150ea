"""What others learned from a purchase they unlearn when it is returned, once, and nothing that they did not learn."""

from __future__ import annotations

from typing import Any

import msgspec

from processors.items.keeper import ItemKeeper
from processors.items.signals import Touch
from processors.items.state import ItemSettings, ItemState
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings, TopicSettings, WorkerSettings

NOW = 1_700_000_000_000


class Shop:
    def __init__(self) -> None:
        worker, topics = WorkerSettings(broadcast_interval_ms=0), TopicSettings(partitions=1)
        self.driver = TopologyDriver(Settings(worker=worker, topics=topics))
        self.now = NOW

    def buys(self, user: str, quantity: float = 1.0, **fields: Any) -> None:
        self.now += 1000
        value = {"event_id": f"e{self.now}", "user_id": user, "item_id": "tent", "timestamp": self.now, "price": 10.0}
        self.driver.pipe(
            "events.purchase.v1", user.encode(), msgspec.json.encode(value | {"quantity": quantity} | fields), self.now
        )

    def purchases(self) -> int:
        self.driver.flush()
        view = self.driver.topology.index.view("tent")
        assert view is not None
        return view.purchases


def test_a_return_is_one_purchase_less_and_its_visit_stays() -> None:
    shop = Shop()
    for user in ("ann", "ben", "cleo"):
        shop.buys(user)
    assert shop.purchases() == 3
    shop.buys("ann", -1.0)
    view = shop.driver.topology.index.view("tent")
    assert (shop.purchases(), view and view.visits) == (2, 3)


def test_it_is_taken_back_once_and_by_its_buyer_alone() -> None:
    shop = Shop()
    for user in ("ann", "ben"):
        shop.buys(user)
    for user in ("ann", "ann", "dora"):
        shop.buys(user, -1.0)
    assert shop.purchases() == 1


def test_a_part_that_comes_back_takes_back_no_purchase() -> None:
    shop = Shop()
    shop.buys("ann", 3.0)
    shop.buys("ann", -1.0)
    assert shop.purchases() == 1
    shop.buys("ann", -2.0)
    assert shop.purchases() == 0


def test_who_did_not_let_others_learn_from_a_purchase_takes_none_of_theirs_back() -> None:
    shop = Shop()
    shop.buys("ann")
    for _ in range(5):
        shop.buys("mallory", purposes=["store", "recommend"])
        shop.buys("mallory", -1.0)
    assert shop.purchases() == 1


def test_a_return_of_an_item_that_has_expired_makes_it_known_for_nothing() -> None:
    keeper, state = ItemKeeper(ItemSettings()), ItemState()
    keeper.touch(state, Touch(0, NOW, 0.0, returned=True))
    view = keeper.view(state)
    assert (view.purchases, view.visits, state.last_seen) == (0, 0, NOW)
