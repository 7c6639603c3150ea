"""Slates have the best candidates in their order, and pins at their positions."""

from hypothesis import given
from hypothesis import strategies as st

from processors.ranking.rules import Items, Rule
from processors.ranking.settings import Placement, RankingSettings
from tests.processors.ranking.shop import home, shop
from tests.processors.worlds import World, profile, random_world, touched, view

seeds = st.integers(0, 2**32)


@given(seeds)
def test_a_slate_is_as_long_as_its_size_and_what_is_published_allow(seed: int) -> None:
    world = random_world(seed)
    for placement, slates in zip(world.settings.placements, world.slates(), strict=True):
        for user, slate in zip(world.users, slates, strict=True):
            everybody = world.settings.sources.popular_items
            possible = [i for i in world.best("1", everybody) if not (placement.only_new and touched(user, i))]
            assert len(slate) >= min(placement.size, len(possible))
            assert len(slate) <= placement.size
            assert not placement.only_new or not any(touched(user, item.item_id) for item in slate)


def test_a_slate_holds_no_more_than_its_size() -> None:
    views = {f"item {n}": view(float(n)) for n in range(50)}
    settings = RankingSettings(placements=(Placement("a", size=3), Placement("b"), Placement("c", size=70)))
    slates = World(views, [profile()], settings).slates()
    assert [len(slate) for (slate,) in slates] == [3, 20, 50]


def test_a_pin_stands_at_its_position_and_the_others_move_down() -> None:
    assert home(shop(pin=Rule("pin", Items(ids=("book",)), position=2))) == ["tent", "book", "lamp", "axe", "saw"]
    assert home(shop(pin=Rule("pin", Items(ids=("tent",)), position=3))) == ["lamp", "axe", "tent", "saw", "book"]
    assert home(shop(pin=Rule("pin", Items(ids=("book",)), position=9), size=3)) == ["tent", "lamp", "axe"]
    assert home(shop(pin=Rule("pin", Items(ids=("book",)), position=1), size=3)) == ["book", "tent", "lamp"]


def test_of_two_pins_for_one_position_the_first_by_id_gets_it() -> None:
    world = shop(b=Rule("pin", Items(ids=("saw",)), position=1), a=Rule("pin", Items(ids=("book",)), position=1))
    assert home(world)[0] == "book"
    assert world.rules.conflicts == ("rules a (pin) and b (pin) both take position 1: a wins",)
