"""A logged decision in words."""

from streams.operations.why import in_words
from tests.processors.ads.shop import Shop, campaign


def words(**rival: object) -> list[str]:
    shop = Shop(log_losers=1.0, floor=100.0)
    shop.put("c", campaign())
    shop.put("rival", campaign(**rival))
    shop.ask("ada")
    return list(in_words(shop.read("decision-log.v1")[-1]))


def test_who_won_and_why_the_others_did_not() -> None:
    head, shown, *others = words(bid=500.0)
    assert head == "ada at top, 2023-11-14T22:13:21.000Z"
    assert shown.startswith("shown: c with a, at 500.0 a thousand impressions; click ")
    assert [line.split() for line in others] == [
        ["c", "worth", "1000.0000", "a", "thousand", "impressions,", "won"],
        ["rival", "worth", "500.0000", "a", "thousand", "impressions,", "another", "one", "is", "worth", "more"],
    ]


def test_what_a_click_costs() -> None:
    shop = Shop(floor=10.0)
    shop.put("c", campaign(model="cpc", bid=50.0))
    charge = shop.ask("ada")["charge"]
    shown = list(in_words(shop.read("decision-log.v1")[-1]))[1]
    assert f", at 10.0 a thousand impressions, {charge} a click; " in shown


def test_what_older_releases_logged_is_told_as_they_meant_it() -> None:
    old = {"user_id": "ada", "placement": "top", "at": "then", "cid": "c", "crid": "a", "price": 0.31, "model": "cpc",
           "p_click": 0.1, "propensity": 1.0, "candidates": [{"cid": "c"}, {"cid": "rival", "nbr": 510}]}  # fmt: skip
    _, shown, won, lost = in_words(old)
    assert shown.startswith("shown: c with a, at 0.31 a click; ")
    assert won.endswith("won")
    assert lost.endswith("another one is worth more")


def test_why_a_campaign_had_no_part() -> None:
    assert words(paused=True)[-1].endswith("paused, not begun or over")
    assert words(bid=1.0)[-1].endswith("what it is worth is below the floor")


def test_that_nothing_is_shown() -> None:
    shop = Shop()
    shop.put("c", campaign(target={"devices": ["tablet"]}))
    shop.ask("ada", device="phone")
    lines = list(in_words(shop.read("decision-log.v1")[-1]))
    assert lines[1] == "nothing shown: the user or the moment is not what it is for"


def test_that_others_are_not_logged() -> None:
    shop = Shop(log_losers=0.0)
    for n in range(3):
        shop.put(f"c{n}", campaign())
    shop.ask("ada")
    lines = list(in_words(shop.read("decision-log.v1")[-1]))
    assert lines[-1].endswith("3 campaigns could have taken part; this decision is not among those logged in full")
