"""Simulated shoppers and their tastes: everything about one follows from the seed and a number, so none is stored."""

from __future__ import annotations

import math
from random import Random

import msgspec
import numpy as np

from processors.simulator.catalogue import STYLE_AXES
from processors.simulator.products import Catalogue, CategoryProducts, Floats

__all__ = ["Population", "Shopper", "liking"]

SKEW = 2.0
STYLE_WEIGHT = 1.6
BRAND_WEIGHT = 1.2
PRICE_WEIGHT = 2.0

_COUNTRIES = ("DE", "DE", "DE", "FR", "FR", "NL", "ES", "IT", "AT", "BE", "SE", "PL")
_DEVICES = (("mobile", "app"), ("mobile", "web"), ("desktop", "web"), ("desktop", "web"), ("tablet", "web"))


class Shopper(msgspec.Struct, frozen=True):
    """A person with known tastes.

    Parameters
    ----------
    user_id
        Such as ``shopper-0042``.
    interests
        Two or three categories with the share of sessions each gets; the shares add up to one.
    brands
        One or two preferred brands in each category of interest.
    price_level
        How dear things may be: the logarithm of price over usual price that suits best.
    style
        What appeals, on the catalogue's axes of taste.
    activity
        How readily this person comes to the shop when not in it; one is the average.
    buying
        How readily a click becomes a cart and a cart a purchase; one is usual.
    device, channel, country
        What this person's events say.

    Examples
    --------
    >>> from processors.simulator.catalogue import build_catalogue
    >>> shopper = Population(seed=1, size=200, catalogue=build_catalogue(seed=1)).shopper(42)
    >>> shopper.user_id, [category for category, _ in shopper.interests]
    ('shopper-0042', ['kitchen', 'cycling'])
    """

    user_id: str
    interests: tuple[tuple[str, float], ...]
    brands: tuple[tuple[str, ...], ...]
    price_level: float
    style: tuple[float, ...]
    activity: float
    buying: float
    device: str
    channel: str
    country: str


class Population:
    """Shoppers numbered from zero, a few of them very active and most of them seldom seen.

    Parameters
    ----------
    seed
        Decides who everyone is.
    size
        How many there are.
    catalogue
        Where their tastes lie.

    Examples
    --------
    >>> from processors.simulator.catalogue import build_catalogue
    >>> population = Population(seed=1, size=100_000, catalogue=build_catalogue(seed=1))
    >>> population.user_id(42), population.number("shopper-00042")
    ('shopper-00042', 42)
    """

    def __init__(self, seed: int, size: int, catalogue: Catalogue) -> None:
        if size < 1:
            raise ValueError(f"a population needs at least one shopper, not {size}")
        self.seed = seed
        self.size = size
        self._digits = max(4, len(str(size - 1)))
        self._categories = [(one.category, one.share) for one in catalogue.categories]
        self._brands = {one.category: one.brands for one in catalogue.categories}
        # An affine map scatters activity over the numbers: a permutation that needs no table.
        rng = Random(f"population:{seed}")
        self._shift = rng.randrange(size)
        self._stride = next(s for s in iter(lambda: rng.randrange(size) + 1, 0) if math.gcd(s, size) == 1)

    def user_id(self, number: int) -> str:
        """Return the readable id of a shopper.

        Examples
        --------
        >>> from processors.simulator.catalogue import build_catalogue
        >>> Population(seed=1, size=200, catalogue=build_catalogue(seed=1)).user_id(7)
        'shopper-0007'
        """
        return f"shopper-{number:0{self._digits}d}"

    def number(self, user_id: str) -> int:
        """Return the number in an id, or raise KeyError when nobody has that id.

        Examples
        --------
        >>> from processors.simulator.catalogue import build_catalogue
        >>> Population(seed=1, size=200, catalogue=build_catalogue(seed=1)).number("shopper-0007")
        7
        """
        digits = user_id.removeprefix("shopper-")
        number = int(digits) if digits.isdecimal() else self.size
        if number >= self.size or self.user_id(number) != user_id:
            raise KeyError(user_id)
        return number

    def draw(self, rng: Random) -> int:
        """Draw the number of the shopper who comes next, the active ones more often.

        Examples
        --------
        >>> from processors.simulator.catalogue import build_catalogue
        >>> population = Population(seed=1, size=200, catalogue=build_catalogue(seed=1))
        >>> 0 <= population.draw(Random(1)) < 200
        True
        """
        rank = int(self.size * rng.random() ** SKEW)
        return (self._stride * rank + self._shift) % self.size

    def shopper(self, number: int) -> Shopper:
        """Work out who a shopper is.

        Examples
        --------
        >>> from processors.simulator.catalogue import build_catalogue
        >>> shopper = Population(seed=1, size=200, catalogue=build_catalogue(seed=1)).shopper(42)
        >>> round(sum(share for _, share in shopper.interests), 6)
        1.0
        """
        rng = Random(f"shopper:{self.seed}:{number}")
        interests = self._interests(rng)
        device, channel = rng.choice(_DEVICES)
        return Shopper(
            user_id=self.user_id(number),
            interests=interests,
            brands=tuple(tuple(rng.sample(self._brands[name], rng.choice((1, 2)))) for name, _ in interests),
            price_level=rng.gauss(0, 0.35),
            style=tuple(rng.gauss(0, 1) for _ in range(STYLE_AXES)),
            activity=self._activity(number),
            buying=math.exp(rng.gauss(0, 0.25)),
            device=device,
            channel=channel,
            country=rng.choice(_COUNTRIES),
        )

    def _interests(self, rng: Random) -> tuple[tuple[str, float], ...]:
        left = list(self._categories)
        chosen = []
        for _ in range(rng.choice((2, 2, 3))):
            category = rng.choices(left, [share for _, share in left])[0]
            left.remove(category)
            chosen.append((category[0], 0.5 + rng.random()))
        total = sum(weight for _, weight in chosen)
        return tuple((name, weight / total) for name, weight in chosen)

    def _activity(self, number: int) -> float:
        rank = (number - self._shift) * pow(self._stride, -1, self.size) % self.size
        low, high = (float((rank + step) / self.size) ** (1 / SKEW) for step in (0, 1))
        return float(high - low) * self.size


def liking(shopper: Shopper, interest: int, products: CategoryProducts) -> Floats:
    """Return the chance of each product of a category when this shopper browses it by taste alone.

    Parameters
    ----------
    shopper
        Who looks.
    interest
        Which of the shopper's interests it is.
    products
        The products of that interest's category.

    Examples
    --------
    >>> from processors.simulator.catalogue import build_catalogue
    >>> catalogue = build_catalogue(seed=1)
    >>> shopper = Population(seed=1, size=200, catalogue=catalogue).shopper(42)
    >>> chances = liking(shopper, 0, catalogue.of_category("kitchen"))
    >>> round(float(chances.sum()), 6)
    1.0
    """
    favourite = np.array([BRAND_WEIGHT * (brand in shopper.brands[interest]) for brand in products.brands])
    appeal = STYLE_WEIGHT * (products.styles @ np.array(shopper.style)) + favourite[products.makers]
    weights = products.popularity * np.exp(appeal - PRICE_WEIGHT * np.abs(products.tiers - shopper.price_level))
    chances: Floats = weights / weights.sum()
    return chances
