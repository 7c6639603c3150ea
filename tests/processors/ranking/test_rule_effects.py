"""Rules do what they say, the stronger over the weaker."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.ranking.rules import Items, Rule, read_rule
from tests.processors.ranking.shop import PLAIN, home, shop
from tests.processors.worlds import profile, random_world


def test_without_rules_the_order_is_that_of_the_scores() -> None:
    assert home(shop()) == PLAIN


@pytest.mark.parametrize(
    ("items", "left"),
    [
        (Items(ids=("tent", "gone")), ["lamp", "axe", "saw", "book"]),
        (Items(categories=("camping", "books")), ["axe", "saw"]),
        (Items(price_min=15.0), ["saw", "book"]),
        (Items(price_max=15.0), ["tent", "lamp", "axe", "saw"]),
        (Items(price_min=15.0, categories=("tools",)), ["tent", "lamp", "saw", "book"]),
        (Items(newer_than_days=30.0), ["axe"]),
        (Items(older_than_days=30.0), ["tent", "lamp", "saw", "book"]),
        (Items(brands=("unknown",)), PLAIN),
    ],
)
def test_what_is_excluded_is_not_shown(items: Items, left: list[str]) -> None:
    assert home(shop(no=Rule("exclude", items))) == left


def test_what_somebody_bought_can_be_left_out_for_them_alone() -> None:
    buyer, other = profile("lamp", actions=["purchase"]), profile("lamp", actions=["view"])
    world = shop(buyer, other, bought=Rule("exclude", Items(bought=True)))
    assert ("lamp" in home(world, 0), "lamp" in home(world, 1)) == (False, True)


def test_an_allow_list_shows_nothing_else() -> None:
    assert home(shop(only=Rule("only", Items(categories=("tools",))))) == ["axe", "saw"]


def test_an_allow_list_of_nothing_leaves_the_slate_empty_or_is_ignored_and_counted() -> None:
    strict = Rule("only", Items(categories=("toys",)))
    assert home(shop(strict=strict)) == []
    assert home(shop(lax=msgspec.structs.replace(strict, ignored_when_empty=True))) == PLAIN
    world = shop(lax=msgspec.structs.replace(strict, ignored_when_empty=True))
    assert [part.ignored for part in world.ranked()] == [{"lax": 1}, {"lax": 1}]


def test_what_an_expert_allows_nothing_overrides() -> None:
    world = shop(
        expert=Rule("expert_only", Items(ids=("axe", "book"))),
        no_books=Rule("exclude", Items(categories=("books",))),
        pin=Rule("pin", Items(ids=("tent",)), position=1),
    )
    assert home(world) == ["axe", "book"]


def test_what_is_excluded_cannot_be_pinned() -> None:
    world = shop(no=Rule("exclude", Items(ids=("book",))), pin=Rule("pin", Items(ids=("book",)), position=1))
    assert home(world) == ["tent", "lamp", "axe", "saw"]
    assert world.rules.conflicts == ("rules no (exclude) and pin (pin) both name book: no wins",)


def test_a_boost_multiplies_the_odds() -> None:
    assert home(shop(up=Rule("boost", Items(ids=("book",)), factor=1000.0)))[0] == "book"
    assert home(shop(down=Rule("boost", Items(ids=("tent",)), factor=0.001)))[-1] == "tent"


def test_rules_hold_where_and_when_they_say() -> None:
    here = Rule("exclude", Items(ids=("tent",)), placements=("discover",))
    world = shop(here=here)
    assert [item.item_id for item in world.slates()[0][0]] == PLAIN
    assert [item.item_id for item in world.slates()[1][0]] == PLAIN[1:]
    over = read_rule(b'{"kind":"exclude","items":{"ids":["tent"]},"ends_at":"2020-01-01T00:00:00Z"}')
    to_come = read_rule(b'{"kind":"exclude","items":{"ids":["tent"]},"starts_at":"2099-01-01T00:00:00Z"}')
    assert home(shop(over=over, to_come=to_come)) == PLAIN


@pytest.mark.unmeasured
@given(st.integers(0, 2**32))
def test_removed_items_are_in_no_slate_whoever_is_ranked_with_whom(seed: int) -> None:
    random = np.random.default_rng(seed)
    world = random_world(seed)
    names = sorted(world.known())
    banned = tuple(str(name) for name in random.permutation(names)[: len(names) // 3])
    if banned:
        world.rules.apply("banned", Rule("exclude", Items(ids=banned)))
    world.rules.apply("capped", Rule("cap", at_most=2, per="category"))
    slates = world.slates()
    for of_placement in slates:
        for slate in of_placement:
            assert not {item.item_id for item in slate} & set(banned)
            labels = [world.views[i.item_id].category for i in slate if i.item_id in world.views]
            assert all(labels.count(label) <= 2 for label in set(labels) - {None})
    alone = [replace(world, users=[user]).slates() for user in world.users]
    assert slates == [[found[n][0] for found in alone] for n in range(2)]
