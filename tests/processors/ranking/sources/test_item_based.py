"""Item-based collaborative filtering gives the figures of the worked example, computed by hand."""

import pytest

from processors.common.time import DAY_MS
from processors.ranking.read_models import ReadModels
from processors.ranking.sources import Visitors
from processors.ranking.sources.item_based import ItemBased, ItemBasedSettings
from tests.processors.worlds import NOW, World, profile, view

ITEMS = {
    "tent": view(1.0, {"lamp": (0.6, 0.0), "stove": (0.4, 0.0)}),
    "mat": view(1.0, {"lamp": (0.5, 0.0), "pillow": (0.5, 0.0)}),
    "lamp": view(1.0),
    "stove": view(1.0),
    "pillow": view(1.0),
}


def summed(**settings: int) -> dict[str, float]:
    """What each item comes to for the user of the example."""
    user = profile("tent", "mat", times=(NOW - DAY_MS, NOW), actions=("cart", "view"))
    read: ReadModels = World(ITEMS, [user]).read()
    pairs = ItemBased(ItemBasedSettings(**settings)).propose(Visitors.of([user], [NOW], read.items), read)
    found: dict[str, float] = {}
    for slot, value in zip(pairs.slots.tolist(), pairs.values[:, 0].tolist(), strict=True):
        name = read.items.ids[slot]
        found[name] = found.get(name, 0.0) + value
    return found


def test_the_example_comes_out_as_computed_by_hand() -> None:
    # alpha * r * s: 0.5 for a day ago times 4 for a cart, 1 for now times 1 for a look.
    by_hand = {"lamp": 0.5 * 4 * 0.6 + 1 * 1 * 0.5, "stove": 0.5 * 4 * 0.4, "pillow": 1 * 1 * 0.5}
    assert summed() == pytest.approx(by_hand)


def test_only_the_last_items_and_their_most_similar_count() -> None:
    assert set(summed(rated_items=1)) == {"lamp", "pillow"}
    assert set(summed(similar_to_each=1)) == {"lamp"}
    assert summed(rated_items=0) == {}
