"""Products of the simulated shop: what an app shows of them, and what only the simulator may know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

__all__ = ["Catalogue", "CategoryProducts", "Floats", "Positions", "Product"]

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.intp]


class Product(msgspec.Struct, frozen=True):
    """A product, as an app shows it.

    Parameters
    ----------
    item_id
        A readable slug.
    name
        Brand, model and kind.
    category
        The department that sells it.
    kind
        What it is, whoever makes it.
    brand
        Who makes it.
    price
        In `currency`.
    currency
        ISO 4217 code.

    Examples
    --------
    >>> from processors.simulator import build_catalogue
    >>> product = build_catalogue(seed=1).products[0]
    >>> product.item_id, product.category, product.kind
    ('running-trail-shoe-cedar', 'running', 'trail shoe')
    """

    item_id: str
    name: str
    category: str
    kind: str
    brand: str
    price: float
    currency: str = "EUR"


@dataclass(frozen=True, eq=False, slots=True)
class CategoryProducts:
    """The products of one category, which follow each other in the catalogue.

    Parameters
    ----------
    category
        Name of the category.
    brands
        From the cheapest to the dearest.
    share
        How readily shoppers take an interest in this category, relative to all.
    start, stop
        The products' positions in the catalogue, from `start` to before `stop`.
    popularity
        Each product's share of the category, by Zipf's law over a random order.
    styles
        A row for each product: its coordinates on the axes of taste.
    tiers
        How dear each is for its kind: the logarithm of price over usual price.
    makers
        Each product's index into `brands`.

    Examples
    --------
    >>> from processors.simulator import build_catalogue
    >>> running = build_catalogue(seed=1).categories[0]
    >>> running.category, running.start, running.stop, round(float(running.popularity.sum()), 6)
    ('running', 0, 25, 1.0)
    """

    category: str
    brands: tuple[str, ...]
    share: float
    start: int
    stop: int
    popularity: Floats
    styles: Floats
    tiers: Floats
    makers: Positions


@dataclass(frozen=True, eq=False, slots=True)
class Catalogue:
    """Products in a fixed order, and what the simulator knows about them.

    Parameters
    ----------
    products
        In order; "position" always means an index into this.
    categories
        The categories, most visited first.
    links
        By position: positions of what people look at next, likeliest first.
    positions
        By item id.

    Examples
    --------
    >>> from processors.simulator import build_catalogue
    >>> catalogue = build_catalogue(seed=1)
    >>> len(catalogue.products), len(catalogue.categories)
    (300, 12)
    """

    products: tuple[Product, ...]
    categories: tuple[CategoryProducts, ...]
    links: tuple[tuple[int, ...], ...]
    positions: Mapping[str, int]

    def next_after(self, item_id: str) -> list[Product]:
        """Return what people look at after this product, likeliest first.

        Examples
        --------
        >>> from processors.simulator import build_catalogue
        >>> catalogue = build_catalogue(seed=1)
        >>> tent = next(product for product in catalogue.products if product.kind == "tent")
        >>> [product.kind for product in catalogue.next_after(tent.item_id)]
        ['sleeping bag', 'sleeping mat', 'headlamp', 'sleeping bag']
        """
        return [self.products[position] for position in self.links[self.positions[item_id]]]

    def of_category(self, category: str) -> CategoryProducts:
        """Return the products of a category.

        Examples
        --------
        >>> from processors.simulator import build_catalogue
        >>> build_catalogue(seed=1).of_category("camping").brands[0]
        'Roam'
        """
        return next(one for one in self.categories if one.category == category)

    def popularity(self) -> Floats:
        """Return every product's share of the visits, as if all shoppers had the same tastes.

        Examples
        --------
        >>> from processors.simulator import build_catalogue
        >>> round(float(build_catalogue(seed=1).popularity().sum()), 6)
        1.0
        """
        return np.concatenate([one.share * one.popularity for one in self.categories])
