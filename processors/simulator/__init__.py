"""Simulated shoppers with known tastes: a seeded, pure source of events and the truth to judge slates by.

Examples
--------
>>> simulator = Simulator(seed=1, shoppers=200)
>>> event = next(simulator.events(start_ms=0, rate_per_s=10))
>>> simulator.hit(event.key, simulator.truth_top(event.key)) > 0.5
True
"""

from processors.simulator.catalogue import EMBEDDING_SIZE, Catalogue, Product, build_catalogue, catalogue_rows
from processors.simulator.shoppers import Shopper, SimulatedEvent, Simulator

__all__ = [
    "EMBEDDING_SIZE",
    "Catalogue",
    "Product",
    "Shopper",
    "SimulatedEvent",
    "Simulator",
    "build_catalogue",
    "catalogue_rows",
]
