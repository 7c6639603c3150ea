"""The item state that the items plane keeps: trends, visits, co-visited items, and attributes. Bounded in size."""

import msgspec

from processors.common.bounds import (
    EmbeddingSize,
    HalfLife,
    IdleDays,
    Milliseconds,
    Neighbours,
    Power,
    RowBytes,
    Share,
    Steps,
)
from processors.common.time import DAY_MS
from processors.items.view import Attributes
from processors.items.voices import VoiceSettings, Votes


class ItemSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds and half-lives of an item's state.

    Parameters
    ----------
    neighbours
        Co-visited items kept per item. They may grow by half before the weakest are cut, so that cuts are rare.
    published_neighbours
        Co-visited items published to the workers: the strongest.
    neighbour_half_life_ms
        After this long a co-visitation counts half; milliseconds.
    trend_half_lives_ms
        After this long a visit counts half for the trend; milliseconds, the shortest first. How fast tastes change in a
        shop is not known beforehand, so the ranker gets three trends, about of the hour, the day and the week.
    distance_power
        A pair of visits ``n`` steps apart in a session weighs ``n`` to the minus this power; 0 weighs all alike.
    next_distance
        An item visited up to this many steps later in the session counts as visited "after".
    embedding_size
        Length of the embeddings in the catalogue; 0 if it has none. Every worker holds four bytes per number and item.
    max_row_bytes
        Larger rows of the catalogue are refused without decoding them.
    publish_share
        An item is published again once its shortest trend, visits, purchases, or the weight of its neighbours have
        grown by more than this share since they were last published. 0 publishes at every change.
    publish_within_ms
        Longest time that a smaller change is held back while the item is in use: the first event with it after that
        many milliseconds publishes it.
    expire_after_days
        Days without an event after which an item is deleted that the catalogue does not list; 0 keeps items for ever.
    voices
        How much each touch counts.
    """

    neighbours: Neighbours = 300
    published_neighbours: Neighbours = 80
    neighbour_half_life_ms: HalfLife = 300 * DAY_MS
    trend_half_lives_ms: tuple[HalfLife, HalfLife, HalfLife] = (DAY_MS // 8, DAY_MS, 7 * DAY_MS)
    distance_power: Power = 0.85
    next_distance: Steps = 3
    embedding_size: EmbeddingSize = 0
    max_row_bytes: RowBytes = 262_144
    publish_share: Share = 0.1
    publish_within_ms: Milliseconds = 60_000
    expire_after_days: IdleDays = 400.0
    voices: VoiceSettings = VoiceSettings()


class Published(msgspec.Struct, array_like=True):
    """What tells whether an item is news again: figures as they were last published, and what came since.

    Parameters
    ----------
    at_ms
        When the item was last published, milliseconds since the epoch; 0 if it never was.
    trend
        The shortest trend then, base-2 logarithm relative to the epoch.
    purchases, visits
        Numbers of purchases and visits then.
    added
        Weight of neighbours added since, relative to the state's landmark.
    outdated
        Whether a fact has changed since: category, brand, price, the row of the catalogue.
    """

    at_ms: int = 0
    trend: float = 0.0
    purchases: int = 0
    added: float = 0.0
    outdated: bool = True
    visits: int = 0


class ItemState(msgspec.Struct, array_like=True):
    """One item's state. Its fields are stored by position: a new one goes to the end, with a default.

    Times are milliseconds since the epoch.

    Parameters
    ----------
    landmark
        Time that ``together`` and ``after`` are relative to (:mod:`processors.common.decay`).
    together, after
        Decayed weights of other items: visited in the same session, and within the next few steps after this one.
    trend_landmarks, trends
        Decayed visits by users with a past, one figure per half-life, and the times that they are relative to.
    visits, purchases
        Numbers of visits and purchases, all time, whatever they count.
    first_seen, last_seen
        Times of the earliest and the latest touch.
    category, brand, price
        As most events say. What the catalogue says, in ``attributes``, takes precedence.
    attributes
        The item's row in the catalogue; :obj:`None` if it has none.
    listed_ms
        When the item got its first row, since it was last withdrawn; 0 if it has none.
    withdrawn
        Whether the catalogue has withdrawn it.
    mass
        Sum of ``together``.
    published
        What was last published, as far as :meth:`processors.items.keeper.ItemKeeper.due` compares it.
    newcomers_trends
        As ``trends``, of visits by accounts without a past.
    counted, newcomers_counted
        What all visits count, by users with and accounts without a past (:mod:`processors.items.voices`).
    votes
        How much speaks for category, brand and price.
    entries, newcomers_entries
        As the trend of the middle half-life, of visits that were the first of a session.
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
    attributes: Attributes | None = None
    listed_ms: int = 0
    withdrawn: bool = False
    purchases: int = 0
    mass: float = 0.0
    published: Published = msgspec.field(default_factory=lambda: Published())
    newcomers_trends: list[float] = msgspec.field(default_factory=lambda: [0.0, 0.0, 0.0])
    counted: float = 0.0
    newcomers_counted: float = 0.0
    votes: Votes = msgspec.field(default_factory=Votes)
    entries: float = 0.0
    newcomers_entries: float = 0.0

    @property
    def facts(self) -> Attributes | None:
        """What the catalogue says of the item: :attr:`attributes`, under the name that scripts of users know."""
        return self.attributes
