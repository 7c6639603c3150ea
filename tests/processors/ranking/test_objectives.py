"""A slate brings what the shop weighs: choices, purchases, margin, what is new."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.time import DAY_MS
from processors.items.index import ItemIndex
from processors.items.keeper import ItemKeeper
from processors.items.signals import Touch
from processors.items.state import ItemSettings, ItemState
from processors.items.view import ItemView, Listing
from processors.ranking.objectives import Objectives, purchase_values
from processors.ranking.settings import RankingSettings
from tests.processors.worlds import NOW, World, profile, random_world, view

ITEMS = ("lamp", "mat", "stove", "tent")


def order(views: dict[str, ItemView], objectives: Objectives) -> list[str]:
    """Items of a newcomer's slate, to whom all of them are equal but for the objectives."""
    settings = RankingSettings(objectives=objectives, exploration=0.0)
    home, _ = World(views, [profile()], settings).slates()
    return [item.item_id for item in home[0]]


def views() -> dict[str, ItemView]:
    return {item: view(9000.0, visits=1000, seen=(NOW - 90 * DAY_MS, NOW)) for item in ITEMS}


@given(st.integers(0, 2**32))
def test_by_default_the_learned_score_is_all_that_counts(seed: int) -> None:
    world = random_world(seed)
    weighed = msgspec.structs.replace(world.settings, objectives=Objectives(click=1.0))
    assert replace(world, settings=weighed).slates() == world.slates()


def test_what_is_bought_more_rises_with_the_weight_of_purchases() -> None:
    shop = views()
    shop["stove"] = msgspec.structs.replace(shop["stove"], purchases=90)
    shop["mat"] = msgspec.structs.replace(shop["mat"], purchases=30)
    assert order(shop, Objectives(purchase=1.0))[:2] == ["stove", "mat"]
    shop["mat"] = msgspec.structs.replace(shop["mat"], purchases=95)
    assert order(shop, Objectives(purchase=1.0))[:2] == ["mat", "stove"]


def test_an_item_with_few_visits_has_no_rate_to_speak_of() -> None:
    shop = views() | {"stove": msgspec.structs.replace(view(9000.0, visits=1), purchases=1)}
    shop["mat"] = msgspec.structs.replace(shop["mat"], purchases=300)
    index = ItemIndex(neighbours=2)
    for item, published in shop.items():
        index.apply(item, published)
    values = dict(zip(ITEMS, purchase_values(np.array(index.slots_of(list(ITEMS))), index).tolist(), strict=True))
    assert values["mat"] > values["stove"] > 0.0 > values["tent"]


def test_nothing_bought_says_nothing() -> None:
    assert order(views(), Objectives(purchase=5.0)) == order(views(), Objectives())


def test_margin_counts_where_it_is_known() -> None:
    shop = views()
    shop["mat"] = msgspec.structs.replace(shop["mat"], listing=Listing(margin=0.9))
    shop["tent"] = msgspec.structs.replace(shop["tent"], listing=Listing(margin=0.4))
    assert order(shop, Objectives(margin=3.0))[:2] == ["mat", "tent"]


def test_new_items_rise_with_the_weight_of_freshness() -> None:
    shop = views()
    shop["lamp"] = view(9000.0, visits=1000, seen=(NOW - 20 * DAY_MS, NOW))
    assert order(shop, Objectives(freshness=20.0))[0] == "lamp"


def test_without_clicks_only_the_other_ends_count() -> None:
    shop = views()
    shop["stove"] = msgspec.structs.replace(shop["stove"], trends=(9900.0, 9900.0, 9900.0))
    shop["mat"] = msgspec.structs.replace(shop["mat"], listing=Listing(margin=0.1))
    assert order(shop, Objectives())[0] == "stove"
    assert order(shop, Objectives(click=0.0, margin=1.0))[0] == "mat"


@pytest.mark.parametrize("purchased", [False, True])
def test_purchases_are_counted_and_published(purchased: bool) -> None:
    keeper, state = ItemKeeper(ItemSettings()), ItemState()
    for _ in range(3):
        keeper.touch(state, Touch(0, NOW, 1.0, purchased=purchased))
    assert keeper.view(state).purchases == 3 * purchased
