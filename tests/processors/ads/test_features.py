"""What the click model knows of an impression."""

from typing import Any

import numpy as np
import pytest

from processors.ads.campaign import Campaign, Creative
from processors.ads.campaign_index import CampaignIndex
from processors.ads.campaign_view import CampaignView
from processors.ads.features import FEATURES, Facts, habit_step, recency_step, share_step
from processors.ads.opportunity import Opportunity
from processors.common.time import DAY_MS
from processors.models.click_model import MAX_FEATURES, ClickModel, sigmoid
from processors.users.ad_history import CampaignImpressions
from processors.users.category_visits import CategoryVisits
from processors.users.profile import Profile
from tests.processors.ads.batches import batch

NOW = 1_700_000_000_000


def campaigns_for(**categories: tuple[str | None, ...]) -> CampaignIndex:
    """A campaign per name, with a creative per category."""
    found = CampaignIndex()
    for cid, promoted in categories.items():
        creatives = tuple(
            Creative(f"{n}", "", "https://shop.example/", category=name) for n, name in enumerate(promoted)
        )
        found.apply(cid, CampaignView(Campaign("shop", creatives, 1.0, 1.0)))
    return found


def shopper(share: float, last_ms: int, visits: int, sessions: int = 8) -> Profile:
    """Somebody interested in tents and lamps."""
    weights = {"tents": share, "lamps": 1.0 - share}
    return Profile(categories=weights, sessions=sessions, category_visits={"tents": CategoryVisits(last_ms, visits)})


def moment(profile: Profile, name: str = "d") -> Opportunity:
    return Opportunity(name, "u", profile, NOW, "top", {"device": "phone"})


def features_by_creative(found: CampaignIndex, *profiles: Profile) -> list[set[int]]:
    """Features of every creative, for the first profile and then the next."""
    columns = found.columns
    creatives = np.arange(len(columns.creatives.all))
    owners = np.repeat(np.arange(len(columns.cids)), np.diff(columns.creatives.begins))
    rows = np.repeat(np.arange(len(profiles)), len(creatives))
    moments = [moment(profile) for profile in profiles]
    facts = Facts.of(moments, found.columns)
    features = facts.features(rows, np.tile(owners, len(profiles)), np.tile(creatives, len(profiles)))
    assert features.shape[1] == FEATURES <= MAX_FEATURES
    return [set(row) for row in features.tolist()]


USUAL: dict[str, Any] = {"share": 0.25, "last_ms": NOW - DAY_MS, "visits": 4}


@pytest.mark.parametrize(
    "other", [{"share": 0.05}, {"last_ms": NOW - 9 * DAY_MS}, {"visits": 2}, {"sessions": 32}], ids=str
)
def test_how_an_ad_suits_a_user_follows_from_share_habit_and_recency(other: dict[str, Any]) -> None:
    tents, books = features_by_creative(campaigns_for(a=("tents",), b=("books",)), shopper(**USUAL))
    tents_then, books_then = features_by_creative(
        campaigns_for(a=("tents",), b=("books",)), shopper(**{**USUAL, **other})
    )
    assert (tents == tents_then, books == books_then) == (False, True)


def test_a_campaign_that_was_shown_often_today_differs_from_one_that_was_not() -> None:
    often = shopper(**USUAL)
    often.ads.impressions["b"] = CampaignImpressions("shop", [NOW - 1000, NOW - 500])
    both = campaigns_for(a=("tents",), b=("tents",))
    (a, b), (a_then, b_then) = features_by_creative(both, shopper(**USUAL)), features_by_creative(both, often)
    assert (a == a_then, b == b_then) == (True, False)


def test_campaigns_that_suit_alike_share_what_they_learn_of_it() -> None:
    tents, others, books = features_by_creative(
        campaigns_for(a=("tents",), b=("tents",), c=("books",)), shopper(**USUAL)
    )
    assert len(tents & others) > len(tents & books) > 0
    assert tents != others


def test_a_creative_counts_only_where_there_is_a_choice() -> None:
    first, second = features_by_creative(campaigns_for(a=("tents", "tents")), shopper(**USUAL))
    (single,) = features_by_creative(campaigns_for(a=("tents",)), shopper(**USUAL))
    assert len(first - second) == len(first - single) == 3


def test_an_ad_of_no_category_is_not_taken_for_one_that_nobody_likes() -> None:
    of_none, of_books = features_by_creative(campaigns_for(a=(None, "books")), shopper(**USUAL))
    of_other_books, _ = features_by_creative(campaigns_for(a=("books", "books")), shopper(**USUAL))
    assert len(of_none - of_other_books) > len(of_books - of_other_books)


def test_it_makes_no_difference_what_else_is_asked_for() -> None:
    shoppers = [shopper(share, NOW - days * DAY_MS, 3) for share, days in ((0.1, 1), (0.9, 40), (0.4, 7))]
    many = campaigns_for(a=("tents", "lamps"), b=(None,), c=("books",))
    assert features_by_creative(many, *shoppers) == [
        found for each in shoppers for found in features_by_creative(many, each)
    ]


def test_the_model_learns_who_comes_back_and_carries_it_to_a_new_campaign() -> None:
    table = ClickModel()
    regular, once = shopper(0.5, NOW - 7 * DAY_MS, 8), shopper(0.5, NOW - 200 * DAY_MS, 1)
    for _ in range(40):
        for features, clicked in zip(
            features_by_creative(campaigns_for(a=("tents",)), regular, once), (True, False), strict=True
        ):
            expected = float(table.probability(np.array([sorted(features)]))[0])
            table.learn(sorted(features), expected - clicked)
    likely, unlikely = (
        float(table.probability(np.array([sorted(features)]))[0])
        for features in features_by_creative(campaigns_for(new=("tents",)), regular, once)
    )
    assert likely > 5 * unlikely


def test_what_creatives_share_is_added_up_to_the_same_score() -> None:
    """Features in one sum against the sums of their groups."""
    for one in map(batch, range(30)):
        columns = one.index.columns
        if columns.unapproved.any():
            continue
        rows, campaigns = np.nonzero(np.ones((len(one.opportunities), len(columns.cids))))
        groups = np.arange(len(rows))
        creatives = columns.creatives.begins[campaigns + 1] - 1
        facts = Facts.of(one.opportunities, columns)
        logits, spread = facts.scored(one.clicks, rows, campaigns, groups, creatives)
        features = facts.features(rows, campaigns, creatives)
        assert sigmoid(logits) == pytest.approx(one.clicks.probability(features), rel=1e-12)
        variances = (1.0 / (one.clicks.squares[features] + 0.5)).sum(axis=1)
        assert spread == pytest.approx(0.05 * 3.0 * np.sqrt(variances), rel=1e-12)


def test_steps_rise_and_hold_at_both_ends() -> None:
    shares = np.array([0.0, 1e-300, 1e-3, 0.01, 0.2, 1.0])
    hours = np.array([0.0, 3.0, 24.0, 24 * 30.0, 1e12])
    for steps, most in ((share_step(shares), 8), (habit_step(shares), 17), (recency_step(hours), 13)):
        assert (np.diff(steps) >= 0).all()
        assert steps[-1] == most
    assert (share_step(shares)[:2].tolist(), habit_step(shares)[:2].tolist()) == ([0, 1], [0, 1])
