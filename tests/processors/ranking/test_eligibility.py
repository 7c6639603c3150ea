"""Limits of age and region stand above everything else that shapes a slate."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.time import DAY_MS
from processors.events.event import Event
from processors.events.reader import RecordReader
from processors.events.repair import IntakeSettings
from processors.items.view import Listing
from processors.ranking.eligibility import Unknown
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.rule_index import RuleIndex
from processors.ranking.rules import Items, Rule
from processors.ranking.settings import RankingSettings
from processors.ranking.why_not import why_not
from processors.users.profile import Profile
from processors.users.profile_keeper import ProfileKeeper
from processors.users.settings import ProfileSettings
from tests.processors.worlds import NOW, World, profile, random_world, view

ITEMS = ("lamp", "tent", "wine")


def shown(
    user: Profile, limits: Mapping[str, Listing], unknown: Unknown = "hide", rules: RuleIndex | None = None
) -> list[set[str]]:
    """What each placement shows a user, of three items of which some are limited and everything else is alike."""
    settings = RankingSettings(unknown_limits=unknown, exploration=1.0)
    return [{item.item_id for item in part[0]} for part in world(user, limits, settings, rules).slates()]


def world(user: Profile, limits: Mapping[str, Listing], settings: RankingSettings, rules: RuleIndex | None) -> World:
    views = {item: view(9000.0, seen=(NOW - DAY_MS, NOW)) for item in ITEMS}
    views |= {item: msgspec.structs.replace(views[item], listing=listing) for item, listing in limits.items()}
    return World(views, [user], settings, rules or RuleIndex())


def user(age: int | None = None, context: dict[str, str] | None = None) -> Profile:
    known = profile()
    known.age, known.context = age, context or {}
    return known


@pytest.mark.parametrize(
    ("age", "unknown", "expected"),
    [(17, "hide", False), (18, "hide", True), (None, "hide", False), (None, "show", True), (17, "show", False)],
)
def test_an_item_for_adults_is_shown_to_those_known_to_be_of_age(
    age: int | None, unknown: Unknown, expected: bool
) -> None:
    for part in shown(user(age), {"wine": Listing(min_age=18)}, unknown):
        assert ("wine" in part) is expected
        assert {"lamp", "tent"} <= part


@pytest.mark.parametrize(
    ("context", "unknown", "expected"),
    [
        ({"country": "DE"}, "hide", True),
        ({"country": "de"}, "hide", True),
        ({"country": "FR"}, "hide", False),
        ({"country": "FR", "region": "Tyrol"}, "hide", True),
        ({"country": "FR", "city": "tyrol"}, "hide", True),
        ({"device": "DE"}, "hide", False),
        ({}, "hide", False),
        ({}, "show", True),
        ({"country": "FR"}, "show", False),
    ],
)
def test_an_item_for_some_regions_is_shown_to_those_known_to_be_there(
    context: dict[str, str], unknown: Unknown, expected: bool
) -> None:
    for part in shown(user(context=context), {"tent": Listing(regions=("DE", "Tyrol"))}, unknown):
        assert ("tent" in part) is expected
        assert {"lamp", "wine"} <= part


@pytest.mark.parametrize(
    "rule",
    [
        Rule("pin", Items(ids=("wine",)), position=1),
        Rule("include", Items(ids=("wine",))),
        Rule("expert_only", Items(ids=("wine",))),
        Rule("boost", Items(ids=("wine",)), factor=1e6),
    ],
)
def test_no_rule_of_the_shop_overrides_a_limit(rule: Rule) -> None:
    rules = RuleIndex()
    rules.apply("rule", rule)
    limits = {"wine": Listing(min_age=18)}
    assert all("wine" not in part for part in shown(user(12), limits, rules=rules))
    assert all("wine" in part for part in shown(user(30), limits, rules=rules))


def test_why_not_names_the_limit() -> None:
    settings = RankingSettings()
    made = world(user(12), {"wine": Listing(min_age=18)}, settings, None)
    ranker = RankingPipeline(settings)
    answers = why_not(ranker, made.users[0], "wine", made.read(ranker.features), NOW)
    assert [answer.stage for answer in answers] == ["limits", "limits"]


def test_a_limit_ends_when_the_catalogue_lifts_it() -> None:
    made = world(user(), {"wine": Listing(min_age=18, regions=("DE",))}, RankingSettings(), None)
    index = made.index()
    assert len(index.attributes.limited) == 1
    index.apply("wine", msgspec.structs.replace(made.views["wine"], listing=Listing()))
    assert not index.attributes.limited
    index.apply("wine", made.views["wine"])
    index.apply("wine", None)
    assert not index.attributes.limited


def event(n: int, time_ms: int = NOW, **fields: Any) -> Event:
    raw = {"event_id": f"e{n}", "user_id": "u", "item_id": "tent", "timestamp": time_ms, **fields}
    found = RecordReader(IntakeSettings()).read(msgspec.json.encode(raw), "click", NOW)
    assert isinstance(found, Event)
    return found


def test_a_profile_knows_what_was_said_last() -> None:
    keeper, known = ProfileKeeper(ProfileSettings()), Profile()
    keeper.learn(known, event(1, age=30, channel="app", context={"country": "DE", "city": "Kiel", "page": "p" * 100}))
    keeper.learn(known, event(2, NOW + 1, context={"country": "AT"}))
    keeper.learn(known, event(3, NOW - 5000, age=7, context={"country": "FR"}))
    assert known.age == 30
    assert known.context == {"country": "AT", "page": "p" * 64, "channel": "app"}


@pytest.mark.parametrize(
    ("given_age", "age", "repairs"),
    [
        (0, 0, ()),
        (150, 150, ()),
        ("44", 44, ("age:text_to_number",)),
        (17.9, 17, ("age:rounded_down",)),
        (151, None, ("age:dropped",)),
        (-1, None, ("age:dropped",)),
        ("old", None, ("age:dropped",)),
        ([], None, ("age:dropped",)),
    ],
)
def test_an_age_that_cannot_be_is_left_out(given_age: object, age: int | None, repairs: tuple[str, ...]) -> None:
    found = event(1, age=given_age)
    assert (found.age, found.repairs) == (age, repairs)


def test_an_allow_list_of_items_that_may_not_be_shown_is_an_empty_one() -> None:
    rules = RuleIndex()
    rules.apply("wine-only", Rule("only", Items(ids=("wine",)), ignored_when_empty=True))
    limits = {"wine": Listing(min_age=18)}
    assert shown(user(20), limits, rules=rules) == [{"wine"}, {"wine"}]
    for part in shown(user(17), limits, rules=rules):
        assert part == {"lamp", "tent"}
    for part in shown(user(20), {"wine": Listing(available=False)}, rules=rules):
        assert part == {"lamp", "tent"}


touches = st.lists(st.tuples(st.integers(0, 30), st.integers(-(10**8), 10**8)), max_size=60)


@given(touches, st.integers(0, 2**32))
def test_discover_never_shows_what_the_user_has_touched_however_long_ago(
    touches: list[tuple[int, int]], seed: int
) -> None:
    keeper, user = ProfileKeeper(ProfileSettings(recent_items=3)), Profile()
    for n, (item, time_ms) in enumerate(touches):
        keeper.learn(
            user,
            Event(
                event_id=f"e{n}",
                user_id="u",
                item_id=f"item {item}",
                time_ms=NOW + time_ms,
                kind="click",
                action="view",
            ),
        )
    _, (discover,) = World(random_world(seed).views, [user]).slates()
    assert {item.item_id for item in discover} & {f"item {item}" for item, _ in touches} == set()
