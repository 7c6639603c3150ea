"""What is learned of purchases after clicks, and how predictions are held against what came of them."""

import pytest

from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_view import CampaignView
from processors.ads.ledger import Ledger
from processors.ads.ledger_keeper import LedgerKeeper
from processors.ads.signals import CampaignSignal
from tests.processors.ads.shop import Shop, campaign, creative


def test_who_buys_after_a_click_is_learned() -> None:
    shop = Shop(partitions=1, impressions="inferred")
    shop.put("c", campaign(model="cpa", bid=50.0, budget=1e6, creatives=[creative("a", item_id="tent")]))
    for n in range(120):
        device = "desktop" if n % 2 else "phone"
        decision = shop.ask(f"u{n}", device=device)
        shop.click(decision)
        if n % 2:
            shop.send("events.purchase.v1", f"u{n}", decision_id=decision["decision_id"], item_id="tent")
    desktop, phone = shop.ask("new", device="desktop"), shop.ask("newer", device="phone")
    assert desktop["p_conversion"] > 1.5 * phone["p_conversion"]
    table = shop.driver.topology.users.ads.purchases
    assert table.view is not None
    assert (table.view.shown, table.view.clicked) == (120, 60)


def test_a_purchase_that_nobody_clicked_for_is_no_example() -> None:
    shop = Shop(partitions=1)
    shop.put("c", campaign(creatives=[creative(item_id="tent")]))
    shop.see(shop.ask())
    shop.send("events.purchase.v1", "u", item_id="tent")
    ledger = shop.ledger()
    assert (ledger.conversions, ledger.bought) == (1, 0)
    assert shop.driver.topology.users.ads.purchases.view is None


def test_calibration_makes_good_for_a_model_that_is_off() -> None:
    keeper, state = LedgerKeeper(), Ledger()
    keeper.replace(state, Campaign("shop", (Creative("a", "A", "https://shop.example/"),), 1.0, 100.0))
    keeper.learn(state, CampaignSignal("c", 1, shown=100_000, clicks=4_000, expected=2_000.0))
    keeper.learn(state, CampaignSignal("c", 2, bought=40, expected_purchases=80.0))
    view = keeper.view(state)
    assert view is not None
    assert view.calibration == pytest.approx(2.0, rel=0.01)
    assert view.conversion == pytest.approx(0.5, rel=0.02)


def test_what_is_expected_is_what_the_model_gave_before_calibration() -> None:
    shop = Shop(partitions=1)
    shop.put("c", campaign())
    view = shop.view()
    shop.driver.topology.users.ads.campaigns.apply(
        "c", CampaignView(view.campaign, left=9.0, left_today=9.0, calibration=2.0)
    )
    decision = shop.ask()
    shop.see(decision)
    assert shop.ledger().expected == pytest.approx(decision["p_click"] / 2.0)
