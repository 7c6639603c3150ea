"""Each stage that can end an item's way is named, and only when it did."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.ranking.pipeline import RankingPipeline
from processors.ranking.rules import Items, Rule
from processors.ranking.settings import Placement, RankingSettings
from processors.ranking.slate import SlateItem
from processors.ranking.sources import ALL, SourceSettings
from processors.ranking.why_not import WhyNot, why_not
from streams.engine.driver import TopologyDriver
from tests.processors.catalogues import listed
from tests.processors.worlds import NOW, World, profile, random_world, view

SHOP = {f"item {n}": view(float(n), category="tools") for n in range(9)}
SETTINGS = RankingSettings(
    placements=(Placement("home", size=3), Placement("discover", only_new=True, size=3)), exploration=0.0
)


def asked(world: World, item: str, user: int = 0) -> list[WhyNot]:
    ranker = RankingPipeline(world.settings)
    return why_not(ranker, world.users[user], item, world.read(ranker.features), NOW)


def stages(item: str, *, rule: Rule | None = None, settings: RankingSettings = SETTINGS) -> list[str]:
    world = World(SHOP, [profile("item 8")], settings)
    if rule is not None:
        world.rules.apply("the-rule", rule)
    return [part.stage for part in asked(world, item)]


def test_every_stage_is_named() -> None:
    assert stages("nowhere") == ["unknown", "unknown"]
    assert stages("item 8") == ["shown", "touched"]
    assert stages("item 0") == ["rank", "rank"]
    assert stages("item 7", rule=Rule("exclude", Items(ids=("item 7",)))) == ["rules", "rules"]


def test_what_nobody_proposes_is_named() -> None:
    world = World(SHOP, [profile()])
    world.settings = RankingSettings(
        placements=SETTINGS.placements,
        sources=SourceSettings(popular_items=2, off=("fresh", "popular")),
        exploration=0.0,
    )
    assert [part.stage for part in asked(world, "item 0")] == ["gather", "gather"]


def test_the_text_names_rule_position_and_number() -> None:
    world = World(SHOP, [profile("item 8")], SETTINGS)
    assert asked(world, "item 0")[1].text == "its score puts it at position 8 of 8 candidates: others rank higher"
    world.rules.apply("no-zero", Rule("exclude", Items(ids=("item 0",))))
    assert asked(world, "item 0")[0].text == "rule no-zero removes it"


@pytest.mark.unmeasured
@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32))
def test_what_is_said_to_be_shown_is_shown(seed: int) -> None:
    world = random_world(seed)
    slates = world.slates()
    for user in range(len(world.users)):
        for item in sorted(world.known())[:6]:
            for placement, part in enumerate(asked(world, item, user)):
                slate = [shown.item_id for shown in slates[placement][user]]
                assert (part.stage == "shown") == (item in slate)
                if part.stage == "shown":
                    assert part.text == f"it is in the slate, at position {slate.index(item) + 1}"


def test_the_driver_answers() -> None:
    driver = TopologyDriver()
    value = b'{"event_id":"e","user_id":"u","item_id":"tent","timestamp":1700000000000}'
    driver.pipe("events.click.v1", b"u", value, 1_700_000_000_000)
    assert [part.stage for part in driver.why_not("u", "tent")] == ["shown", "touched"]
    assert [part.stage for part in driver.why_not("u", "lamp")] == ["unknown", "unknown"]
    with pytest.raises(AttributeError):
        driver.why_not("u", "tent")[0].stage = "x"  # type: ignore[misc]


TOOLS = {f"{kind} {n}": view(10.0 - n, category=kind) for kind in ("saw", "axe") for n in range(6)}


def said(world: World, item: str) -> tuple[str, str]:
    answer = asked(world, item)[0]
    return answer.stage, answer.text


def shop(*, size: int = 3, diversity: float = 0.0, exploration: float = 0.0, **rules: Rule) -> World:
    world = World(
        TOOLS,
        [profile()],
        RankingSettings(
            placements=(Placement("home", size=size),), exploration=exploration, diversity=diversity, new_item_days=1e4
        ),
    )
    for name, rule in rules.items():
        world.rules.apply(name, rule)
    return world


def above(slate: list[SlateItem], item: str) -> list[str]:
    """Return the items that rank above one in a slate that is neither spread nor capped."""
    names = [other.item_id for other in slate]
    return names[: names.index(item)] if item in names else []


def category_of(world: World, item: str) -> str | None:
    return world.views[item].category if item in world.views else None


def slate(world: World) -> list[str]:
    return [item.item_id for item in world.slates()[0][0]]


def test_a_cap_that_keeps_an_item_out_is_named_and_not_its_rank() -> None:
    capped = shop(cap=Rule("cap", at_most=1, per="category"))
    plain = slate(shop())
    out = next(item for item in plain if item not in slate(capped))
    assert said(capped, out) == (
        "spread",
        "rule cap shows at most 1 of a category, and others of its category are shown",
    )


def test_diversity_that_keeps_an_item_out_is_named() -> None:
    only_saws = {name: published for name, published in TOOLS.items() if name.startswith("saw")}
    world = shop(diversity=1.0)
    world.views = {**only_saws, "axe 5": TOOLS["axe 5"]}
    assert "axe 5" in slate(world)
    assert "saw 2" not in slate(world)
    assert said(world, "saw 2") == (
        "spread",
        "others of its category are shown, and diversity has categories take turns",
    )
    assert said(world, "saw 5")[0] == "spread"


def test_an_item_that_rank_alone_keeps_out_gets_its_position_although_there_are_caps() -> None:
    world = shop(cap=Rule("cap", at_most=2, per="category"), size=2)
    assert said(world, "saw 5")[0] == "rank"


def test_a_slate_that_caps_leave_short_names_the_cap_even_for_the_last() -> None:
    world = shop(cap=Rule("cap", at_most=1, per="category"), size=12)
    assert len(slate(world)) == 2
    assert said(world, "saw 5") == (
        "spread",
        "rule cap shows at most 1 of a category, and others of its category are shown",
    )


def test_a_pin_that_pushes_an_item_out_is_named() -> None:
    last = slate(shop())[-1]
    world = shop(pin=Rule("pin", Items(ids=("axe 5",)), position=1))
    assert slate(world)[0] == "axe 5"
    assert said(world, last) == ("pins", "it stood at the end of the slate, and what is pinned by pin pushed it out")


def test_a_new_item_that_takes_the_position_is_named() -> None:
    world = shop(exploration=1.0)
    shown, best = slate(world), slate(shop())
    (gone,) = set(best) - set(shown)
    assert said(world, gone) == (
        "explore",
        "its position went to a new item, which is shown so that it becomes known",
    )


@pytest.mark.unmeasured
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(0, 3), st.sampled_from([0.0, 0.4]))
def test_what_is_said_of_a_cap_can_be_recomputed(seed: int, at_most: int, diversity: float) -> None:
    world = random_world(seed)
    world.settings = RankingSettings(
        placements=(Placement("home", size=4),), exploration=0.0, diversity=diversity, sources=world.settings.sources
    )
    without = world.slates()[0]
    world.rules.apply("cap", Rule("cap", at_most=at_most, per="category"))
    capped = world.slates()[0]
    for user in range(len(world.users)):
        shown = {item.item_id for item in capped[user]}
        for item in sorted(world.known())[:12]:
            (part,) = asked(world, item, user)
            assert (part.stage == "shown") == (item in shown)
            if part.stage == "spread" and not diversity:
                assert part.text.startswith("rule cap shows") or "candidates that rank highest" in part.text
            if part.stage == "spread":
                assert len(shown) < 4 or not shown <= set(above(without[user], item)), "only its rank kept it out"
            if part.text.startswith("rule cap shows"):
                assert category_of(world, item) is not None
                category = category_of(world, item)
                assert len([other for other in shown if category_of(world, other) == category]) == at_most
            if part.stage == "rank":
                scores = [other.score for other in capped[user]]
                assert len(scores) == 4, "rank is no answer where positions are free"


def test_what_is_not_available_is_told_so_whether_a_source_proposes_it_or_not() -> None:
    world = World({**SHOP, "item 0": listed("tools", available=False)}, [profile("item 8")], SETTINGS)
    told_of = {part.text for part in asked(world, "item 0")}
    assert told_of == {"the catalogue says that it is not available"}
    world.settings = RankingSettings(
        placements=SETTINGS.placements, exploration=0.0, sources=SourceSettings(off=(*NOT_HISTORY,))
    )
    assert [(part.stage, part.text) for part in asked(world, "item 0")] == [
        ("availability", "the catalogue says that it is not available")
    ] * 2


NOT_HISTORY = [source.name for source in ALL if source.name != "recent"]


def test_only_pins_that_brought_an_item_in_are_named() -> None:
    last = slate(shop())[-1]
    world = shop(
        first=Rule("pin", Items(ids=("axe 5",)), position=1),
        known=Rule("pin", Items(ids=(slate(shop())[0],)), position=2),
        beyond=Rule("pin", Items(ids=("saw 5",)), position=9),
    )
    assert said(world, last)[1] == "it stood at the end of the slate, and what is pinned by first pushed it out"


def test_a_cap_of_none_says_that_it_shows_none() -> None:
    world = shop(cap=Rule("cap", Items(categories=("saw",)), at_most=0, per="category"))
    assert said(world, "saw 0") == ("spread", "rule cap shows none of its category")
    assert said(world, "axe 5")[0] == "rank", "the cap is not about it"


def test_every_item_behind_a_cap_is_told_of_the_cap() -> None:
    world = shop(cap=Rule("cap", at_most=1, per="category"), size=5)
    stages = {said(world, name)[0] for name in TOOLS}
    texts = {said(world, name)[1] for name in TOOLS if said(world, name)[0] == "spread"}
    assert stages == {"shown", "spread"}
    assert texts == {"rule cap shows at most 1 of a category, and others of its category are shown"}
