"""Caps bound what a slate has of a label, and diversity has categories take turns."""

from processors.ranking.rules import Items, Rule
from tests.processors.ranking.shop import PLAIN, SHOP, home, shop


def test_a_cap_bounds_each_label() -> None:
    assert home(shop(cap=Rule("cap", at_most=1, per="category"))) == ["tent", "axe", "book"]
    only_tools = Rule("cap", Items(categories=("tools",)), at_most=1, per="category")
    assert home(shop(cap=only_tools)) == ["tent", "lamp", "axe", "book"]


def test_diversity_mixes_categories_and_none_leaves_the_order() -> None:
    assert home(shop(diversity=0.0)) == PLAIN
    mixed = home(shop(diversity=1.0))
    assert sorted(mixed) == sorted(PLAIN)
    assert SHOP[mixed[0]].category != SHOP[mixed[1]].category
