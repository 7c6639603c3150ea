"""The simulated shop's catalogue: named products with styles, prices and links to what people look at next, seeded.

A product is a model of a kind by a brand: "Halden Aster trail shoe".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from random import Random

import msgspec
import numpy as np

from processors.simulator.assortment import DEPARTMENTS
from processors.simulator.departments import Department, Kind
from processors.simulator.products import Catalogue, CategoryProducts, Floats, Positions, Product

__all__ = ["EMBEDDING_SIZE", "Catalogue", "CategoryProducts", "Product", "build_catalogue", "catalogue_rows"]

STYLE_AXES = 6
EMBEDDING_SIZE = STYLE_AXES + 1
LINKS = 4
ZIPF = 0.8
BRAND_MATCH = 1.0
MODEL_NAMES = """
Alder Amber Arc Aster Aurora Basalt Birch Bramble Breeze Cedar Cinder Clover Cobalt Coral Delta Drift Dune
Echo Ember Fern Fjord Flint Gale Grove Harbor Hazel Heron Indigo Iris Juniper Kestrel Lark Linden Lumen
Maple Meadow Mistral Moss Nimbus Nova Oak Onyx Orbit Otter Pebble Pine Quartz Raven Reed Ridge Sable Sage
Slate Solstice Sorrel Summit Swift Tarn Teal Thistle Tide Umber Vale Willow
"""


def build_catalogue(seed: int, size: int = 300) -> Catalogue:
    """Build a catalogue of `size` products; the same arguments give the same one.

    Parameters
    ----------
    seed
        Decides models, prices, popularity, styles and which product leads to which.
    size
        How many products; more means more models of each kind.

    Examples
    --------
    >>> build_catalogue(seed=1).products[30].name
    'Osterra Quartz sleeping mat'
    >>> len(build_catalogue(seed=1, size=2_000).products)
    2000
    """
    if size < len(DEPARTMENTS):
        raise ValueError(f"a catalogue needs a product for each of {len(DEPARTMENTS)} categories, not {size} in all")
    rng = Random(f"catalogue:{seed}")
    products: list[Product] = []
    categories = []
    groups: dict[str, range] = {}
    for number, (department, models) in enumerate(zip(DEPARTMENTS, _models_of_each_kind(size), strict=True)):
        start = len(products)
        for kind, count in zip(department.kinds, models, strict=True):
            groups[f"{department.name}/{kind.name}"] = range(len(products), len(products) + count)
            products += _models(rng, department, kind, count)
        categories.append(_category_products(rng, department, number, start, products))
    links = _links(groups, categories)
    return Catalogue(
        tuple(products), tuple(categories), links, {product.item_id: at for at, product in enumerate(products)}
    )


def catalogue_rows(catalogue: Catalogue, embeddings: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of every product's row on ``catalog.items.v1``, as an app would push it.

    Parameters
    ----------
    embeddings
        Whether rows carry an embedding: style and dearness, as an encoder of pictures might see them.
        :data:`EMBEDDING_SIZE` numbers.

    Examples
    --------
    >>> key, value = next(catalogue_rows(build_catalogue(seed=1)))
    >>> key, value[:63]
    (b'running-trail-shoe-cedar', b'{"item_id":"running-trail-shoe-cedar","title":"Velora Cedar tra')
    """
    categories = catalogue.categories
    looks = np.concatenate([np.column_stack([one.styles, one.tiers]) for one in categories])
    for product, look in zip(catalogue.products, looks.round(4).tolist(), strict=True):
        row = {
            "item_id": product.item_id,
            "title": product.name,
            "category": product.category,
            "brand": product.brand,
            "price": product.price,
            "currency": product.currency,
            "tags": [product.kind],
        }
        yield product.item_id.encode(), msgspec.json.encode(row | {"embedding": look} if embeddings else row)


def _models_of_each_kind(size: int) -> list[list[int]]:
    """Return how many of `size` models each kind gets, by department: in turns, every department's first kind first."""
    counts = [[0] * len(department.kinds) for department in DEPARTMENTS]
    turns = sorted((kind, number) for number, kinds in enumerate(counts) for kind in range(len(kinds)))
    for turn in range(size):
        kind, number = turns[turn % len(turns)]
        counts[number][kind] += 1
    return counts


def _models(rng: Random, department: Department, kind: Kind, count: int) -> list[Product]:
    names = MODEL_NAMES.split()
    rng.shuffle(names)
    stem = kind.name if kind.name.startswith(f"{department.name} ") else f"{department.name} {kind.name}"
    products = []
    for number in range(count):
        edition, at = divmod(number, len(names))
        model = names[at] if edition == 0 else f"{names[at]} {edition + 1}"
        maker = rng.randrange(len(department.brands))
        dearness = 0.72 * 1.15**maker * math.exp(rng.gauss(0, 0.12))
        products.append(
            Product(
                item_id=f"{stem} {model}".lower().replace(" ", "-"),
                name=f"{department.brands[maker]} {model} {kind.name}",
                category=department.name,
                kind=kind.name,
                brand=department.brands[maker],
                price=round(kind.price * dearness, 2),
            )
        )
    return products


def _category_products(
    rng: Random, department: Department, number: int, start: int, products: list[Product]
) -> CategoryProducts:
    mine = products[start:]
    usual = {kind.name: kind.price for kind in department.kinds}
    kind_style = {kind.name: _style(rng) for kind in department.kinds}
    brand_style = [_style(rng) for _ in department.brands]
    makers = [department.brands.index(product.brand) for product in mine]
    styles = [
        [k + b + own for k, b, own in zip(kind_style[product.kind], brand_style[maker], _style(rng), strict=True)]
        for product, maker in zip(mine, makers, strict=True)
    ]
    ranks = rng.sample(range(1, len(mine) + 1), len(mine))
    popularity = np.array([rank**-ZIPF for rank in ranks])
    return CategoryProducts(
        category=department.name,
        brands=department.brands,
        share=_visits(number) / sum(_visits(other) for other in range(len(DEPARTMENTS))),
        start=start,
        stop=len(products),
        popularity=popularity / popularity.sum(),
        styles=np.array(styles) / math.sqrt(3 * STYLE_AXES),
        tiers=np.array([math.log(product.price / usual[product.kind]) for product in mine]),
        makers=np.array(makers, dtype=np.intp),
    )


def _visits(number: int) -> float:
    return 1 / (number + 3)


def _style(rng: Random) -> list[float]:
    return [rng.gauss(0, 1) for _ in range(STYLE_AXES)]


def _links(groups: Mapping[str, range], categories: list[CategoryProducts]) -> tuple[tuple[int, ...], ...]:
    """Link each product to the models of the next kinds that match it best in style and brand."""
    styles = np.concatenate([one.styles for one in categories])
    brands = np.concatenate([one.makers + 100 * number for number, one in enumerate(categories)])
    links: list[tuple[int, ...]] = []
    for department in DEPARTMENTS:
        for kind in department.kinds:
            mine = groups[f"{department.name}/{kind.name}"]
            others = [groups[name] for name in kind.leads_to if groups[name]]
            columns = [_best_matches(styles, brands, mine, other) for other in others] if mine else []
            firsts = [column[:, 0] for column in columns]
            seconds = [column[:, 1] for column in columns if column.shape[1] > 1]
            following = np.stack(firsts + seconds, axis=1)[:, :LINKS] if columns else np.empty((len(mine), 0))
            links += [tuple(int(position) for position in row) for row in following]
    return tuple(links)


def _best_matches(styles: Floats, brands: Positions, mine: range, others: range) -> Positions:
    from_, to = slice(mine.start, mine.stop), slice(others.start, others.stop)
    match = styles[from_] @ styles[to].T - 0.5 * (styles[to] ** 2).sum(axis=1)
    match = match + BRAND_MATCH * (brands[from_, None] == brands[None, to])
    best = match.argmax(axis=1)
    columns = [best]
    if len(others) > 1:
        match[np.arange(len(mine)), best] = -np.inf
        columns.append(match.argmax(axis=1))
    found: Positions = others.start + np.stack(columns, axis=1)
    return found
