"""What we know of an item: how wanted it is now, what it goes with, and the facts seen on its events."""

from collections.abc import Iterator
from operator import itemgetter

import msgspec
import numpy as np

from processors.catalog import Facts
from processors.common.bounds import MAX_STEPS, EmbeddingSize, HalfLife, Neighbours, Power, RowBytes, Steps
from processors.common.decay import growth, landmark_at, rebase
from processors.common.time import DAY_MS
from processors.signals import Touch


class ItemSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds and half-lives of an item's state.

    Parameters
    ----------
    neighbours
        Co-visited items kept per item. They may grow by half before the weakest are cut, so that a cut is rare.
    published_neighbours
        The strongest of them, which the read models get.
    neighbour_half_life_ms
        After this long a co-visit counts half.
    trend_half_lives_ms
        After so long a visit counts half for popularity: of the hour, of the day, of the week. How fast a shop's
        fashions change is not known beforehand, so the ranker gets all three.
    distance_power
        How fast a pair of visits loses weight with the steps between them: that number to the minus this power; 0 for
        all alike.
    next_distance
        A visit up to this many steps later in the session counts as "what came next".
    embedding_size
        Numbers of the embeddings in the catalogue; 0 if it has none. Every worker holds four bytes of each for each
        item.
    max_row_bytes
        Larger rows of the catalogue are refused unread.
    """

    neighbours: Neighbours = 300
    published_neighbours: Neighbours = 80
    neighbour_half_life_ms: HalfLife = 300 * DAY_MS
    trend_half_lives_ms: tuple[HalfLife, HalfLife, HalfLife] = (DAY_MS // 8, DAY_MS, 7 * DAY_MS)
    distance_power: Power = 0.85
    next_distance: Steps = 3
    embedding_size: EmbeddingSize = 0
    max_row_bytes: RowBytes = 262_144


class ItemState(msgspec.Struct, array_like=True):
    """One item's state. Times in milliseconds since the epoch.

    ``together`` and ``after`` are forward-decayed weights relative to ``landmark``: how much another item was visited
    in the same session, and how much within the next few steps after this one. ``trends`` are the decayed numbers of
    visits relative to ``trend_landmarks``, one per half-life. ``category``, ``brand`` and ``price`` are those seen on
    events; what the catalogue says, in ``facts``, goes before them. ``listed_ms`` is when it first had a row there.
    """

    landmark: int = 0
    together: dict[str, float] = msgspec.field(default_factory=dict)
    after: dict[str, float] = msgspec.field(default_factory=dict)
    trend_landmarks: list[int] = msgspec.field(default_factory=lambda: [0, 0, 0])
    trends: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.0, 0.0])
    visits: int = 0
    first_seen: int = 0
    last_seen: int = 0
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    facts: Facts | None = None
    listed_ms: int = 0
    withdrawn: bool = False
    purchases: int = 0


class Listing(msgspec.Struct, array_like=True, frozen=True):
    """What the read models get of an item's row in the catalogue, beside the facts that events can carry too.

    Parameters
    ----------
    available, margin, min_age, tags, regions, embedding
        As in :class:`processors.catalog.Facts`.
    """

    title: str | None = None
    supplier: str | None = None
    available: bool = True
    margin: float | None = None
    min_age: int | None = None
    tags: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    embedding: bytes = b""


class ItemView(msgspec.Struct, array_like=True, frozen=True):
    """What the read models get of an item.

    Parameters
    ----------
    trends
        Base-2 logarithms of the decayed visits, one per half-life, relative to the epoch: comparable between items at
        any time.
    neighbours
        Ids of the strongest neighbours, strongest first.
    together, after
        Their weights as little-endian float32, each kind summing to one.
    listing
        What the catalogue says beside category, brand and price; :obj:`None` if the item has no row.
    since
        Since when there is the item, milliseconds since the epoch: as published, or else as first seen anywhere; 0 if
        that is not known.
    withdrawn
        Whether the catalogue has withdrawn it: it must not be shown then, whatever else is known.
    purchases
        All purchases ever.
    """

    trends: tuple[float, float, float]
    visits: int
    first_seen: int
    last_seen: int
    neighbours: list[str]
    together: bytes
    after: bytes
    category: str | None = None
    brand: str | None = None
    price: float | None = None
    listing: Listing | None = None
    since: int = 0
    withdrawn: bool = False
    purchases: int = 0


class ItemKeeper:
    """Folds touches, pairs and rows of the catalogue into item states.

    Examples
    --------
    >>> keeper = ItemKeeper(ItemSettings())
    >>> state = ItemState()
    >>> keeper.touch(state, Touch(item=0, time_ms=1_700_000_000_000, weight=1.0, category="tents"))
    >>> keeper.pair(state, "lamp", distance=1, time_ms=1_700_000_000_000)
    >>> keeper.pair(state, "stove", distance=2, time_ms=1_700_000_000_000)
    >>> view = keeper.view(state)
    >>> view.neighbours, np.frombuffer(view.together, "<f4").round(3).tolist()
    (['lamp', 'stove'], [0.6430000066757202, 0.3569999933242798])
    """

    def __init__(self, settings: ItemSettings) -> None:
        self.settings = settings
        self._of_distance = [max(1, steps) ** -settings.distance_power for steps in range(MAX_STEPS + 1)]

    def touch(self, state: ItemState, touch: Touch) -> None:
        """Count a visit and take over the facts it carries, in place. Facts of the latest visit win."""
        for scale, half_life in enumerate(self.settings.trend_half_lives_ms):
            landmark, before = landmark_at(touch.time_ms, half_life), state.trend_landmarks[scale]
            if landmark > before:
                state.trends[scale] *= rebase(before, landmark, half_life)
                state.trend_landmarks[scale] = before = landmark
            state.trends[scale] += growth(touch.time_ms, before, half_life)
        state.visits += 1
        state.purchases += touch.purchased
        state.first_seen = min(state.first_seen or touch.time_ms, touch.time_ms)
        newest = touch.time_ms >= state.last_seen
        state.last_seen = max(state.last_seen, touch.time_ms)
        if touch.category is not None and (newest or state.category is None):
            state.category = touch.category
        if touch.brand is not None and (newest or state.brand is None):
            state.brand = touch.brand
        if touch.price is not None and (newest or state.price is None):
            state.price = touch.price

    def pair(self, state: ItemState, other: str, distance: int, time_ms: int) -> None:
        """Count that ``other`` was visited ``distance`` steps later (earlier, if negative) in a session, in place."""
        settings = self.settings
        half_life = settings.neighbour_half_life_ms
        landmark = landmark_at(time_ms, half_life)
        if landmark > state.landmark:
            self._rebase(state, landmark)
        weight, steps = growth(time_ms, state.landmark, half_life), abs(distance)
        state.together[other] = state.together.get(other, 0.0) + weight * self._of_distance[steps]
        if 0 < distance <= settings.next_distance:
            state.after[other] = state.after.get(other, 0.0) + weight / steps
        if len(state.together) > settings.neighbours * 3 // 2:
            self._cut(state)

    def describe(self, state: ItemState, facts: Facts | None, time_ms: int) -> None:
        """Take over a row of the catalogue as a whole, in place; :obj:`None` withdraws the item until the next one.

        Parameters
        ----------
        time_ms
            When the row arrived.
        """
        state.facts, state.withdrawn = facts, facts is None
        if facts is None:
            state.listed_ms = 0
        elif not state.listed_ms:
            state.listed_ms = time_ms

    def view(self, state: ItemState) -> ItemView:
        """What is published of a state. Complexity: a sort of the neighbours."""
        if state.withdrawn:
            return ItemView(
                self._trends(state), state.visits, state.first_seen, state.last_seen, [], b"", b"", withdrawn=True
            )
        facts = state.facts or _NO_FACTS
        after = state.after
        strongest = sorted(_with_order(state), key=itemgetter(1, 0), reverse=True)
        names = [name for name, _ in strongest[: self.settings.published_neighbours]]
        return ItemView(
            trends=self._trends(state),
            visits=state.visits,
            first_seen=state.first_seen,
            last_seen=state.last_seen,
            neighbours=names,
            together=_shares([state.together[name] for name in names]),
            after=_shares([after.get(name, 0.0) for name in names]),
            category=state.category if facts.category is None else facts.category,
            brand=state.brand if facts.brand is None else facts.brand,
            price=state.price if facts.price is None else facts.price,
            listing=None if state.facts is None else _listing(state.facts),
            since=_since(state, facts),
            purchases=state.purchases,
        )

    def _trends(self, state: ItemState) -> tuple[float, float, float]:
        half_lives = self.settings.trend_half_lives_ms
        hour, day, week = map(_log2_at_epoch, state.trends, state.trend_landmarks, half_lives)
        return hour, day, week

    def _rebase(self, state: ItemState, landmark: int) -> None:
        factor = rebase(state.landmark, landmark, self.settings.neighbour_half_life_ms)
        state.together = {name: weight * factor for name, weight in state.together.items()}
        state.after = {name: weight * factor for name, weight in state.after.items()}
        state.landmark = landmark

    def _cut(self, state: ItemState) -> None:
        strongest = sorted(_with_order(state), key=itemgetter(1, 0), reverse=True)
        kept = {name for name, _ in strongest[: self.settings.neighbours]}
        state.together = {name: weight for name, weight in state.together.items() if name in kept}
        state.after = {name: weight for name, weight in state.after.items() if name in kept}


_NO_FACTS = Facts()


def _listing(facts: Facts) -> Listing:
    return Listing(
        title=facts.title,
        supplier=facts.supplier,
        available=facts.available,
        margin=facts.margin,
        min_age=facts.min_age,
        tags=facts.tags,
        regions=facts.regions,
        embedding=facts.embedding,
    )


def _since(state: ItemState, facts: Facts) -> int:
    if facts.published_ms is not None:
        return max(0, facts.published_ms)
    return min((moment for moment in (state.first_seen, state.listed_ms) if moment), default=0)


def _with_order(state: ItemState) -> Iterator[tuple[str, float]]:
    """Neighbours with the weight they are kept by: together, and once more for coming after."""
    after = state.after
    return ((name, weight + after.get(name, 0.0)) for name, weight in state.together.items())


def _shares(weights: list[float]) -> bytes:
    column = np.array(weights, np.float64)
    total = column.sum()
    return (column / total if total > 0.0 else column).astype("<f4").tobytes()


def _log2_at_epoch(weight: float, landmark_ms: int, half_life_ms: int) -> float:
    return (float(np.log2(weight)) if weight > 0.0 else -1e6) + landmark_ms / half_life_ms
