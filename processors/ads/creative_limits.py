"""Which creatives a placement or a request does not want: by advertiser, domain, category and size.

Creatives are looked up by what is listed, so that a list costs as many look-ups as it has entries, however many
creatives there are; and what a list comes to is remembered, as apps send the same one again and again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import msgspec
import numpy as np

from processors.ads.campaign import Campaign
from processors.ads.no_bid import NoBid
from processors.common.arrays import Ints
from processors.common.bounds import Ids
from processors.common.domains import domain_of, enclosing
from processors.common.text import folded

_MOST_REMEMBERED = 64
_PART_OF_IAB = re.compile(r"^(iab\d+)-\d+$")

Sizes = tuple[tuple[int, int], ...]
"""Widths and heights in pixels."""


class Blocks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is not to be shown.

    Parameters
    ----------
    advertisers
        Names of advertisers, the same in upper and lower case and in every Unicode form.
    categories
        Categories of creatives and of the items that they promote, likewise. One of IAB's such as ``IAB8`` stands for
        all that it has, such as ``IAB8-5``.
    domains
        Domains that creatives lead to; one stands for all within it.
    """

    advertisers: Ids = ()
    categories: Ids = ()
    domains: Ids = ()

    def __bool__(self) -> bool:
        """Whether anything is blocked."""
        return bool(self.advertisers or self.categories or self.domains)

    def __add__(self, other: Blocks) -> Blocks:
        """Return what is blocked by either."""
        if not (self and other):
            return self or other
        return Blocks(
            self.advertisers + other.advertisers, self.categories + other.categories, self.domains + other.domains
        )


@dataclass(frozen=True)
class CreativeLimits:
    """Finds the creatives that are blocked, and those of another size, among all that are approved.

    Attributes
    ----------
    count
        Number of creatives.
    of_advertiser, of_domain, of_category, of_size
        The creatives of each advertiser, in and within each domain, of each category, and of each size.
    sized
        The creatives that have a size.
    """

    count: int
    of_advertiser: Mapping[str, list[int]]
    of_domain: Mapping[str, list[int]]
    of_category: Mapping[str, list[int]]
    of_size: Mapping[tuple[int, int], list[int]]
    sized: Ints
    _found: dict[Blocks | Sizes, Ints | None] = field(default_factory=dict)

    @classmethod
    def of(cls, campaigns: Sequence[Campaign]) -> Self:
        """Lay out the approved creatives of campaigns, one campaign's after the other's."""
        of_advertiser, of_domain, of_category = dict[str, list[int]](), dict[str, list[int]](), dict[str, list[int]]()
        of_size, number = dict[tuple[int, int], list[int]](), 0
        for campaign in campaigns:
            own = {name for domain in campaign.adomain for name in enclosing(domain_of(domain))}
            for creative in campaign.approved:
                _add(of_advertiser, [folded(campaign.advertiser)], number)
                _add(of_domain, own or enclosing(domain_of(creative.landing_url)) or [_NO_DOMAIN], number)
                _add(of_category, names_of_category(creative.category), number)
                if creative.w is not None and creative.h is not None:
                    of_size.setdefault((creative.w, creative.h), []).append(number)
                number += 1
        sized = np.array(sorted(number for those in of_size.values() for number in those), np.int64)
        return cls(number, of_advertiser, of_domain, of_category, of_size, sized)

    def blocked(self, blocks: Blocks) -> Ints | None:
        """Return why creatives are blocked, a :class:`processors.ads.no_bid.NoBid`; :obj:`None` if none is.

        Complexity: a look-up per entry of a list that is not remembered.

        Returns
        -------
        int64 array of shape (creatives,) or None
            0 for those that are not blocked.

        Examples
        --------
        >>> from processors.ads.campaign import Creative
        >>> ads = (
        ...     Creative("a", "Gin", "https://m.gin.example/a", category="Drinks"),
        ...     Creative("b", "Rum", "https://rum"),
        ... )
        >>> limits = CreativeLimits.of([Campaign("shop", ads, 2.0, 100.0)])
        >>> limits.blocked(Blocks(categories=("drinks",))).tolist(), limits.blocked(Blocks(domains=("gin.example",)))
        ([532, 0], array([531,   0]))
        >>> limits.blocked(Blocks(advertisers=("gin.example",))) is None
        True
        """
        return self._remembered(blocks) if blocks in self._found else self._remember(blocks, self._blocked(blocks))

    def of_other_size(self, sizes: Sizes) -> Ints | None:
        """Return which creatives have another size than those listed, likewise. One without a size fits everywhere."""
        return self._remembered(sizes) if sizes in self._found else self._remember(sizes, self._of_other_size(sizes))

    def _blocked(self, blocks: Blocks) -> Ints:
        codes = np.zeros(self.count, np.int64)
        for names, creatives, code in (
            (map(folded, blocks.categories), self.of_category, NoBid.BLOCKED_CATEGORY),
            (map(domain_of, blocks.domains), self.of_domain, NoBid.BLOCKED_ADVERTISER),
            (map(folded, blocks.advertisers), self.of_advertiser, NoBid.BLOCKED_ADVERTISER),
        ):
            for name in names:
                codes[creatives.get(name, [])] = int(code)
        if blocks.domains:
            codes[self.of_domain.get(_NO_DOMAIN, [])] = int(NoBid.BLOCKED_ADVERTISER)
        return codes

    def _of_other_size(self, sizes: Sizes) -> Ints:
        codes = np.zeros(self.count, np.int64)
        codes[self.sized] = int(NoBid.OTHER_SIZE)
        for size in sizes:
            codes[self.of_size.get(size, [])] = 0
        return codes

    def _remembered(self, asked: Blocks | Sizes) -> Ints | None:
        return self._found[asked]

    def _remember(self, asked: Blocks | Sizes, codes: Ints) -> Ints | None:
        if len(self._found) >= _MOST_REMEMBERED:
            self._found.clear()
        self._found[asked] = codes if codes.any() else None
        return self._found[asked]


_NO_DOMAIN = ""
"""Stands for an address that no domain can be found in: it may lead to any, so it is blocked wherever one is."""


def why_unapproved(campaign: Campaign) -> int:
    """Say why no creative of a campaign may be shown: that one is pending, or that all were rejected; 0 if one may."""
    if campaign.approved:
        return 0
    waits = any(creative.status == "pending" for creative in campaign.creatives)
    return int(NoBid.PENDING if waits else NoBid.REJECTED)


def _add(creatives: dict[str, list[int]], names: Iterable[str], number: int) -> None:
    for name in names:
        creatives.setdefault(name, []).append(number)


def names_of_category(category: str | None) -> list[str]:
    """Return by which names a category is blocked, :func:`folded`: its own and, of a part of one of IAB's, that one's.

    Examples
    --------
    >>> names_of_category("Tents"), names_of_category("IAB8-5"), names_of_category(None)
    (['tents'], ['iab8-5', 'iab8'], [])
    """
    if category is None:
        return []
    name = folded(category)
    part = _PART_OF_IAB.match(name)
    return [name, part[1]] if part else [name]
