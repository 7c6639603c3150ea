"""Departments of the simulated shop and the kinds of product they sell: the types, and how they are read from text."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Department", "Kind", "department"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of product, such as a tent.

    Parameters
    ----------
    name
        The words a person would use.
    price
        The usual price in euros.
    leads_to
        Kinds people look at next, likeliest first, each as ``department/kind``.

    Examples
    --------
    >>> Kind("tent", 249.0, ("camping/sleeping bag",)).leads_to
    ('camping/sleeping bag',)
    """

    name: str
    price: float
    leads_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Department:
    """A part of the shop with its own brands.

    Parameters
    ----------
    name
        The category that products carry.
    brands
        From the cheapest to the dearest.
    kinds
        What it sells.

    Examples
    --------
    >>> Department("camping", ("Roam", "Alpenglow"), ()).brands[0]
    'Roam'
    """

    name: str
    brands: tuple[str, ...]
    kinds: tuple[Kind, ...]


def department(name: str, brands: str, table: str) -> Department:
    """Read a department from text.

    Parameters
    ----------
    name
        The category that its products carry.
    brands
        Its brands, from the cheapest to the dearest, separated by spaces.
    table
        A line for each kind: ``kind | usual price in euros | kinds people look at next``, the latter separated by
        commas. A kind of another department is written ``department/kind``.

    Examples
    --------
    >>> department("camping", "Roam", "tent | 249 | headlamp, office/desk mat").kinds
    (Kind(name='tent', price=249.0, leads_to=('camping/headlamp', 'office/desk mat')),)
    """
    kinds = []
    for line in table.strip().splitlines():
        kind, price, leads_to = (cell.strip() for cell in line.split("|"))
        follows = (other.strip() for other in leads_to.split(","))
        kinds.append(Kind(kind, float(price), tuple(f if "/" in f else f"{name}/{f}" for f in follows)))
    return Department(name, tuple(brands.split()), tuple(kinds))
