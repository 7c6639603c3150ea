"""What is known of an item, as it is kept, published and held by every worker."""

from __future__ import annotations

import msgspec


class Attributes(msgspec.Struct, array_like=True, frozen=True):
    """What a row says of an item; what it does not say is :obj:`None` or empty.

    Parameters
    ----------
    price
        In ``currency``, finite and not negative.
    available
        Whether it can be had now.
    margin
        Share of the price that the shop keeps, in [0, 1].
    embedding
        Direction of the user's embedding: little-endian half precision, of length one, rounded to multiples of
        :data:`processors.items.catalogue_fields.EMBEDDING_STEP`.
    published_ms
        Since when there is the item, milliseconds since the epoch.
    min_age
        Years.
    regions
        Where it may be shown; empty for everywhere.
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
    """What the read models get of an item's row in the catalogue, beside the attributes that events can carry too.

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


def decode_view(value: bytes | None) -> ItemView | None:
    """Item view of a broadcast record's value; a tombstone gives :obj:`None`."""
    return None if value is None else _DECODER.decode(value)


_DECODER = msgspec.msgpack.Decoder(ItemView)
