"""All sources conform, one that breaks a promise or lacks a part does not, and the catalogue's find what they say."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.common.hashing import fingerprint
from processors.items import similar_items, similarity_index
from processors.items.attributes import PRICE_STEP
from processors.items.index import ItemIndex
from processors.items.view import ItemView
from processors.models.serving_weights import ServingWeights
from processors.ranking.candidates import RULES
from processors.ranking.feature_names import HISTORY_FEATURES, ITEM_FEATURES, TASTE_FEATURES
from processors.ranking.read_models import ReadModels
from processors.ranking.reason_kinds import FEATURED
from processors.ranking.sources import (
    ALL,
    ProposedPairs,
    ReasonKind,
    Source,
    SourceSettings,
    Visitors,
    _settings_of,
    with_settings,
)
from processors.ranking.sources.base import LANGUAGES
from processors.ranking.sources.fresh import Fresh
from processors.ranking.sources.popularity import Trending
from processors.ranking.sources.similar import Similar
from tests.processors.catalogues import DAY, index_of, likeness, listed, random_views, visitor
from tests.processors.conformance import check_source, proposals
from tests.processors.worlds import NOW, profile, random_world, view

seeds = st.integers(0, 2**32)
WEEK = SourceSettings().fresh_age_ms


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
@settings(deadline=None)
@given(seed=seeds)
def test_every_source_conforms_in_a_world_of_visits(source: type[Source], seed: int) -> None:
    world = random_world(seed)

    def read(backwards: bool) -> ReadModels:
        read = reading(index_of(world.views, backwards))
        read.groups.apply(world.groups)
        read.contexts.apply(world.contexts)
        return read

    check_source(source, world.settings.sources, read, world.users, NOW)


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
@settings(deadline=None)
@given(seed=seeds)
def test_every_source_conforms_with_a_catalogue(source: type[Source], seed: int) -> None:
    views = random_views(seed)
    users = [visitor(seed + n, views) for n in range(seed % 4)]
    check_source(source, SourceSettings(), lambda backwards: reading(index_of(views, backwards)), users, NOW)


def check_parts(source: type[Source], others: Sequence[type[Source]]) -> None:
    """Make sure that a source carries all that belongs to it, and nothing that is another's."""
    assert source.name, "a source without a name"
    assert source.name not in {RULES, *(other.name for other in others)}, "another source has the name"
    columns = {column for other in others for column in other.columns}
    assert not set(source.columns) & columns, "another source has one of the columns"
    features = {name for column in source.columns for name in (column, f"{column}_root")}
    built_in = {*ITEM_FEATURES, *HISTORY_FEATURES, *TASTE_FEATURES}
    assert not features & built_in, "a column with the name of a feature that every item has"
    assert set(source.baseline) <= features, "a baseline weight of a feature that is not the source's"
    assert source.reasons, "a source without a reason: none of its items could be shown"
    kinds = [FEATURED, *(kind for other in others for kind in other.reasons)]
    names, orders = {kind.name for kind in kinds}, {kind.order for kind in kinds}
    for kind in source.reasons:
        assert kind.name not in names, "another source gives the same kind of reason"
        assert kind.order not in orders, "another kind of reason has the same order"
        assert kind.column is None or kind.column in source.columns, "a reason by a column that is not the source's"
        assert set(kind.texts) == set(LANGUAGES), "a reason without a text in some language"
        assert kind.links is None or any("{" + kind.links + "}" in text for text in texts_of(kind)), (
            "a reason that names something, and no text that does"
        )
        assert kind.features, "a reason that no feature speaks for"
    declared = set(source.settings.__struct_fields__)
    assert declared <= set(SourceSettings.__struct_fields__), "a setting that cannot be set"
    documented = inspect.getdoc(source.settings) or ""
    assert all(name in documented for name in declared), "a setting that nobody explains"


def texts_of(kind: ReasonKind) -> list[str]:
    return [text for texts in (kind.texts, *kind.field_texts.values()) for text in texts.values()]


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_every_source_carries_all_its_parts(source: type[Source]) -> None:
    check_parts(source, [other for other in ALL if other is not source])


def test_every_setting_is_some_sources() -> None:
    declared = {name for source in ALL for name in source.settings.__struct_fields__}
    assert set(SourceSettings.__struct_fields__) == {"off", *declared}


def test_a_setting_that_two_sources_declare_differently_is_refused() -> None:
    class Other(msgspec.Struct, frozen=True):
        popular_items: int = 3

    class Another(Trending):
        settings: type[msgspec.Struct] = Other

    with pytest.raises(TypeError, match="setting popular_items of source trending: another source declares it"):
        list(_settings_of((Trending, Another)))


def test_a_source_gets_its_own_settings_and_no_others() -> None:
    class Greedy(Trending):
        def __init__(self, settings: Any) -> None:
            self.taken = settings.first_hop

    with pytest.raises(AttributeError, match="first_hop"):
        with_settings(Greedy, SourceSettings())


class OwnSettings(msgspec.Struct, frozen=True):
    """Nothing to set."""


def kind(**changes: Any) -> ReasonKind:
    texts = {"en": "Yours, like {item}", "zh": "{item}"}
    return ReasonKind(
        **{"name": "yours", "features": ("mine",), "texts": texts, "order": 1, "column": "mine", **changes}
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reasons": ()}, "a source without a reason"),
        ({"name": "trending"}, "another source has the name"),
        ({"name": "rules"}, "another source has the name"),
        ({"columns": ("together",)}, "another source has one of the columns"),
        ({"columns": ("visits",)}, "a feature that every item has"),
        ({"baseline": {"visits": 1.0}}, "a feature that is not the source's"),
        ({"reasons": (kind(name="new"),)}, "another source gives the same kind"),
        ({"reasons": (kind(order=10),)}, "another kind of reason has the same order"),
        ({"reasons": (kind(order=FEATURED.order),)}, "another kind of reason has the same order"),
        ({"reasons": (kind(column="together"),)}, "a column that is not the source's"),
        ({"reasons": (kind(texts={"en": "Yours"}),)}, "without a text in some language"),
        ({"reasons": (kind(links="category"),)}, "no text that does"),
        ({"reasons": (kind(features=()),)}, "no feature speaks for"),
        ({"settings": msgspec.defstruct("Strange", [("depth", int, 3)])}, "a setting that cannot be set"),
        ({"settings": msgspec.defstruct("Silent", [("first_hop", int, 3)])}, "a setting that nobody explains"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_source_with_a_part_missing_or_wrong_does_not_conform(changes: dict[str, Any], said: str) -> None:
    check_parts(Own, ALL)
    with pytest.raises(AssertionError, match=said):
        check_parts(type("Broken", (Own,), changes), ALL)


class Own:
    """Proposes the user's own items: the least that conforms, for others to break."""

    name = "own"
    columns: tuple[str, ...] = ("mine",)
    settings: type[msgspec.Struct] = OwnSettings
    baseline: Mapping[str, float] = {"mine_root": 1.0}
    reasons: tuple[ReasonKind, ...] = (kind(links="item"),)

    def __init__(self, settings: OwnSettings) -> None:
        self.asked = 0

    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        return ProposedPairs(visitors.rows, visitors.slots, self.value(visitors)[:, None], visitors.slots)

    def value(self, visitors: Visitors) -> np.ndarray:
        return 1.0 + visitors.positions.astype(np.float64)


class Changing(Own):
    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        read.items.popularity.visits[visitors.slots] += 1
        return super().propose(visitors, read)


class Counting(Own):
    def value(self, visitors: Visitors) -> np.ndarray:
        self.asked += 1
        return np.full(len(visitors.rows), float(self.asked))


class BySlot(Own):
    def value(self, visitors: Visitors) -> np.ndarray:
        return 1.0 + visitors.slots


class ByCompany(Own):
    def value(self, visitors: Visitors) -> np.ndarray:
        return np.full(len(visitors.rows), float(len(visitors)))


class Negative(Own):
    def value(self, visitors: Visitors) -> np.ndarray:
        return np.full(len(visitors.rows), -1.0)


class NotANumber(Own):
    def value(self, visitors: Visitors) -> np.ndarray:
        return np.full(len(visitors.rows), np.nan)


class Undeclared(Own):
    columns = ("mine", "more")


class Strange(Own):
    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        pairs = super().propose(visitors, read)
        return ProposedPairs(pairs.rows, pairs.slots, pairs.values, pairs.slots[::-1])


class Beyond(Own):
    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        return ProposedPairs(visitors.rows + 2, visitors.slots, self.value(visitors)[:, None])


class Unsorted(Own):
    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        pairs = super().propose(visitors, read)
        return ProposedPairs(pairs.rows[::-1], pairs.slots[::-1], pairs.values[::-1])


class SlotOrder(Own):
    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        order = np.lexsort((visitors.slots, visitors.rows))
        return ProposedPairs(visitors.rows, visitors.slots[order], self.value(visitors)[:, None] * 0.0 + 1.0)


class Withdrawn(Own):
    def propose(self, visitors: Visitors, read: ReadModels) -> ProposedPairs:
        slots = np.argsort(np.array(read.items.ids), kind="stable")[:1]
        return ProposedPairs(np.zeros(1, np.int64), slots, np.ones((1, 1)))


def reading(index: ItemIndex) -> ReadModels:
    return ReadModels(index, ServingWeights((), {}))


def check_own(source: type[Own]) -> None:
    views = {name: listed("tents") for name in ("a", "b", "c")}
    users = [profile("a", "b"), profile("c")]
    check_source(source, SourceSettings(), lambda backwards: reading(index_of(views, backwards)), users, NOW)


def test_a_source_that_keeps_its_promises_conforms() -> None:
    check_own(Own)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Changing, "changed the visitors or the index"),
        (Counting, "asked again, the source says something else"),
        (BySlot, "depend on where items lie"),
        (ByCompany, "depend on who else is asked for"),
        (Negative, "mine is negative"),
        (NotANumber, "mine is not finite"),
        (Undeclared, "not a column per declared value"),
        (Strange, "a link to an item that the user did not touch"),
        (Unsorted, "not sorted by user"),
        (SlotOrder, "depend on where items lie"),
        (Beyond, "a row that is no user's"),
        (Withdrawn, "a slot that no item has"),
    ],
)
def test_a_source_that_breaks_a_promise_does_not_conform(source: type[Own], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_own(source)


def propose(source: Source, index: ItemIndex, *items: str, now: int = NOW) -> list[tuple[object, ...]]:
    user = profile(*items)
    return proposals(source.propose(Visitors.of([user], [now], index), reading(index)), index)


def names(found: list[tuple[object, ...]]) -> set[str]:
    return {str(item) for _, item, *_ in found}


@settings(deadline=None)
@given(seeds, st.integers(1, 12))
def test_content_neighbours_are_the_most_alike_of_the_category(seed: int, k: int) -> None:
    views = random_views(seed)
    index = index_of(views)
    source = Similar(SourceSettings(content_neighbours=k, content_items=1))
    for item, published in views.items():
        expected = []
        for other, candidate in views.items():
            if other == item or published.listing is None or candidate.listing is None:
                continue
            score = sum(likeness(published, candidate, PRICE_STEP))
            if candidate.category == published.category and score > 0:
                tie = int.from_bytes(fingerprint(other), "little") / 2.0**64
                expected.append((score + 2.0**-24 * tie, other, candidate.listing.available))
        alike = [other for _, other, available in sorted(expected, reverse=True)[:k] if available]
        best = {other: likeness(published, views[other]) for other in alike}
        found = {str(other): values for _, other, *values, link in propose(source, index, item) if link == item}
        assert found.keys() == best.keys()
        for other, values in found.items():
            assert values == pytest.approx(best[other], abs=1e-9)


def test_the_more_recent_item_weighs_more() -> None:
    views = {"a": listed("tents"), "b": listed("tents"), "c": listed("tents")}
    source = Similar(SourceSettings(position_decay=0.5))
    weights = {link: value for _, other, value, _, link in propose(source, index_of(views), "a", "b") if other == "c"}
    assert weights == {"b": pytest.approx(0.2), "a": pytest.approx(0.1)}


@pytest.mark.parametrize("change", ["price", "tags", "embedding", "withdrawn", "unavailable", "moved", "new"])
def test_what_is_remembered_follows_every_change_of_facts(change: str) -> None:
    views = {
        "tent": listed("tents", "Alm", 10.0, ["light"], [1, 0, 0]),
        "near": listed("tents", "Alm", 12.0, ["light"], [1, 0.1, 0]),
        "far": listed("tents", "Berg", 90.0, ["heavy"], [0, 1, 0]),
        "lamp": listed("lamps", "Alm", 10.0, ["light"], [1, 0, 0]),
    }
    index, source = index_of(views), Similar(SourceSettings(content_neighbours=1))
    before = propose(source, index, "tent")
    item, published = {
        "price": ("near", listed("tents", "Alm", 900.0, ["light"], [1, 0.1, 0])),
        "tags": ("near", listed("tents", "Alm", 12.0, ["heavy"], [1, 0.1, 0])),
        "embedding": ("far", listed("tents", "Alm", 12.0, ["light"], [1, 0, 0])),
        "withdrawn": ("near", msgspec.structs.replace(views["near"], withdrawn=True)),
        "unavailable": ("near", listed("tents", "Alm", 12.0, ["light"], [1, 0.1, 0], available=False)),
        "moved": ("lamp", listed("tents", "Alm", 10.0, ["light"], [1, 0, 0])),
        "new": ("other", listed("tents", "Alm", 10.0, ["light"], [1, 0, 0])),
    }[change]
    index.apply(item, published)
    after = propose(source, index, "tent")
    assert before != after
    assert after == propose(Similar(SourceSettings(content_neighbours=1)), index, "tent")


@settings(deadline=None)
@given(seeds, st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2**32)), max_size=20))
def test_what_is_remembered_changes_nothing_but_the_time(seed: int, changes: list[tuple[int, int]]) -> None:
    views = random_views(seed)
    index, source = index_of(views), Similar(SourceSettings())
    users = [visitor(n, views) for n in range(4)]
    for n, change in changes:
        others = list(random_views(change, most=3).values())
        index.apply(f"item {n}", others[0] if others else None)
        visitors = Visitors.of(users, [NOW] * len(users), index)
        fresh = Similar(SourceSettings()).propose(visitors, reading(index))
        assert proposals(source.propose(visitors, reading(index)), index) == proposals(fresh, index)


def test_memory_for_neighbours_is_bounded_and_what_was_pushed_out_is_found_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(similar_items, "REMEMBERED", 3)
    views = {f"item {n}": listed("tents", price=float(n)) for n in range(9)}
    index, source = index_of(views), Similar(SourceSettings(content_neighbours=2, content_items=8))
    for _ in range(2):
        for n in range(9):
            asked = [f"item {(n + other) % 9}" for other in range(5)]
            expected = Similar(SourceSettings(content_neighbours=2, content_items=8))
            assert propose(source, index, *asked) == propose(expected, index, *asked)
            index.apply("item 3", listed("tents", price=float(n)))


def test_a_source_can_be_asked_about_another_index() -> None:
    source = Similar(SourceSettings())
    one = index_of({"a": listed("tents"), "b": listed("tents")})
    other = index_of({"a": listed("tents"), "c": listed("tents")})
    assert [names(propose(source, index, "a")) for index in (one, other, one)] == [{"b"}, {"c"}, {"b"}]


def test_without_a_catalogue_there_is_nothing_and_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar_items.SimilarItems, "of", None)
    index = index_of({"a": view(1.0, category="tents", price=3.0), "b": view(1.0, category="tents", price=3.0)})
    assert propose(Similar(SourceSettings()), index, "a") == []
    assert (len(index.attributes.tags), len(index.attributes.embedding)) == (0, 0)


def test_items_of_other_categories_and_unavailable_ones_are_no_neighbours() -> None:
    views = {
        "a": listed("tents", embedding=[1, 0, 0]),
        "b": listed("lamps", embedding=[1, 0, 0]),
        "c": listed("tents", embedding=[1, 0, 0], available=False),
    }
    assert propose(Similar(SourceSettings()), index_of(views), "a") == []


def test_items_without_a_category_find_each_other_by_their_embeddings() -> None:
    views = {
        "a": listed(embedding=[1, 0, 0]),
        "b": listed(embedding=[1, 1, 0]),
        "c": listed(embedding=[-1, 0, 0]),
        "d": listed(),
    }
    found = propose(Similar(SourceSettings()), index_of(views), "a")
    assert [(item, content, round(float(str(cosine)), 3)) for _, item, content, cosine, _ in found] == [
        ("b", 0.0, 0.707)
    ]


def test_an_unavailable_item_still_leads_to_those_alike() -> None:
    views = {"a": listed("tents", available=False), "b": listed("tents")}
    assert names(propose(Similar(SourceSettings()), index_of(views), "a")) == {"b"}


def large_category(n: int, size: int) -> dict[str, ItemView]:
    random = np.random.default_rng(3)
    centres = random.normal(size=(20, size))
    return {
        f"item {at}": listed(
            "tents",
            price=float(random.lognormal(3, 1)),
            embedding=(centres[at % 20] + 0.2 * random.normal(size=size)).tolist(),
        )
        for at in range(n)
    }


def test_in_a_large_category_the_likely_ones_are_compared_wherever_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity_index, "COMPARED", 60)
    monkeypatch.setattr(similar_items, "COMPARED", 60)
    monkeypatch.setattr(similarity_index, "_PER_BUCKET", 20)
    views = large_category(600, 16)
    users = [profile(f"item {n}", f"item {n + 1}") for n in range(0, 100, 2)]
    check_source(Similar, SourceSettings(), lambda backwards: reading(index_of(views, backwards, 16)), users, NOW)
    index = index_of(views, size=16)
    shelf = similarity_index.SimilarityIndex(index.attributes, 1)
    pools = [shelf.pool(index.attributes, index.slot(name)) for name in views]
    assert max(map(len, pools)) <= 120
    hits = 0
    for at, (name, pool) in enumerate(zip(views, pools, strict=True)):
        cosines = index.attributes.embedding @ index.attributes.embedding[index.slot(name)]
        cosines[index.slot(name)] = 0.0
        hits += int(np.argmax(cosines)) in pool
        steps = index.attributes.price_step
        near = np.flatnonzero(steps[:600] == steps[at])
        assert len(near) > 60 or set(near.tolist()) <= set(pool.tolist())
    assert hits > 0.6 * len(views)


def test_new_items_of_the_categories_of_the_last_three_items_are_proposed() -> None:
    views = {
        "old tent": listed("tents", since=NOW - 30 * DAY),
        "new tent": listed("tents", since=NOW - DAY),
        "new lamp": listed("lamps", since=NOW - DAY),
        "new mat": listed("mats", since=NOW - DAY),
        "tomorrow's tent": listed("tents", since=NOW + DAY),
        "mat": listed("mats", since=NOW - 30 * DAY),
        "lamp": view(1.0, category="lamps"),
    }
    found = propose(Fresh(SourceSettings(position_decay=0.5)), index_of(views), "mat", "lamp", "lamp 2", "old tent")
    values = {(item, link): value for _, item, value, _, link in found}
    assert values == {
        ("new tent", "old tent"): pytest.approx(6 / 7),
        ("new lamp", "lamp"): pytest.approx(0.25 * 6 / 7),
    }


def test_an_item_that_events_alone_made_known_is_new_too() -> None:
    views = {
        "tent": view(1.0, category="tents"),
        "new": msgspec.structs.replace(view(1.0, category="tents"), since=NOW - DAY),
    }
    assert propose(Fresh(SourceSettings()), index_of(views), "tent") == [(0, "new", pytest.approx(6 / 7), 0.0, "tent")]


@settings(deadline=None)
@given(seeds, st.integers(0, 5), st.integers(1, 10 * DAY))
def test_the_newest_of_each_category_are_proposed_and_no_others(seed: int, k: int, age: int) -> None:
    views = random_views(seed)
    index, source = index_of(views), Fresh(SourceSettings(fresh_items=k, fresh_age_ms=age))

    def shown(item: str) -> bool:
        listing = views[item].listing
        return (listing is None or listing.available) and views[item].since > 0

    for item, published in views.items():
        if published.category is None:
            continue
        of_category = [other for other in views if views[other].category == published.category and shown(other)]
        newest = sorted(of_category, key=lambda other: (views[other].since, fingerprint(other)[::-1]), reverse=True)[:k]
        expected = {other for other in newest if 0 <= NOW - views[other].since < age} - {item}
        assert names(propose(source, index, item)) == expected


def test_new_items_without_a_category_are_found_by_likeness_alone() -> None:
    views = {
        "a": listed(embedding=[1, 0, 0], since=NOW - 30 * DAY),
        "near": listed(embedding=[1, 1, 0], since=NOW - DAY),
        "far": listed(embedding=[-1, 0, 0], since=NOW - DAY),
    }
    assert names(propose(Fresh(SourceSettings()), index_of(views), "a")) == {"near"}


def test_an_unavailable_new_item_is_proposed_once_it_is_available() -> None:
    index = index_of({"tent": listed("tents"), "new": listed("tents", since=NOW - DAY, available=False)})
    assert propose(Fresh(SourceSettings()), index, "tent") == []
    index.apply("new", listed("tents", since=NOW - DAY))
    assert names(propose(Fresh(SourceSettings()), index, "tent")) == {"new"}


def test_a_date_that_is_corrected_counts() -> None:
    index = index_of({"tent": listed("tents"), "new": listed("tents", since=NOW - DAY)})
    index.apply("new", listed("tents", since=NOW - 30 * DAY))
    assert propose(Fresh(SourceSettings()), index, "tent") == []


@pytest.mark.parametrize("source", [Similar, Fresh])
def test_a_withdrawn_item_is_proposed_by_nobody(source: Callable[[SourceSettings], Source]) -> None:
    index = index_of({"tent": listed("tents"), "new": listed("tents", since=NOW - DAY)})
    made = source(SourceSettings())
    assert names(propose(made, index, "tent")) == {"new"}
    index.apply("new", msgspec.structs.replace(listed("tents"), withdrawn=True))
    assert propose(made, index, "tent") == []
