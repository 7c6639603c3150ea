"""Rules do what they say, the stronger over the weaker, and what is no rule is refused with the reason."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.topics import BROADCAST_RULES_TOPIC, DEAD_LETTERS_TOPIC, RULES_TOPIC
from processors.events.record import Record
from processors.models.state import ModelsSettings, ModelState
from processors.planes.models import ModelsPlane
from processors.ranking.rule_index import RuleIndex, decode_rule
from processors.ranking.rules import MAX_RULES, Items, Rule, conflicts, read_rule
from processors.ranking.settings import Placement, RankingSettings
from processors.ranking.sources import SourceSettings
from tests.processors.worlds import NOW, World, profile, random_world, view

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


def test_a_pin_stands_at_its_place_and_the_others_move_down() -> None:
    assert home(shop(pin=Rule("pin", Items(ids=("book",)), position=2))) == ["tent", "book", "lamp", "axe", "saw"]
    assert home(shop(pin=Rule("pin", Items(ids=("tent",)), position=3))) == ["lamp", "axe", "tent", "saw", "book"]
    assert home(shop(pin=Rule("pin", Items(ids=("book",)), position=9), size=3)) == ["tent", "lamp", "axe"]
    assert home(shop(pin=Rule("pin", Items(ids=("book",)), position=1), size=3)) == ["book", "tent", "lamp"]


def test_of_two_pins_for_one_place_the_first_by_id_gets_it() -> None:
    world = shop(b=Rule("pin", Items(ids=("saw",)), position=1), a=Rule("pin", Items(ids=("book",)), position=1))
    assert home(world)[0] == "book"
    assert world.rules.conflicts == ("rules a (pin) and b (pin) both take place 1: a wins",)


def test_what_is_excluded_cannot_be_pinned() -> None:
    world = shop(no=Rule("exclude", Items(ids=("book",))), pin=Rule("pin", Items(ids=("book",)), position=1))
    assert home(world) == ["tent", "lamp", "axe", "saw"]
    assert world.rules.conflicts == ("rules no (exclude) and pin (pin) both name book: no wins",)


def test_what_is_included_is_a_candidate_for_everybody() -> None:
    nothing_else = SourceSettings(popular_items=0)
    settings = RankingSettings(sources=nothing_else, exploration=0.0)
    world = World(SHOP, [profile()], settings)
    assert home(world) == []
    world.rules.apply("books", Rule("include", Items(categories=("books",))))
    (item,) = world.slates()[0][0]
    assert (item.item_id, item.source, item.reasons[0].kind) == ("book", "rules", "featured")


def test_a_boost_multiplies_the_odds() -> None:
    assert home(shop(up=Rule("boost", Items(ids=("book",)), factor=1000.0)))[0] == "book"
    assert home(shop(down=Rule("boost", Items(ids=("tent",)), factor=0.001)))[-1] == "tent"


def test_a_cap_bounds_each_label() -> None:
    assert home(shop(cap=Rule("cap", at_most=1, per="category"))) == ["tent", "axe", "book"]
    only_tools = Rule("cap", Items(categories=("tools",)), at_most=1, per="category")
    assert home(shop(cap=only_tools)) == ["tent", "lamp", "axe", "book"]


def test_rules_hold_where_and_when_they_say() -> None:
    here = Rule("exclude", Items(ids=("tent",)), placements=("discover",))
    world = shop(here=here)
    assert [item.item_id for item in world.slates()[0][0]] == PLAIN
    assert [item.item_id for item in world.slates()[1][0]] == PLAIN[1:]
    over = read_rule(b'{"kind":"exclude","items":{"ids":["tent"]},"ends_at":"2020-01-01T00:00:00Z"}')
    to_come = read_rule(b'{"kind":"exclude","items":{"ids":["tent"]},"starts_at":"2099-01-01T00:00:00Z"}')
    assert home(shop(over=over, to_come=to_come)) == PLAIN


def test_a_rule_can_be_withdrawn() -> None:
    world = shop(no=Rule("exclude", Items(ids=("tent",))))
    world.rules.apply("no", None)
    assert home(world) == PLAIN


def test_more_rules_than_there_may_be_are_refused() -> None:
    book = RuleIndex()
    for n in range(MAX_RULES + 3):
        book.apply(f"{n}", Rule("boost", Items(ids=("tent",)), factor=1.1))
    assert (len(book), book.refused) == (MAX_RULES, 3)
    book.apply("0", Rule("exclude", Items(ids=("tent",))))
    assert (len(book), book.refused) == (MAX_RULES, 3), "a rule that is there can change"


def test_rules_that_match_nothing_are_named() -> None:
    world = shop(toys=Rule("exclude", Items(categories=("toys",))), tools=Rule("exclude", Items(categories=("tools",))))
    assert world.rules.useless(NOW, world.index()) == ["toys"]


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


# Reading


BAD: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{", "value: "),
    "no kind": (b"{}", "missing required field `kind`"),
    "an unknown kind": (b'{"kind":"hide","items":{"ids":["a"]}}', "Invalid enum value 'hide' - at `$.kind`"),
    "an unknown field": (b'{"kind":"exclude","item":{}}', "unknown field `item`"),
    "a wrong type": (b'{"kind":"exclude","items":{"ids":"tent"}}', "Expected `array`, got `str` - at `$.items.ids`"),
    "no items": (b'{"kind":"exclude"}', "items: empty, expected something to tell items by"),
    "a pin without a place": (b'{"kind":"pin","items":{"ids":["a"]}}', "position: missing"),
    "a pin of two": (b'{"kind":"pin","items":{"ids":["a","b"]},"position":1}', "items.ids: 2 names, expected one"),
    "a place too far": (b'{"kind":"pin","items":{"ids":["a"]},"position":101}', "<= 100 - at `$.position`"),
    "a factor on a pin": (b'{"kind":"pin","items":{"ids":["a"]},"position":1,"factor":2}', "factor: 2.0, expected for"),
    "a boost of nothing": (b'{"kind":"boost","items":{"ids":["a"]},"factor":0}', "`$.factor`"),
    "a cap without a label": (b'{"kind":"cap","at_most":1}', "per: missing"),
    "a range upside down": (
        b'{"kind":"exclude","items":{"price_min":9,"price_max":1}}',
        "items.price_min: 9.0",
    ),
    "no time zone": (b'{"kind":"exclude","items":{"ids":["a"]},"ends_at":"2025-01-01T00:00:00"}', "ends_at: "),
    "over before it begins": (
        b'{"kind":"exclude","items":{"ids":["a"]},"starts_at":"2025-01-02T00:00:00Z","ends_at":"2025-01-01T00:00:00Z"}',
        "ends_at: 2025-01-01T00:00:00+00:00, expected after starts_at",
    ),
    "ignored for nothing": (
        b'{"kind":"exclude","items":{"ids":["a"]},"ignored_when_empty":true}',
        "ignored_when_empty",
    ),
}


@pytest.mark.parametrize(("raw", "said"), BAD.values(), ids=BAD)
def test_what_is_no_rule_says_why(raw: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_rule(raw)


def passed(key: bytes | None, value: bytes | None) -> tuple[str, bytes | None]:
    plane = ModelsPlane(ModelsSettings())

    def nothing_known(keys: Sequence[str], /) -> list[ModelState | None]:
        return [None for _ in keys]

    step = plane.step(nothing_known, [Record(RULES_TOPIC, 1, 7, NOW, key, value)], 1)
    (output,) = step.outputs
    assert (output.partition, output.key, step.states) == (1, key, {})
    return output.topic, output.value


def test_rules_that_make_sense_are_passed_on_and_others_become_dead_letters() -> None:
    raw = b'{"kind": "exclude", "items": {"ids": ["tent"]}}'
    topic, value = passed(b"no-tents", raw)
    assert (topic, decode_rule(value)) == (BROADCAST_RULES_TOPIC, Rule("exclude", Items(ids=("tent",))))
    assert passed(b"no-tents", None) == (BROADCAST_RULES_TOPIC, None)
    assert passed(b"no-tents", b"{}") == (DEAD_LETTERS_TOPIC, b"{}")
    for key in (None, b"", b"\xff", b"k" * 257):
        assert passed(key, raw)[0] == DEAD_LETTERS_TOPIC
    assert passed(b"huge", raw + b" " * 2**18)[0] == DEAD_LETTERS_TOPIC


def test_rules_for_different_places_do_not_contradict_each_other() -> None:
    pin = Rule("pin", Items(ids=("tent",)), position=1, placements=("home",))
    no = Rule("exclude", Items(ids=("tent",)), placements=("discover",))
    assert conflicts({"a": pin, "b": no}) == []


def test_two_allow_lists_with_nothing_in_common_contradict_each_other() -> None:
    found = conflicts({"a": Rule("only", Items(ids=("tent",))), "b": Rule("only", Items(ids=("lamp",)))})
    assert len(found) == 1
    assert "allow nothing in common" in found[0]


# Diversity


def test_diversity_mixes_categories_and_none_leaves_the_order() -> None:
    assert home(shop(diversity=0.0)) == PLAIN
    mixed = home(shop(diversity=1.0))
    assert sorted(mixed) == sorted(PLAIN)
    assert SHOP[mixed[0]].category != SHOP[mixed[1]].category
