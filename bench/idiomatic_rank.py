"""Ranking one user at a time, in plain Python: what the peers do for every event."""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import nlargest
from typing import Any

from bench.idiomatic_logic import RANKING, State, View, tie

_POINTS = tuple[float, float, float, float]


def slates(profile: State, views: Callable[[str], View], popular: list[tuple[str, float]]) -> list[list[State]]:
    """Return the slates of a user, one per placement.

    Parameters
    ----------
    profile
        The user's profile.
    views
        Returns the neighbours of an item.
    popular
        Items that :func:`bench.idiomatic_logic.most_popular` returned.
    """
    history = list(reversed(profile["items"].items()))
    points, links = _gather(history, views, popular)
    best_together = max((each[0] for each in points.values()), default=0.0) or 1.0
    best_next = max((each[1] for each in points.values()), default=0.0) or 1.0
    scored = {}
    for name, (together, following, recent, trending) in points.items():
        shares = (
            RANKING.together * together / best_together,
            RANKING.next * following / best_next,
            RANKING.recent * recent,
            RANKING.popular * trending,
        )
        scored[name] = sum(shares) + tie(name) * 1e-9, shares
    known = profile["items"].keys() | set(profile["older"])
    found = []
    for placement in RANKING.placements:
        names = scored.keys() - known if placement.only_new else scored.keys()
        top = nlargest(placement.size, names, key=lambda name: scored[name][0])
        found.append([_entry(rank, name, *scored[name], links.get(name, [])) for rank, name in enumerate(top, 1)])
    return found


def _gather(
    history: list[tuple[str, Any]], views: Callable[[str], View], popular: list[tuple[str, float]]
) -> tuple[dict[str, list[float]], dict[str, list[tuple[float, float, str]]]]:
    """Return what each source says of each candidate, and which of the user's items led to it."""
    points: dict[str, list[float]] = {}
    links: dict[str, list[tuple[float, float, str]]] = {}
    for position, (item_id, _) in enumerate(history[: RANKING.recent_items]):
        weight = RANKING.position_decay**position
        next_weight = weight if position < RANKING.next_items else 0.0
        for name, together, after in views(item_id):
            sources = points.setdefault(name, [0.0, 0.0, 0.0, 0.0])
            sources[0] += weight * together
            sources[1] += next_weight * after
            links.setdefault(name, []).append((weight * together, next_weight * after, item_id))
    for position, (item_id, (_, count, *_)) in enumerate(history):
        points.setdefault(item_id, [0.0, 0.0, 0.0, 0.0])[2] += math.sqrt(count) / (1.0 + position)
    for name, popularity in popular:
        points.setdefault(name, [0.0, 0.0, 0.0, 0.0])[3] += popularity
    return points, links


def _entry(rank: int, name: str, score: float, shares: _POINTS, links: list[tuple[float, float, str]]) -> State:
    source = shares.index(max(shares))
    entry = {"item_id": name, "rank": rank, "score": round(score, 6)}
    if source == 2:
        reason = {"kind": "viewed_before", "text": "You looked at this before"}
        return {**entry, "source": "recent", "reasons": [reason]}
    if source == 3:
        return {**entry, "source": "popular", "reasons": [{"kind": "trending", "text": "Popular right now"}]}
    *_, because = max(links, key=lambda link: (link[source], tie(link[2])))
    kind, text = (
        ("viewed_together", f"Often viewed together with {because}")
        if source == 0
        else ("viewed_next", f"Often viewed right after {because}")
    )
    reason = {"kind": kind, "item_id": because, "text": text}
    return {**entry, "source": "together" if source == 0 else "next", "reasons": [reason]}
