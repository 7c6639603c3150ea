"""The funnel of a campaign is what the decisions say, recounted from answers that apps got."""

from __future__ import annotations

from collections import Counter

import msgspec

from processors.ads.funnel import funnel_of
from processors.ads.messages import LoggedDecision
from processors.ads.results import is_logged_in_full
from tests.processors.ads.shop import Shop, campaign


def _log(shop: Shop) -> list[LoggedDecision]:
    return [msgspec.convert(entry, LoggedDecision) for entry in shop.read("decision-log.v1")]


def test_a_single_campaign_leaves_decisions_for_the_reasons_that_apps_are_told() -> None:
    shop = Shop(log_losers=1.0)
    shop.put("c", campaign(frequency={"per_hour": 1}, target={"devices": ["phone"]}))
    told: Counter[int] = Counter()
    for n in range(40):
        decision = shop.ask(f"user {n % 9}", device="phone" if n % 3 else "desktop")
        told[decision.get("nbr", 0)] += 1
    found = funnel_of("c", _log(shop), 1.0)
    assert (found.decisions, found.won) == (40, told[0])
    assert {step.loss: step.removed for step in found.steps} == {code: n for code, n in told.items() if code}
    assert [step.stage for step in found.steps] == ["targeting", "frequency"]
    assert found.steps[-1].left == found.won


def test_only_decisions_that_are_logged_in_full_count() -> None:
    """Or a campaign would seem to win nearly always: of other decisions the log names the winner alone."""
    shop = Shop(log_losers=0.3)
    shop.put("c", campaign(bid=50.0))
    shop.put("rival", campaign(bid=45.0))
    for n in range(120):
        shop.ask(f"user {n}")
    log = _log(shop)
    rival = funnel_of("rival", log, 0.3)
    full = [entry for entry in log if is_logged_in_full(entry.decision_id, 0.3)]
    assert rival.decisions == len(full) == sum(len(entry.candidates) > 1 for entry in log)
    assert rival.won == sum(entry.cid == "rival" for entry in full) < len(full)


def test_a_campaign_that_nobody_knows_has_no_funnel() -> None:
    assert funnel_of("nobody", [], 1.0).decisions == 0


def test_an_entry_that_does_not_say_why_a_campaign_lost_does_not_count_as_won() -> None:
    """Entries of older releases call that by another name."""
    old = msgspec.convert(
        {"decision_id": "d", "user_id": "u", "placement": "top", "at": "", "cid": "won",
         "candidates": [{"cid": "won"}, {"cid": "lost", "nbr": 510}]},
        LoggedDecision,
    )  # fmt: skip
    assert [funnel_of(cid, [old], 1.0).decisions for cid in ("won", "lost")] == [1, 0]
