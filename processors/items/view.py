"""The item view: what the items plane publishes of an item, and the catalogue attributes within it."""

from __future__ import annotations

import msgspec

NO_ENTRIES = -1e9
"""Trend of what was never the first item of a session."""


class Attributes(msgspec.Struct, array_like=True, frozen=True):
    """The attributes in a row of the catalogue; what the row leaves out is :obj:`None` or empty.

    Parameters
    ----------
    price
        Price in ``currency``, finite and not negative.
    available
        Whether the item can be bought now.
    margin
        Share of the price that the shop keeps, in [0, 1].
    embedding
        The embedding of the row, scaled to length one: little-endian half precision, rounded to multiples of
        :data:`processors.items.catalogue_fields.EMBEDDING_STEP`.
    published_ms
        When the item was published, milliseconds since the epoch.
    min_age
        Age in years from which a user may be shown the item.
    regions
        Regions that the item may be shown in; empty for everywhere.
    """

    title: str | None = None
    category: str | None = None
    brand: str | None = None
    supplier: str | None = None
    price: float | None = None
    currency: str | None = None
    tags: tuple[str, ...] = ()
    url: str | None = None
    image_url: str | None = None
    available: bool = True
    margin: float | None = None
    embedding: bytes = b""
    published_ms: int | None = None
    min_age: int | None = None
    regions: tuple[str, ...] = ()


class Listing(msgspec.Struct, array_like=True, frozen=True):
    """What is published of an item's row in the catalogue, beside category, brand and price, which events have too.

    Parameters
    ----------
    available, margin, min_age, tags, regions, embedding
        As in :class:`processors.items.view.Attributes`.
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
    """What is published of an item to every worker.

    Parameters
    ----------
    trends
        Base-2 logarithms of the decayed visits relative to the epoch, one per half-life: comparable between items at
        any time.
    visits, purchases
        Numbers of visits and purchases, all time.
    first_seen, last_seen
        Times of the earliest and the latest touch, milliseconds since the epoch.
    neighbours
        Ids of the co-visited items of highest weight, the highest first.
    together, after
        Weights of the neighbours as little-endian float32: visited in the same session, visited soon after. Each sums
        to one or is zero.
    category, brand, price
        As the catalogue says, or else as last seen on events.
    listing
        The rest of the item's row in the catalogue; :obj:`None` if it has none.
    since
        When the item was published, or else first seen or listed, milliseconds since the epoch; 0 if unknown.
    withdrawn
        Whether the catalogue has withdrawn it: it must not be shown then, whatever else is known.
    entries
        As the trend of the middle half-life, of visits that were the first of a session; :data:`NO_ENTRIES` if none
        was.
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
    entries: float = NO_ENTRIES


def decode_view(value: bytes | None) -> ItemView | None:
    """Decode the value of a record on ``broadcast.items``; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(ItemView)
