"""Small random catalogues: views of items with and without rows, and an index of them in any order."""

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from processors.items.catalogue_fields import direction
from processors.items.index import ItemIndex
from processors.items.view import ItemView, Listing
from processors.users.profile import Profile
from tests.processors.worlds import NOW, SIZE, profile, view

DAY = 86_400_000


def listed(
    category: str | None = None,
    brand: str | None = None,
    price: float | None = None,
    tags: Sequence[str] = (),
    embedding: Sequence[float] = (),
    since: int = 0,
    available: bool = True,
) -> ItemView:
    """View of an item with a row in the catalogue that nobody has visited."""
    vector = direction(list(embedding), len(embedding)) if embedding else b""
    listing = Listing(tags=tuple(tags), embedding=vector, available=available)
    plain = view(-1e6, category=category, price=price, visits=0, seen=(0, 0))
    return msgspec.structs.replace(plain, brand=brand, listing=listing, since=since)


def index_of(views: dict[str, ItemView], backwards: bool = False, size: int = SIZE) -> ItemIndex:
    """All views, applied in their order or the opposite one, and a slot that an item has left."""
    index = ItemIndex(neighbours=4, embedding_size=size)
    for item, published in reversed(views.items()) if backwards else views.items():
        index.apply(item, published)
    index.apply("withdrawn", listed("tents"))
    index.apply("withdrawn", None)
    return index


def likeness(one: ItemView, other: ItemView, step: float = 0.0) -> tuple[float, float]:
    """Content and cosine of two views, as the documentation says, logarithms of prices rounded to steps if wanted."""

    def level(price: float) -> float:
        return round(math.log1p(price) / step) * step if step else math.log1p(price)

    assert one.listing is not None
    assert other.listing is not None
    tags, others = set(one.listing.tags), set(other.listing.tags)
    near = 0.0
    if one.price is not None and other.price is not None:
        near = 1 / (1 + abs(level(one.price) - level(other.price)))
    content = (
        0.2 * (one.category is not None and one.category == other.category)
        + 0.2 * (one.brand is not None and one.brand == other.brand)
        + 0.2 * near
        + 0.4 * (len(tags & others) / len(tags | others) if tags | others else 0.0)
    )
    vectors = [np.frombuffer(listing.embedding, "<f2").astype(float) for listing in (one.listing, other.listing)]
    cosine = float(vectors[0] @ vectors[1]) if vectors[0].size and vectors[1].size else 0.0
    return content, min(max(cosine, 0.0), 1.0)


def random_views(seed: int, most: int = 40) -> dict[str, ItemView]:
    """Views in which everything varies that can, and many are alike."""
    random = np.random.default_rng(seed)

    def one() -> ItemView:
        if random.random() < 0.2:
            category = str(random.choice(["tents", "lamps"])) if random.random() < 0.5 else None
            plain = view(float(random.normal(9000, 3)), category=category, price=float(random.integers(1, 9)))
            return msgspec.structs.replace(plain, since=int(NOW - random.exponential(4 * DAY)))
        return listed(
            category=str(random.choice(["tents", "lamps"])) if random.random() < 0.8 else None,
            brand=str(random.choice(["Alm", "Berg"])) if random.random() < 0.8 else None,
            price=float(random.integers(0, 5)) if random.random() < 0.8 else None,
            tags=[str(tag) for tag in random.choice(["a", "b", "c", "d"], random.integers(0, 4), replace=False)],
            embedding=[1, *random.integers(-1, 2, SIZE - 1).tolist()] if random.random() < 0.7 else (),
            since=int(NOW - random.exponential(4 * DAY) + DAY // 2),
            available=bool(random.random() < 0.9),
        )

    return {f"item {n}": one() for n in range(random.integers(0, most))}


def visitor(seed: int, views: dict[str, ItemView]) -> Profile:
    """A user who touched some of the items, and one that nobody knows."""
    random = np.random.default_rng(seed)
    items = [*views, "unknown"]
    return profile(*(str(item) for item in random.permutation(items)[: random.integers(0, 8)]))
