"""Fields of a campaign that contradict each other: what is refused when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from processors.common.domains import domain_of

if TYPE_CHECKING:
    from processors.ads.campaign import Campaign

_PAYS_NOTHING = "the shop pays itself nothing"
_COMES_LAST = "what pays nothing comes after all that pays"
_OF_WHO_PAYS = {
    **dict.fromkeys(("bid", "budget", "budget_daily", "bidfloor", "model", "goal"), _PAYS_NOTHING),
    **dict.fromkeys(("advertiser_budget", "advertiser_budget_daily"), _PAYS_NOTHING),
    "priority": _COMES_LAST,
}
"""Fields that a campaign of the house has no use for, and why."""


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
    yield from _who_pays(campaign)
    for number, creative in enumerate(campaign.creatives):
        if creative.w is None and creative.h is not None:
            yield f"creatives[{number}].w: missing, expected a width beside the height"
        if creative.h is None and creative.w is not None:
            yield f"creatives[{number}].h: missing, expected a height beside the width"
    for domain in campaign.adomain:
        if not domain_of(domain):
            yield f"adomain: {domain[:60]!r}, expected a domain such as shop.example"


def _who_pays(campaign: Campaign) -> Iterator[str]:
    if not campaign.house:
        for field in ("bid", "budget"):
            if getattr(campaign, field) <= 0.0:
                yield f"{field}: missing, expected an amount, as only a campaign with house = true pays nothing"
        return
    defaults = {field.name: field.default for field in msgspec.structs.fields(campaign)}
    for field, why in _OF_WHO_PAYS.items():
        given = getattr(campaign, field)
        if given != defaults[field]:
            yield f"{field}: {given}, expected none, as house is true: {why}"
