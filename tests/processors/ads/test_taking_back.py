"""Dismissals and refunds: no interest in an item, and purchases undone."""

import pytest

from tests.processors.ads.shop import Shop, campaign, creative


@pytest.mark.parametrize(("topic", "action"), [("events.click.v1", "dismiss"), ("events.purchase.v1", "refund")])
def test_what_takes_back_is_no_interest_in_its_item(topic: str, action: str) -> None:
    shop = Shop()
    shop.send("events.click.v1", "u", item_id="lamp", category="lamps")
    shop.send(topic, "u", item_id="tent", category="tents", action=action)
    profile = shop.profile("u")
    assert (profile.item_ids, list(profile.categories)) == (["lamp"], ["lamps"])
    assert [p.store.read(["tent"])[0] for p in shop.driver.processors["items"]] == [None, None]


def test_a_repeated_dismissal_counts_once() -> None:
    shop = Shop()
    shop.put("c", campaign(frequency={"cool_down_ms": 5000}))
    decision = shop.ask()
    for _ in range(2):
        shop.now -= 1000
        shop.driver.pipe(
            "events.click.v1",
            b"u",
            b'{"event_id":"same","user_id":"u","item_id":"tent","timestamp":%d,"action":"dismiss","decision_id":"%s"}'
            % (shop.now, decision["decision_id"].encode()),
            shop.now + 1000,
        )
        shop.now += 1000
    assert shop.ledger().dismissed == 1


def test_who_returned_a_purchase_is_no_purchaser() -> None:
    shop = Shop()
    shop.put("c", campaign(exclude_purchasers=True, creatives=[creative(item_id="tent")]))
    shop.send("events.purchase.v1", "u", item_id="tent")
    assert shop.ask()["nbr"] == 503
    shop.send("events.browse.v1", "u", item_id="tent")
    assert shop.ask()["nbr"] == 503, "who looks at it again has it still"
    shop.send("events.purchase.v1", "u", item_id="tent", action="refund")
    assert shop.ask()["cid"] == "c"


def test_a_refund_finds_the_purchase_by_its_item() -> None:
    shop = Shop(floor=10.0)
    shop.put("c", campaign(model="cpa", bid=90.0, creatives=[creative(item_id="tent")]))
    shop.click(shop.ask())
    shop.send("events.purchase.v1", "u", item_id="tent")
    assert shop.ledger().spent > 0.0
    shop.send("events.purchase.v1", "u", item_id="tent", action="refund")
    assert shop.ledger().spent == 0.0
