"""What is logged of a decision: enough to judge other policies by, and to tell what each candidate rested on."""

import pytest

from processors.ads.decision import features_hash
from processors.ads.no_bid import NoBid, loss_of, reason_of
from tests.processors.ads.shop import Shop, campaign, creative


@pytest.mark.parametrize("log_losers", [0.0, 1.0])
def test_each_candidate_has_its_features_propensity_and_worth(log_losers: float) -> None:
    shop = Shop(log_losers=log_losers, floor=1.0)
    shop.put("won", campaign(bid=900.0, creatives=[creative("a"), creative("b", weight=2.0)]))
    shop.put("lost", campaign(bid=200.0, model="cpa", budget=900.0))
    shop.put("paused", campaign(paused=True))
    asked = shop.request()
    (logged,) = shop.read("decision-log.v1")
    assert (logged["request_id"], logged["p_conversion"]) == (asked["request_id"], asked["p_conversion"])
    candidates = {candidate["cid"]: candidate for candidate in logged["candidates"]}
    assert set(candidates) == ({"won", "lost", "paused"} if log_losers else {"won"})
    won = candidates["won"]
    assert won["features_hash"] == features_hash(logged["features"])
    shares = {share["crid"]: share["propensity"] for share in logged["creatives"]}
    # The chance that it was shown: that its campaign won, times the share of the creative then.
    assert 0.0 < logged["propensity"] <= shares[logged["crid"]] < 1.0
    assert sum(shares.values()) == pytest.approx(1.0)
    if log_losers:
        lost = candidates["lost"]
        assert lost["features_hash"] not in ("", won["features_hash"])
        assert 0.0 < lost["value"] <= 200_000.0 * lost["p_conversion"], "as its click was drawn"
        assert lost["propensity"] == 1.0, "it had one creative"
        assert candidates["paused"].keys() == {"cid", "loss"}


def test_losers_are_told_the_loss_reasons_of_openrtb_and_answers_without_an_ad_a_no_bid() -> None:
    shop = Shop(log_losers=1.0, floor=300.0)
    shop.put("won", campaign())
    shop.put("outbid", campaign(bid=500.0))
    shop.put("below", campaign(bid=200.0))
    shop.put("capped", campaign(frequency={"per_day": 1}, bid=2000.0))
    assert (shop.ask()["cid"], shop.ask()["cid"]) == ("capped", "won")
    logged = shop.read("decision-log.v1")[-1]
    losses = {candidate["cid"]: candidate.get("loss", 0) for candidate in logged["candidates"]}
    assert losses == {"won": 0, "outbid": 102, "below": 100, "capped": 520}
    assert "nbr" not in logged
    for cid in ("won", "outbid"):
        shop.put(cid, None)
    assert shop.ask()["nbr"] == 509
    shop.put("below", None)
    assert shop.ask()["nbr"] == 9


def test_own_codes_begin_at_500_and_no_two_losses_are_alike() -> None:
    of_campaigns = [code for code in NoBid if code is not NoBid.INVALID_REQUEST]
    losses = [loss_of(code) for code in of_campaigns]
    assert [reason_of(loss) for loss in losses] == of_campaigns
    assert {loss for loss in losses if loss < 500} == {2, 100, 102, 201, 202, 203, 205, 209}
