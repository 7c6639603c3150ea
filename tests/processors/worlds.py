"""Small random worlds for what ranks: published items, users, settings, and a plain reading of what is true in them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from processors.common.hashing import FINGERPRINT_BYTES, fingerprint
from processors.items.index import ItemIndex
from processors.items.view import NO_ENTRIES, ItemView
from processors.models.context_popularity import ContextView
from processors.models.interest_groups import DIMENSIONS, GroupView
from processors.models.serving_weights import ServingWeights
from processors.ranking.feature_names import baseline_weights
from processors.ranking.pipeline import RankingPipeline
from processors.ranking.read_models import ReadModels
from processors.ranking.rule_index import RuleIndex
from processors.ranking.settings import Placement, RankingSettings
from processors.ranking.slate import SlateItem, Slates
from processors.ranking.sources import SourceSettings
from processors.users.profile import Profile

WIDTH = 4
SIZE = 3
NOW = 1_700_000_000_000
ACTIONS = ("view", "click", "fav", "cart", "purchase")


def view(
    trend: float,
    neighbours: dict[str, tuple[float, float]] | None = None,
    category: str | None = None,
    trends: tuple[float, float, float] | None = None,
    visits: int = 1,
    seen: tuple[int, int] = (NOW, NOW),
    price: float | None = None,
    entries: float = NO_ENTRIES,
) -> ItemView:
    """A view with (together, after) per neighbour."""
    shares = np.array(list((neighbours or {}).values()), "<f4").reshape(-1, 2)
    return ItemView(
        trends or (trend, trend, trend),
        visits,
        *seen,
        list(neighbours or {}),
        shares[:, 0].tobytes(),
        shares[:, 1].tobytes(),
        category,
        None,
        price,
        since=seen[0],
        entries=entries,
    )


def profile(
    *items: str,
    counts: Sequence[int] = (),
    older: Sequence[str] = (),
    times: Sequence[int] = (),
    weights: Sequence[float] = (),
    actions: Sequence[str] = (),
) -> Profile:
    """A profile with these recent items, the oldest first."""
    return Profile(
        item_ids=list(items),
        item_counts=list(counts) or [1] * len(items),
        item_times=list(times) or [NOW] * len(items),
        item_weights=list(weights) or [1.0] * len(items),
        item_actions=list(actions) or ["view"] * len(items),
        last_seen=max(times, default=NOW),
        events=sum(counts) or len(items),
        older_items=b"".join(map(fingerprint, older)),
    )


def touched(user: Profile, item: str) -> bool:
    """Whether the user has ever touched the item."""
    ring = user.older_items
    marks = [ring[at : at + FINGERPRINT_BYTES] for at in range(0, len(ring), FINGERPRINT_BYTES)]
    return item in user.item_ids or fingerprint(item) in marks


@dataclass
class World:
    """Views, users and settings, and what the ranker makes of them."""

    views: dict[str, ItemView]
    users: list[Profile]
    settings: RankingSettings = field(default_factory=RankingSettings)
    rules: RuleIndex = field(default_factory=RuleIndex)
    groups: tuple[GroupView, ...] = ()
    contexts: dict[str, ContextView] = field(default_factory=dict)

    def index(self) -> ItemIndex:
        """All views, applied."""
        index = ItemIndex(neighbours=WIDTH, embedding_size=SIZE)
        for item, published in self.views.items():
            index.apply(item, published)
        return index

    def read(self, features: tuple[str, ...] = ()) -> ReadModels:
        """All read models, with nothing learned of the features."""
        read = ReadModels(self.index(), ServingWeights(features, baseline_weights()), rules=self.rules)
        read.groups.apply(self.groups)
        read.contexts.apply(self.contexts)
        return read

    def ranked(self) -> list[Slates]:
        """Per placement."""
        ranker, moments = RankingPipeline(self.settings), [NOW] * len(self.users)
        return ranker.rank(self.users, moments, self.read(ranker.features), NOW)

    def slates(self) -> list[list[list[SlateItem]]]:
        """Per placement and user."""
        read, ranked = self.read(), self.ranked()
        return [[part.items(row, read) for row in range(len(self.users))] for part in ranked]

    def neighbours(self, item: str) -> dict[str, tuple[float, float]]:
        """(together, after) of each published neighbour."""
        if item not in self.views:
            return {}
        published = self.views[item]
        columns = np.frombuffer(published.together, "<f4"), np.frombuffer(published.after, "<f4")
        together, after = (column.astype(float).tolist() for column in columns)
        return dict(zip(published.neighbours, zip(together, after, strict=True), strict=True))

    def known(self) -> set[str]:
        """Items that are published or somebody's neighbour."""
        return set(self.views) | {name for published in self.views.values() for name in published.neighbours}

    def best(self, score: str, k: int) -> list[str]:
        """Published items with the highest trend (``0``, ``1``, ``2``) or most ``visits``."""

        def key(item: str) -> tuple[float, bytes]:
            published = self.views[item]
            value = float(published.visits) if score == "visits" else published.trends[int(score)]
            return value, fingerprint(item)[::-1]

        return sorted(self.views, key=key, reverse=True)[:k]


def random_groups(random: np.random.Generator, names: Sequence[str]) -> tuple[GroupView, ...]:
    """No groups to a few, with some of the items and some that nobody knows."""
    views = []
    for _ in range(random.integers(0, 4)):
        items = tuple(random.permutation([*names, "unknown 0"])[:8].tolist())
        weights = tuple(np.linspace(1.0, 0.1, len(items)).tolist())
        centre = random.normal(0.0, 0.2, DIMENSIONS).astype("<f4").tobytes()
        views.append(GroupView(centre, 0.5, ("tents",), items, weights))
    return tuple(views)


def random_contexts(random: np.random.Generator, names: Sequence[str]) -> dict[str, ContextView]:
    """What is chosen in a few contexts, with some items that nobody knows."""
    views = {}
    for name in ("country:DE", "country:FR", "device:phone"):
        items = tuple(random.permutation([*names, "unknown 0"])[:6].tolist())
        views[name] = ContextView(items, tuple(np.linspace(1.0, 0.2, len(items)).tolist()))
    return views


def random_world(seed: int) -> World:
    """A world in which everything varies that can."""
    random = np.random.default_rng(seed)
    names = [f"item {n}" for n in range(random.integers(1, 40))]

    def some(most: int) -> list[str]:
        return [str(name) for name in random.permutation(names)[: random.integers(0, most + 1)]]

    def moments(n: int) -> list[int]:
        return sorted(int(NOW - age) for age in random.exponential(10.0 ** random.integers(4, 9), n))

    views = {}
    for item in some(len(names)):
        others = [name for name in some(WIDTH) if name != item]
        shares = random.random((len(others), 2)) * (random.random((len(others), 2)) < 0.7)
        trends = random.normal(9000.0, 3.0, 3).tolist()
        first, last = moments(2)
        visits = int(random.integers(1, 50))
        views[item] = view(
            0.0,
            dict(zip(others, map(tuple, shares), strict=True)),
            category=str(random.choice(["tents", "lamps"])) if random.random() < 0.8 else None,
            trends=(trends[0], trends[1], trends[2]),
            visits=visits,
            seen=(first, last),
            entries=trends[1] - visits % 4 if visits % 3 else NO_ENTRIES,
            price=float(random.integers(1, 100)) if random.random() < 0.5 else None,
        )
    users = []
    for _ in range(random.integers(1, 8)):
        items = some(20) + [f"unknown {n}" for n in range(random.integers(0, 3))]
        random.shuffle(items)
        n = len(items)
        users.append(
            profile(
                *items,
                counts=[int(count) for count in random.integers(1, 9, n)],
                older=some(5),
                times=moments(n),
                weights=random.random(n).tolist(),
                actions=[str(action) for action in random.choice(ACTIONS, n)],
            )
        )
    for user in users[::2]:
        user.context = {"country": str(random.choice(["DE", "FR", "IT"])), "device": "phone"}
        user.context["language"] = str(random.choice(["en", "zh", "fr"]))
    placements = (
        Placement("home", size=int(random.integers(1, 30))),
        Placement("discover", only_new=True, size=int(random.integers(1, 30))),
    )
    sources = SourceSettings(
        off=(),
        recent_items=int(random.integers(0, 12)),
        next_items=int(random.integers(0, 5)),
        position_decay=float(random.choice([0.8, 1.0, random.random()])),
        popular_items=int(random.choice([0, 3, 60])),
    )
    return World(
        views,
        users,
        RankingSettings(placements=placements, sources=sources),
        groups=random_groups(random, names),
        contexts=random_contexts(random, names),
    )
