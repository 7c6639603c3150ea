"""Which types every kernel was compiled for: after warming, and after streams of many kinds.

``python -m tests.streams.engine.signatures`` prints both as one JSON line, by name of the kernel. It is a process of
its own so that no other test has called a kernel before.
"""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec

from processors.common.compiled import KERNELS
from streams.engine.warm import warm
from streams.settings.sections import Settings
from tests.streams.engine.golden_stream import SETTINGS, play_with

_GOLDEN_ROUNDS, _ROUNDS, _WORLDS = 72, 36, 6
_SOURCES = ("trending", "recent", "fresh", "related", "content", "category", "group")


def signatures() -> dict[str, list[str]]:
    """Types that each kernel was compiled for so far."""
    return {f"{k.py_func.__module__}.{k.__name__}": [str(signature) for signature in k.signatures] for k in KERNELS}


def random_settings(chance: random.Random) -> Settings:
    """Settings with some stages and sources off, and bounds as small as they may be."""
    some = chance.choice
    ranking: dict[str, Any] = {
        "placements": [
            {"name": "home", "size": some((1, 3, 9))},
            {"name": "discover", "only_new": some((True, False))},
        ],
        "sources": {"off": chance.sample(_SOURCES, some((0, 1, 3))), "recent_items": some((1, 4, 20))},
        "diversity": some((0, 1, 0.3)),
        "exploration": some((0, 1, 0.3)),
        "fatigue": some((0, 1, 0.7)),
        "fatigue_after": some((1, 2)),
        "training_examples": some((0, 4, 32)),
        "objectives": some(({}, {"margin": 1, "freshness": 0.5})),
    }
    world = {
        "topics": {"partitions": 4},
        "users": {"ranking": ranking, "profile": {"recent_items": some((2, 12)), "older_items": some((0, 16))}},
        "items": {"neighbours": some((4, 16)), "published_neighbours": some((1, 4)), "embedding_size": some((0, 3))},
        "read_model": {"max_items": some((5, 50_000))},
    }
    return msgspec.convert(world, Settings)


def main() -> None:
    """Warm, play and print."""
    warmed = warm()
    found: dict[str, Any] = {"warm": signatures()}
    for name in SETTINGS:
        play_with(msgspec.convert(SETTINGS[name], Settings), _GOLDEN_ROUNDS)
    for seed in range(_WORLDS):
        play_with(random_settings(random.Random(seed)), _ROUNDS, seed)
    found |= {"played": signatures(), "counted": [warmed.compiled, warmed.loaded], "again": warm().compiled}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
