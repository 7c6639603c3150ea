"""Slates are what a plain reading of the documented blend gives, user by user and item by item."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.candidates import MAX_ROWS, SOURCES, CandidateSettings
from processors.events import Event
from processors.item_index import ItemIndex
from processors.item_state import ItemView
from processors.keys import FINGERPRINT_BYTES, fingerprint
from processors.profile import Profile, ProfileKeeper, ProfileSettings
from processors.slate import Placement, Ranker, RankingSettings, Reason, SlateItem

WIDTH = 4
TOLERANCE = 2e-6
seeds = st.integers(0, 2**32)


def view(trend: float, neighbours: dict[str, tuple[float, float]] | None = None) -> ItemView:
    """A view with (together, after) per neighbour."""
    shares = np.array(list((neighbours or {}).values()), "<f4").reshape(-1, 2)
    return ItemView(trend, 1, 0, 0, list(neighbours or {}), shares[:, 0].tobytes(), shares[:, 1].tobytes())


def profile(*items: str, counts: Sequence[int] = (), older: Sequence[str] = ()) -> Profile:
    return Profile(
        item_ids=list(items),
        item_counts=list(counts) or [1] * len(items),
        older_items=b"".join(map(fingerprint, older)),
    )


@dataclass
class World:
    """Views, users and settings; what the ranker makes of them, and what a plain reading of its documentation does."""

    views: dict[str, ItemView]
    users: list[Profile]
    settings: RankingSettings = field(default_factory=RankingSettings)

    def index(self) -> ItemIndex:
        index = ItemIndex(neighbours=WIDTH)
        for item, published in self.views.items():
            index.apply(item, published)
        return index

    def slates(self) -> list[list[list[SlateItem]]]:
        """Per placement and user."""
        index = self.index()
        ranked = Ranker(self.settings).rank(self.users, index)
        return [[part.items(row, index) for row in range(len(self.users))] for part in ranked]

    def neighbours(self, item: str) -> dict[str, tuple[float, float]]:
        if item not in self.views:
            return {}
        published = self.views[item]
        columns = np.frombuffer(published.together, "<f4"), np.frombuffer(published.after, "<f4")
        together, after = (column.astype(float).tolist() for column in columns)
        return dict(zip(published.neighbours, zip(together, after, strict=True), strict=True))

    def recent(self, user: Profile) -> list[tuple[int, str]]:
        """Position and item of what co-visitation looks at, the latest first."""
        return list(enumerate(reversed(user.item_ids)))[: self.settings.candidates.recent_items]

    def contributions(self, user: Profile, item: str) -> dict[str, dict[str, float]]:
        """What each recent item adds to an item, per co-visitation source."""
        settings = self.settings.candidates
        added: dict[str, dict[str, float]] = {"together": {}, "next": {}}
        for position, recent in self.recent(user):
            together, after = self.neighbours(recent).get(item, (0.0, 0.0))
            weight = settings.position_decay**position
            added["together"][recent] = together * weight
            added["next"][recent] = after * weight if position < settings.next_items else 0.0
        return added

    def known(self) -> set[str]:
        return set(self.views) | {name for published in self.views.values() for name in published.neighbours}

    def shares(self, user: Profile) -> dict[str, dict[str, float]]:
        """Weighted value of each source per candidate."""
        settings, known = self.settings, self.known()
        values: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(SOURCES, 0.0))
        for item in known:
            for source, added in self.contributions(user, item).items():
                if sum(added.values()) > 0.0:
                    values[item][source] = sum(added.values())
        for position, item in enumerate(reversed(user.item_ids)):
            if item in known:
                count = user.item_counts[-1 - position]
                values[item]["recent"] = count**0.5 / (1 + position)
        trends = {item: published.trend for item, published in self.views.items()}
        for item in sorted(trends, key=trends.__getitem__, reverse=True)[: settings.candidates.popular_items]:
            values[item]["popular"] = 2.0 ** (trends[item] - max(trends.values()))
        for source in ("together", "next"):
            best = max((found[source] for found in values.values()), default=0.0)
            for found in values.values():
                found[source] /= best or 1.0
        return {
            item: {source: value * getattr(settings, source) for source, value in found.items()}
            for item, found in values.items()
        }

    def touched(self, user: Profile, item: str) -> bool:
        marks = [user.older_items[at : at + FINGERPRINT_BYTES] for at in range(0, len(user.older_items), 8)]
        return item in user.item_ids or fingerprint(item) in marks

    def expected(self, user: Profile, placement: Placement) -> list[tuple[str, float]]:
        scores = {item: sum(shares.values()) for item, shares in self.shares(user).items()}
        ranked = sorted(
            ((score + _tie(item) * 1e-9, item) for item, score in scores.items() if score > 0.0), reverse=True
        )
        kept = [(item, score) for score, item in ranked if not (placement.only_new and self.touched(user, item))]
        return kept[: placement.size]


def _tie(item: str) -> float:
    return int.from_bytes(fingerprint(item), "little") / 2.0**64


def random_world(seed: int) -> World:
    random = np.random.default_rng(seed)
    names = [f"item {n}" for n in range(random.integers(1, 40))]

    def some(most: int) -> list[str]:
        return [str(name) for name in random.permutation(names)[: random.integers(0, most + 1)]]

    views = {}
    for item in some(len(names)):
        others = [name for name in some(WIDTH) if name != item]
        shares = random.random((len(others), 2)) * (random.random((len(others), 2)) < 0.7)
        views[item] = view(random.normal(9000.0, 3.0), dict(zip(others, map(tuple, shares), strict=True)))
    users = []
    for _ in range(random.integers(1, 8)):
        items = some(20) + [f"unknown {n}" for n in range(random.integers(0, 3))]
        random.shuffle(items)
        users.append(profile(*items, counts=[int(n) for n in random.integers(1, 9, len(items))], older=some(5)))
    settings = RankingSettings(
        placements=(
            Placement("home", size=int(random.integers(1, 30))),
            Placement("discover", only_new=True, size=int(random.integers(1, 30))),
        ),
        together=float(random.choice([0.0, 1.0, random.random()])),
        next=float(random.choice([0.0, 0.5, random.random()])),
        recent=float(random.choice([0.0, 0.6, random.random()])),
        popular=float(random.choice([0.0, 0.02, random.random()])),
        candidates=CandidateSettings(
            recent_items=int(random.integers(0, 12)),
            next_items=int(random.integers(0, 5)),
            position_decay=float(random.choice([0.8, 1.0, random.random()])),
            popular_items=int(random.integers(0, 30)),
        ),
    )
    return World(views, users, settings)


@given(seeds)
def test_agrees_with_a_plain_reading_of_the_documented_blend(seed: int) -> None:
    world = random_world(seed)
    for placement, slates in zip(world.settings.placements, world.slates(), strict=True):
        for user, slate in zip(world.users, slates, strict=True):
            expected = world.expected(user, placement)
            assert [item.item_id for item in slate] == [item for item, _ in expected]
            assert [item.score for item in slate] == pytest.approx([score for _, score in expected], abs=TOLERANCE)


@given(seeds)
def test_names_the_source_that_adds_most(seed: int) -> None:
    world = random_world(seed)
    for slates in world.slates():
        for user, slate in zip(world.users, slates, strict=True):
            shares = world.shares(user)
            for item in slate:
                assert shares[item.item_id][item.source] == pytest.approx(max(shares[item.item_id].values()))


@given(seeds)
def test_reasons_name_the_recent_item_that_contributed_most(seed: int) -> None:
    world = random_world(seed)
    for slates in world.slates():
        for user, slate in zip(world.users, slates, strict=True):
            for item in slate:
                (reason,) = item.reasons
                if item.source in ("together", "next"):
                    added = world.contributions(user, item.item_id)[item.source]
                    assert reason.item_id is not None
                    assert reason.item_id in user.item_ids
                    assert item.item_id in world.neighbours(reason.item_id)
                    assert added[reason.item_id] == pytest.approx(max(added.values()))
                    assert added[reason.item_id] > 0.0


@given(seeds)
def test_ranks_count_up_scores_go_down_and_no_item_comes_twice(seed: int) -> None:
    for slates in random_world(seed).slates():
        for slate in slates:
            assert [item.rank for item in slate] == list(range(1, len(slate) + 1))
            assert sorted((item.score for item in slate), reverse=True) == [item.score for item in slate]
            assert len({item.item_id for item in slate}) == len(slate)


@given(seeds)
def test_a_user_gets_the_same_slates_alone_as_among_others(seed: int) -> None:
    world = random_world(seed)
    alone = [World(world.views, [user], world.settings).slates() for user in world.users]
    assert world.slates() == [[slates[n][0] for slates in alone] for n in range(2)]


def test_more_users_than_one_pass_takes_get_their_own_slates() -> None:
    views = {f"item {n}": view(float(n), {f"item {n + 1}": (1.0, 1.0)}) for n in range(30)}
    users = [profile(f"item {n % 30}", f"item {n % 7}") for n in range(2 * MAX_ROWS + 1)]
    found = World(views, users).slates()
    alone = {n: World(views, [users[n]]).slates() for n in (0, MAX_ROWS - 1, MAX_ROWS, 2 * MAX_ROWS)}
    assert [len(slates) for slates in found] == [len(users)] * 2
    for n, slates in alone.items():
        assert [found[placement][n] for placement in range(2)] == [slates[0][0], slates[1][0]]


touches = st.lists(st.tuples(st.integers(0, 30), st.integers(-(10**8), 10**8)), max_size=60)


@given(touches, seeds)
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
                time_ms=1_700_000_000_000 + time_ms,
                kind="click",
                action="view",
            ),
        )
    _, (discover,) = World(random_world(seed).views, [user]).slates()
    assert {item.item_id for item in discover} & {f"item {item}" for item, _ in touches} == set()


TENT = {"tent": view(5.0, {"lamp": (0.9, 0.2), "mat": (0.1, 0.8)}), "stove": view(6.0), "lamp": view(1.0)}


def test_with_an_empty_index_slates_are_empty() -> None:
    assert World({}, [profile(), profile("tent")]).slates() == [[[], []], [[], []]]


def test_a_user_without_history_is_shown_what_is_popular() -> None:
    home, discover = World(TENT, [profile()]).slates()
    expected = [("stove", 0.02, "popular"), ("tent", 0.01, "popular"), ("lamp", 0.000625, "popular")]
    assert [(item.item_id, item.score, item.source) for item in home[0]] == expected
    assert discover == home


def test_a_user_whose_items_are_all_unknown_is_shown_what_is_popular() -> None:
    assert World(TENT, [profile("gone")]).slates() == World(TENT, [profile()]).slates()


def test_every_source_has_its_reason_in_words() -> None:
    home, _ = World(TENT, [profile("tent")]).slates()
    assert [(item.item_id, item.source, item.reasons) for item in home[0]] == [
        ("lamp", "together", (Reason("viewed_together", "tent", "Often viewed together with tent"),)),
        ("mat", "next", (Reason("viewed_next", "tent", "Often viewed right after tent"),)),
        ("tent", "recent", (Reason("viewed_before", None, "You looked at this before"),)),
        ("stove", "popular", (Reason("trending", None, "Popular right now"),)),
    ]


def test_a_reason_says_nothing_of_what_it_does_not_know() -> None:
    encoded = msgspec.json.encode(SlateItem("tent", 1, 0.5, "popular", (Reason("trending"),)))
    assert encoded == b'{"item_id":"tent","rank":1,"score":0.5,"source":"popular","reasons":[{"kind":"trending"}]}'


def test_a_slate_holds_no_more_than_its_size() -> None:
    views = {f"item {n}": view(float(n)) for n in range(50)}
    settings = RankingSettings(placements=(Placement("a", size=3), Placement("b"), Placement("c", size=70)))
    slates = World(views, [profile()], settings).slates()
    assert [len(slate) for (slate,) in slates] == [3, 20, 50]


def test_placements_come_in_the_order_of_the_settings() -> None:
    settings = RankingSettings(placements=(Placement("new", only_new=True), Placement("any")))
    new, any_item = World(TENT, [profile("stove")], settings).slates()
    assert ["stove" in {item.item_id for item in part[0]} for part in (new, any_item)] == [False, True]


def test_the_model_version_names_the_weights() -> None:
    settings = RankingSettings()
    changed = [msgspec.structs.replace(settings, **{source: 0.125}).model_version for source in SOURCES]
    assert (settings.model_version, changed) == (
        "blend-1:1,0.5,0.6,0.02",
        [
            "blend-1:0.125,0.5,0.6,0.02",
            "blend-1:1,0.125,0.6,0.02",
            "blend-1:1,0.5,0.125,0.02",
            "blend-1:1,0.5,0.6,0.125",
        ],
    )
