"""Nobody passes for many: a machine, a farm of fresh accounts, against a true hit, in a shop of 300 shoppers."""

import json
from collections.abc import Iterable, Sequence
from itertools import islice

import pytest

from processors.simulator import Simulator
from streams.engine import TopologyDriver

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

NOW = 1_700_000_000_000
Row = tuple[str, str, int]
"""User, item, and milliseconds since the epoch."""


class Shop:
    """The driver after some minutes of 300 shoppers."""

    def __init__(self) -> None:
        self.driver = TopologyDriver()
        self.now, self._n = NOW, 0
        simulated = islice(Simulator(seed=3, shoppers=300).events(start_ms=NOW, rate_per_s=10), 4000)
        rows = [(event.key, event.product.item_id, event.timestamp) for event in simulated]
        self.users = sorted({user for user, _, _ in rows})
        self.popular = max({item for _, item, _ in rows}, key=lambda item: sum(other == item for _, other, _ in rows))
        self.click(rows)

    def click(self, rows: Sequence[Row]) -> None:
        """Feed clicks in micro-batches of 25."""
        for begin in range(0, len(rows), 25):
            part = rows[begin : begin + 25]
            self.driver.pipe_batch("events.click.v1", list(self._records(part)), max(at for _, _, at in part))
        self.driver.flush()
        self.now = max(self.now, *(at for _, _, at in rows))

    def share_shown(self, item: str, users: Iterable[str]) -> float:
        """Return to which share of some users an item is shown, at any placement."""
        found = [any(item in self._ids(slate) for slate in self.driver.recommend(user)) for user in users]
        return sum(found) / len(found)

    def first_of_a_newcomer(self) -> list[str]:
        """Return what somebody whom nobody knows sees first."""
        return self._ids(self.driver.recommend("a newcomer")[0])

    @staticmethod
    def _ids(slate: object) -> list[str]:
        return [place.item_id for place in slate]  # type: ignore[attr-defined]

    def _records(self, rows: Sequence[Row]) -> Iterable[tuple[bytes, bytes, tuple[()]]]:
        for user, item, at_ms in rows:
            self._n += 1
            event = {"event_id": f"e{self._n}", "user_id": user, "item_id": item, "timestamp": at_ms}
            yield user.encode(), json.dumps(event).encode(), ()


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def test_five_thousand_clicks_of_one_user_in_a_minute_show_an_item_to_nobody(shop: Shop) -> None:
    shop.click([("bot", "spam", shop.now + 12 * n) for n in range(5000)])
    assert shop.share_shown("spam", shop.users) <= 0.01
    assert "spam" not in shop.first_of_a_newcomer()[:3]


def test_a_thousand_fresh_accounts_with_a_click_each_show_an_item_to_nearly_nobody(shop: Shop) -> None:
    shop.click([(f"fresh{n}", "junk", shop.now + 30 * n) for n in range(1000)])
    assert shop.share_shown("junk", shop.users) <= 0.05
    assert "junk" not in shop.first_of_a_newcomer()[:3]


def test_nor_do_they_put_it_beside_a_popular_item(shop: Shop) -> None:
    rows = [(f"other{n}", item, shop.now + 60 * n) for n in range(1000) for item in (shop.popular, "beside")]
    shop.click(rows)
    assert shop.share_shown("beside", shop.users) <= 0.05


def test_a_new_item_that_sixty_shoppers_choose_is_seen_at_once(shop: Shop) -> None:
    shop.click([(user, "hit", shop.now + 80 * n) for n, user in enumerate(shop.users[:60])])
    assert "hit" in shop.first_of_a_newcomer()[:5]
    assert shop.share_shown("hit", shop.users[60:]) > 0.5
