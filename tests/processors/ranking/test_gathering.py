"""Candidates are what the sources that are on propose, and what rules make candidates for everybody."""

import msgspec

from processors.ranking.rules import Items, Rule
from processors.ranking.settings import RankingSettings
from processors.ranking.sources import SourceSettings
from tests.processors.ranking.shop import SHOP, home
from tests.processors.worlds import World, profile, view

TENT = {"tent": view(5.0, {"lamp": (0.9, 0.2)}), "stove": view(6.0), "lamp": view(1.0)}


def test_sources_that_are_off_propose_nothing() -> None:
    settings = RankingSettings()
    without = msgspec.structs.replace(
        settings.sources, off=("trending", "popular", "together", "related", "item_based")
    )
    (slates,), _ = World(TENT, [profile("tent")], msgspec.structs.replace(settings, sources=without)).slates()
    assert [item.item_id for item in slates] == ["tent"]


def test_what_is_included_is_a_candidate_for_everybody() -> None:
    nothing_else = SourceSettings(popular_items=0)
    settings = RankingSettings(sources=nothing_else, exploration=0.0)
    world = World(SHOP, [profile()], settings)
    assert home(world) == []
    world.rules.apply("books", Rule("include", Items(categories=("books",))))
    (item,) = world.slates()[0][0]
    assert (item.item_id, item.source, item.reasons[0].kind) == ("book", "rules", "featured")
