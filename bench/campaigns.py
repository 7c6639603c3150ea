"""Campaigns for the benchmarks of ads: of all models and kinds of targeting, with more money than they can spend."""

from __future__ import annotations

from typing import Any

import orjson

from bench.load import SEED, LoadEvent
from processors.common.topics import CAMPAIGNS_TOPIC
from processors.simulator import build_catalogue
from processors.simulator.products import Product

_CREATIVES = 3
_BIDS = {"cpm": 40.0, "cpc": 0.5, "cpa": 12.0}


def campaigns_of(number: int, items: int, budget: float = 1e6) -> dict[str, dict[str, Any]]:
    """Return campaigns for products of the simulated catalogue, by id; the same arguments give the same ones.

    Every second one is for everybody, the others for some: by interest, device, items looked at, or history. All are
    paced evenly, and all but the first third have caps.

    Examples
    --------
    >>> found = campaigns_of(6, items=100)
    >>> list(found)[:2], [fields["model"] for fields in found.values()]
    (['campaign-000', 'campaign-001'], ['cpm', 'cpc', 'cpa', 'cpm', 'cpc', 'cpa'])
    """
    products = build_catalogue(SEED, items).products
    found: dict[str, dict[str, Any]] = {}
    for n in range(number):
        promoted = [products[(n * _CREATIVES + k) % len(products)] for k in range(_CREATIVES)]
        found[f"campaign-{n:03d}"] = _campaign(n, promoted, budget)
    return found


def _campaign(n: int, promoted: list[Product], budget: float) -> dict[str, Any]:
    """Return the n-th campaign, with a creative for each of the products."""
    model = tuple(_BIDS)[n % len(_BIDS)]
    targets: tuple[dict[str, Any], ...] = (
        {"interests": [{"name": promoted[0].category, "at_least": 0.05}]},
        {"devices": ["phone"]},
        {"viewed_categories": [promoted[0].category]},
        {"visitors": "returning"},
    )
    return {
        "advertiser": promoted[0].brand,
        "bid": _BIDS[model] * (1.0 + n % 7 / 7.0),
        "model": model,
        "budget": budget,
        "budget_daily": budget / 30.0,
        "target": {} if n % 2 else targets[n // 2 % len(targets)],
        "frequency": {} if n % 3 == 0 else {"per_hour": 5, "per_day": 20},
        "creatives": [
            {
                "crid": product.item_id,
                "title": product.name,
                "landing_url": f"https://shop.example/{product.item_id}",
                "item_id": product.item_id,
                "category": product.category,
            }
            for product in promoted
        ],
    }


def records_of(campaigns: dict[str, dict[str, Any]]) -> list[LoadEvent]:
    """Return the campaigns as records that can be appended."""
    return [LoadEvent(CAMPAIGNS_TOPIC, cid, orjson.dumps(fields)) for cid, fields in campaigns.items()]
