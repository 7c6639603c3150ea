"""Reasons are true: what they say is recomputed here from the views and the profile, without the ranker."""

import re
from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.common.errors import ConfigurationError
from processors.items.view import Listing
from processors.models.context_popularity import ContextView
from processors.planes.users_settings import UsersSettings
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.reason_kinds import KINDS
from processors.ranking.reason_texts import ReasonTexts
from processors.ranking.reasons import Reason, reason_of
from processors.ranking.settings import RankingSettings
from processors.ranking.slate import SlateItem
from processors.ranking.sources.base import LANGUAGES
from processors.users.context import FIELDS
from processors.users.profile import Profile
from tests.processors.catalogues import likeness, random_views, visitor
from tests.processors.worlds import NOW, World, profile, random_world, touched, view

seeds = st.integers(0, 2**32)


def check_true(world: World, user: Profile, item: SlateItem) -> str:
    """Make sure that the item's reason holds; its kind."""
    (reason,) = item.reasons
    sources = world.settings.sources
    recent = user.item_ids[::-1]
    added: dict[str, float] = {}

    def shares(own: str) -> tuple[float, float]:
        return world.neighbours(own).get(item.item_id, (0.0, 0.0))

    if reason.kind == "viewed_together":
        reach = [(n, own) for n, own in enumerate(recent) if n < sources.recent_items]
        added = {own: shares(own)[0] * sources.position_decay**n for n, own in reach}
    elif reason.kind == "viewed_next":
        reach = [(n, own) for n, own in enumerate(recent) if n < min(sources.next_items, sources.recent_items)]
        added = {own: shares(own)[1] * sources.position_decay**n for n, own in reach}
    elif reason.kind == "goes_with":
        half_life, strengths = sources.rated_half_life_ms, {"fav": 3.0, "cart": 4.0, "purchase": 6.0}
        acts = dict(zip(user.item_ids, zip(user.item_times, user.item_actions, strict=True), strict=True))
        for own in recent[: sources.rated_items]:
            nearest = list(world.neighbours(own).items())[: sources.similar_to_each]
            share = dict(nearest).get(item.item_id, (0.0, 0.0))[0]
            added[own] = 0.5 ** ((NOW - acts[own][0]) / half_life) * strengths.get(acts[own][1], 1.0) * share
    elif reason.kind == "related":
        first = world.neighbours(recent[0])
        walks = (share * world.neighbours(name).get(item.item_id, (0, 0))[0] for name, (share, _) in first.items())
        added = {recent[0]: sum(walks)}
    elif reason.kind in ("similar", "alike"):
        added = alike(world, recent, item.item_id)[("similar", "alike").index(reason.kind)]
    else:
        check_unlinked(world, user, item.item_id, reason)
    if added:
        assert reason.item_id is not None
        assert added[reason.item_id] == pytest.approx(max(added.values()))
        assert added[reason.item_id] > 0.0
    assert (reason.item_id is not None) == bool(added)
    return reason.kind


def check_unlinked(world: World, user: Profile, item: str, reason: Reason) -> None:
    """Make sure of a reason that names none of the user's own items."""
    if reason.kind == "people_like_you":
        (number,) = world.read().groups.of([user])
        assert item in world.groups[number].items[: world.settings.sources.group_items]
    elif reason.kind == "popular_in_context":
        assert reason.context is not None
        field, _, value = reason.context.partition(":")
        assert user.context[field] == value
        assert len(user.item_ids) <= world.settings.sources.context_history
        assert item in world.contexts[reason.context].items[: world.settings.sources.context_items]
        assert value in (reason.text or "")
    elif reason.kind == "new":
        assert 0 <= NOW - world.views[item].since < world.settings.sources.fresh_age_ms
    elif reason.kind == "viewed_before":
        assert touched(user, item)
    elif reason.kind in ("popular_in_category", "in_category"):
        category = world.views[item].category
        assert category is not None
        assert reason.category == category
        last = [own for own in user.item_ids[:-4:-1] if own in world.views]
        assert category in [world.views[own].category for own in last]
        if reason.kind == "popular_in_category":
            ranked = [name for name in world.best("1", len(world.views)) if world.views[name].category == category]
            assert item in ranked[: (len(ranked) + 1) // 2]
    elif reason.kind == "trending":
        most = min(world.settings.sources.popular_items, (len(world.best("1", len(world.views))) + 1) // 2)
        assert item in [name for score in ("0", "1") for name in world.best(score, most)]
    else:
        assert reason.kind == "viewed_by_others"
        assert item in world.best("visits", world.settings.sources.popular_items)


def alike(world: World, recent: list[str], item: str) -> tuple[dict[str, float], dict[str, float]]:
    """How much each of the user's last items speaks for the item: by content, by embedding."""
    sources, published = world.settings.sources, world.views[item]
    content, cosine = dict[str, float](), dict[str, float]()
    for n, own in enumerate(recent[: sources.content_items]):
        if is_listed(world, own) and world.views[own].category == published.category and own != item:
            values = likeness(world.views[own], published)
            content[own], cosine[own] = (value * sources.position_decay**n for value in values)
    return content, cosine


def is_listed(world: World, item: str) -> bool:
    return item in world.views and world.views[item].listing is not None


def catalogue_world(seed: int) -> World:
    """Few enough items for all that are alike to be neighbours."""
    views = random_views(seed, most=20)
    return World(views, [visitor(seed + n, views) for n in range(3)])


@given(seeds)
def test_every_reason_that_a_catalogue_gives_is_true(seed: int) -> None:
    world = catalogue_world(seed)
    for slates in world.slates():
        for user, slate in zip(world.users, slates, strict=True):
            for item in slate:
                check_true(world, user, item)


@given(seeds)
def test_every_reason_is_true(seed: int) -> None:
    world = random_world(seed)
    for slates in world.slates():
        for user, slate in zip(world.users, slates, strict=True):
            for item in slate:
                check_true(world, user, item)


def test_every_kind_of_reason_is_given() -> None:
    found = set()
    for world in (make(seed) for make in (random_world, catalogue_world) for seed in range(60)):
        for slates in world.slates():
            for user, slate in zip(world.users, slates, strict=True):
                found |= {check_true(world, user, item) for item in slate}
    assert found == {entry.kind.name for entry in KINDS} - {"featured"}


SHOP = {
    "tent": view(5.0, {"lamp": (0.9, 0.2), "mat": (0.1, 0.8)}, category="camping"),
    "lamp": view(1.0, {"wick": (1.0, 0.0)}),
    "axe": view(0.5, category="camping"),
}


@pytest.mark.parametrize(
    ("locale", "texts"),
    [
        ("en", {"lamp": "Often viewed together with tent", "tent": "You looked at this before"}),
        ("zh", {"lamp": "常与 tent 一起浏览", "tent": "您之前看过"}),
    ],
)
def test_reasons_come_in_the_locale_of_the_settings(locale: str, texts: dict[str, str]) -> None:
    home, _ = World(SHOP, [profile("tent")], RankingSettings(locale=locale)).slates()
    found = {item.item_id: item.reasons[0].text for item in home[0]}
    assert {item: found[item] for item in texts} == texts


def test_each_user_reads_reasons_in_their_own_language() -> None:
    texts = {"de": {"viewed_together": "Oft mit {item} angesehen"}}
    users = [profile("tent") for _ in range(4)]
    for user, language in zip(users, ("zh", "de", "fr", ""), strict=True):
        user.context = {"language": language} if language else {}
    home, _ = World(SHOP, users, RankingSettings(texts=texts)).slates()
    told = [{item.item_id: item.reasons[0].text for item in slate} for slate in home]
    assert [found["lamp"] for found in told] == [
        "常与 tent 一起浏览",
        "Oft mit tent angesehen",
        "Often viewed together with tent",
        "Often viewed together with tent",
    ]
    assert told[1]["tent"] == "You looked at this before", "what a language has no text for is told in the default one"


def test_reasons_name_items_by_their_titles_and_ids_by_their_fields() -> None:
    titled = msgspec.structs.replace(SHOP["tent"], listing=Listing(title='"Alp" two'))
    home, _ = World({**SHOP, "tent": titled}, [profile("tent")]).slates()
    (lamp,) = (item for item in home[0] if item.item_id == "lamp")
    assert lamp.reasons[0] == Reason("viewed_together", "tent", 'Often viewed together with "Alp" two')


@given(seeds)
def test_no_kind_of_reason_fills_more_than_half_of_a_slate_where_others_are_true(seed: int) -> None:
    world = random_world(seed)
    pipeline = RankingPipeline(world.settings)
    read = world.read(pipeline.features)
    frame = pipeline.begin(world.users, [NOW] * len(world.users), read, NOW)
    pipeline.run(pipeline.stages_for("slate", shared=True), frame)
    for number, placement in enumerate(world.settings.placements):
        part = pipeline.for_placement(frame, number)
        pipeline.run(pipeline.stages_for("slate", shared=False), part)
        half = (placement.size + 1) // 2
        for row, filled in enumerate(part.filled):
            given: Counter[int] = Counter()
            for kind, candidate in zip(part.kinds[row][filled], part.numbers[row][filled], strict=True):
                true = {n for n in range(len(KINDS)) if part.true_kinds[candidate] >> n & 1}
                fresh = {n for n in true if given[n] < half}
                assert kind in (fresh or true)
                given[int(kind)] += 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"locale": "de"}, "users.ranking.locale: there are no texts in 'de'"),
        ({"texts": {"de": {"trendy": "Beliebt"}}}, "users.ranking.texts.de: 'trendy' is no kind of reason"),
        ({"texts": {"de": {"similar": "Wie {category}"}}}, "users.ranking.texts.de.similar: 'Wie {category}'"),
        ({"texts": {"de": {"similar": "Passt dazu"}}}, "{item} once and no other name"),
        ({"texts": {"de": {"trending": "Neu {"}}}, "no name in braces"),
        ({"texts": {"de": {"similar": "Wie {item:.3}"}}}, "'Wie {item:.3}'"),
        ({"texts": {"de": {"similar": "Wie {item.name}"}}}, "'Wie {item.name}'"),
        ({"texts": {"de": {"similar": "Wie {item!r}"}}}, "'Wie {item!r}'"),
        ({"texts": {"de": {"similar": "Wie {item[0]}"}}}, "'Wie {item[0]}'"),
        ({"texts": {"de": {"similar": "{item} wie {item}"}}}, "{item} once and no other name"),
        ({"texts": {"de-AT": {"trending": "Neu"}}}, "'de-AT' is no language"),
        ({"texts": {"": {"trending": "Neu"}}}, "'' is no language"),
        ({"texts": {"de": {"trending": " "}}}, "users.ranking.texts.de.trending: ' '"),
        ({"texts": {"de": {"contextual.planet": "Von {context}"}}}, "is no kind of reason"),
    ],
)
def test_texts_that_cannot_be_told_are_refused_at_start(settings: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(expected)):
        UsersSettings(ranking=msgspec.convert(settings, RankingSettings)).check()


def test_a_language_may_be_the_shops_own_if_it_has_texts() -> None:
    settings = RankingSettings(locale="de", texts={"de": {"viewed_before": "Schon angesehen"}})
    home, _ = World(SHOP, [profile("tent")], settings).slates()
    found = {item.item_id: item.reasons[0].text for item in home[0]}
    assert found["tent"] == "Schon angesehen"
    assert found["lamp"] == "Often viewed together with tent", "a kind without a German text is told in English"


def test_a_reason_names_the_item_or_the_category_behind_it() -> None:
    home, _ = World(SHOP, [profile("tent")]).slates()
    found = {item.item_id: item.reasons[0] for item in home[0]}
    assert found["lamp"] == Reason("viewed_together", "tent", "Often viewed together with tent")
    assert found["wick"] == Reason("related", "tent", "Related to tent")
    assert found["axe"] == Reason("in_category", None, "More from camping", "camping")


def test_every_kind_has_a_text_in_every_locale() -> None:
    for kind in (entry.kind for entry in KINDS):
        for texts in (kind.texts, *kind.field_texts.values()):
            assert set(texts) == set(LANGUAGES)
            assert all(text.format(item="tent", category="camping", context="DE") for text in texts.values())


def test_kinds_come_in_their_order_each_under_a_name_and_a_number_of_its_own() -> None:
    assert len({entry.kind.order for entry in KINDS}) == len({entry.kind.name for entry in KINDS}) == len(KINDS)
    assert [entry.kind.name for entry in KINDS][:2] == ["viewed_together", "goes_with"]
    assert KINDS[-1].kind.name == "featured"


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_every_kind_of_context_has_words_of_its_own(locale: str) -> None:
    read = World({}, []).read()
    (context,) = (number for number, entry in enumerate(KINDS) if entry.kind.links == "context")
    read.contexts.apply({f"{field}:here": ContextView(("tent",), (1.0,)) for field in FIELDS})
    reasons = [reason_of(context, number, 0, 0, ReasonTexts(locale), read) for number in range(len(FIELDS))]
    assert {reason.context for reason in reasons} == {f"{field}:here" for field in FIELDS}
    assert all("here" in (reason.text or "") for reason in reasons)
    assert len({reason.text for reason in reasons}) == len(FIELDS) - 1, "a region reads like a country"


def test_a_reason_says_nothing_of_what_it_does_not_know() -> None:
    assert msgspec.json.encode(Reason("trending")) == b'{"kind":"trending"}'
