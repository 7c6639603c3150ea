"""A small shop whose items have one order without rules."""

from typing import Any

from processors.ranking.rules import Rule
from processors.ranking.settings import Placement, RankingSettings
from tests.processors.worlds import NOW, World, profile, view

DAY = 86_400_000
SHOP = {
    "tent": view(9.0, {"lamp": (0.6, 0.0), "axe": (0.4, 0.0)}, category="camping", price=200.0),
    "lamp": view(8.0, category="camping", price=20.0),
    "axe": view(7.0, category="tools", price=50.0, seen=(NOW - 100 * DAY, NOW)),
    "saw": view(6.0, category="tools"),
    "book": view(5.0, category="books", price=10.0),
}


def shop(*users: Any, diversity: float = 0.0, size: int = 20, **rules: Rule) -> World:
    settings = RankingSettings(
        placements=(Placement("home", size=size), Placement("discover", only_new=True, size=size)),
        exploration=0.0,
        diversity=diversity,
    )
    world = World(SHOP, list(users) or [profile()], settings)
    for name, rule in rules.items():
        world.rules.apply(name, rule)
    return world


def home(world: World, user: int = 0) -> list[str]:
    return [item.item_id for item in world.slates()[0][user]]


PLAIN = ["tent", "lamp", "axe", "saw", "book"]
