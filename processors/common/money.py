"""The one currency that everything counts in, what others are worth in it, and prices per thousand impressions."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from processors.common.arrays import Floats
from processors.common.bounds import PositiveRate

Currency = Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
"""Code of a currency by ISO 4217."""

Price = TypeVar("Price", float, Floats)


class MoneySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In what profiles, campaigns, items and reports count money.

    Parameters
    ----------
    currency
        The currency. An amount that names none is in it.
    rates
        By the code of another currency: what one unit of it is worth. Amounts in currencies that are not listed are
        not counted.

    Examples
    --------
    >>> money = MoneySettings(rates={"JPY": 0.0063})
    >>> money.rate("jpy"), money.rate("EUR"), money.rate(None), money.rate("XAU") is None
    (0.0063, 1.0, 1.0, True)
    """

    currency: Currency = "EUR"
    rates: dict[Currency, PositiveRate] = msgspec.field(default_factory=dict)

    def rate(self, currency: str | None) -> float | None:
        """Return what a unit of a currency is worth; :obj:`None` if that is not known."""
        if currency is None or currency == self.currency:
            return 1.0
        code = currency.strip().upper()
        return 1.0 if code == self.currency else self.rates.get(code)

    def amount(self, amount: float | None, currency: str | None, name: str, notes: list[str]) -> float | None:
        """Return an amount in the one currency; :obj:`None` if there is none, or if its rate is not known.

        Parameters
        ----------
        amount, currency
            The amount, and the currency that it is in.
        name
            Name of the field, for the note ``price:no_rate`` that is added where the rate is missing.
        notes
            Gets that note.

        Examples
        --------
        >>> notes = []
        >>> MoneySettings().amount(5.0, "JPY", "price", notes), notes
        (None, ['price:no_rate'])
        """
        if amount is None:
            return None
        rate = self.rate(currency)
        if rate is None:
            notes.append(f"{name}:no_rate")
            return None
        return amount * rate


def per_impression(cpm: float) -> float:
    """Return the price of one impression, by which everything inside counts, of a price per thousand.

    Examples
    --------
    >>> per_impression(2.5)
    0.0025
    """
    return cpm / _IMPRESSIONS


def per_thousand(price: Price) -> Price:
    """Return the price of a thousand impressions (CPM), as apps, advertisers and operators are told, of that of one.

    Examples
    --------
    >>> per_thousand(0.0025)
    2.5
    """
    return price * _IMPRESSIONS


_IMPRESSIONS = 1000.0
