"""Fields of a campaign that contradict each other: what is refused when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from processors.common.domains import domain_of

if TYPE_CHECKING:
    from processors.ads.campaign import Campaign

_OF_WHO_PAYS = ("bid", "budget", "budget_daily", "bidfloor", "model", "priority")
_WITHOUT = {"bid": 0.0, "budget": 0.0, "budget_daily": None, "bidfloor": 0.0, "model": "cpm", "priority": 5}
"""Fields that a campaign of the house has no use for, and what they are if they are not given."""


def conflicts_of(campaign: Campaign) -> Iterator[str]:
    """Say which fields contradict each other: of who pays and who does not, of sizes, of domains.

    Examples
    --------
    >>> from processors.ads.campaign import Campaign, Creative
    >>> tent = Creative("a", "A tent", "https://shop.example/tent", w=300)
    >>> list(conflicts_of(Campaign("shop", (tent,), 2.0, house=True)))[0]
    'bid: 2.0, expected none, as house is true: the shop pays itself nothing'
    >>> list(conflicts_of(Campaign("shop", (tent,), 2.0, 100.0)))
    ['creatives[0].h: missing, expected a height beside the width']
    """
    if campaign.house:
        for field in _OF_WHO_PAYS:
            given = getattr(campaign, field)
            if given != _WITHOUT[field]:
                yield f"{field}: {given}, expected none, as house is true: {_WHY[field]}"
    else:
        for field in ("bid", "budget"):
            if getattr(campaign, field) <= 0.0:
                yield f"{field}: missing, expected an amount, as only a campaign with house = true pays nothing"
    for number, creative in enumerate(campaign.creatives):
        if (creative.w is None) != (creative.h is None):
            said = "h: missing, expected a height beside the width"
            if creative.w is None:
                said = "w: missing, expected a width beside the height"
            yield f"creatives[{number}].{said}"
    for domain in campaign.adomain:
        if not domain_of(domain):
            yield f"adomain: {domain[:60]!r}, expected a domain such as shop.example"


_PAYS_NOTHING = "the shop pays itself nothing"
_WHY = {**dict.fromkeys(_OF_WHO_PAYS, _PAYS_NOTHING), "priority": "what pays nothing comes after all that pays"}
