"""Each stage that can end an item's way is named, and only when it did."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.ranking.pipeline import RankingPipeline
from processors.ranking.rules import Items, Rule
from processors.ranking.settings import Placement, RankingSettings
from processors.ranking.sources import SourceSettings
from processors.ranking.why_not import WhyNot
from streams.engine.driver import TopologyDriver
from tests.processors.worlds import NOW, World, profile, random_world, view

SHOP = {f"item {n}": view(float(n), category="tools") for n in range(9)}
SETTINGS = RankingSettings(
    placements=(Placement("home", size=3), Placement("discover", only_new=True, size=3)), exploration=0.0
)


def asked(world: World, item: str, user: int = 0) -> list[WhyNot]:
    ranker = RankingPipeline(world.settings)
    return ranker.why_not(world.users[user], item, world.read(ranker.features), NOW)


def stages(item: str, *, rule: Rule | None = None, settings: RankingSettings = SETTINGS) -> list[str]:
    world = World(SHOP, [profile("item 8")], settings)
    if rule is not None:
        world.rules.apply("the-rule", rule)
    return [part.stage for part in asked(world, item)]


def test_every_stage_is_named() -> None:
    assert stages("nowhere") == ["unknown", "unknown"]
    assert stages("item 8") == ["shown", "touched"]
    assert stages("item 0") == ["rank", "rank"]
    assert stages("item 7", rule=Rule("exclude", Items(ids=("item 7",)))) == ["rule", "rule"]


def test_what_nobody_proposes_is_named() -> None:
    world = World(SHOP, [profile()])
    world.settings = RankingSettings(
        placements=SETTINGS.placements,
        sources=SourceSettings(popular_items=2, off=("fresh", "popular")),
        exploration=0.0,
    )
    assert [part.stage for part in asked(world, "item 0")] == ["not_proposed", "not_proposed"]


def test_the_text_names_rule_place_and_number() -> None:
    world = World(SHOP, [profile("item 8")], SETTINGS)
    assert asked(world, "item 0")[1].text == "its score puts it at place 8 of 8 candidates: others rank higher"
    world.rules.apply("no-zero", Rule("exclude", Items(ids=("item 0",))))
    assert asked(world, "item 0")[0].text == "rule no-zero removes it"


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_what_is_said_to_be_shown_is_shown(seed: int) -> None:
    world = random_world(seed)
    slates = world.slates()
    for user in range(len(world.users)):
        for item in sorted(world.known())[:6]:
            for placement, part in enumerate(asked(world, item, user)):
                slate = [place.item_id for place in slates[placement][user]]
                assert (part.stage == "shown") == (item in slate)
                if part.stage == "shown":
                    assert part.text == f"it is in the slate, at place {slate.index(item) + 1}"


def test_the_driver_answers() -> None:
    driver = TopologyDriver()
    value = b'{"event_id":"e","user_id":"u","item_id":"tent","timestamp":1700000000000}'
    driver.pipe("events.click.v1", b"u", value, 1_700_000_000_000)
    assert [part.stage for part in driver.why_not("u", "tent")] == ["shown", "touched"]
    assert [part.stage for part in driver.why_not("u", "lamp")] == ["unknown", "unknown"]
    with pytest.raises(AttributeError):
        driver.why_not("u", "tent")[0].stage = "x"  # type: ignore[misc]
