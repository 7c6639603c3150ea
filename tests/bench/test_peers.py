"""The peers of the ranking learn what there is to learn, and are judged alike."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.peer_models import PEERS, Als, Bm25, Peer, SessionKnn
from bench.peers import run_peers


@pytest.mark.parametrize("make", [Als, Bm25, SessionKnn])
def test_what_goes_together_is_found(make: type[Peer]) -> None:
    """Even items are touched by some, odd ones by others; somebody new touches one of them."""
    peer, random = make(), np.random.default_rng(3)
    for user in range(600):
        for step, half in enumerate(random.integers(0, 100, 8).tolist()):
            peer.learn(user, 2 * half + user % 2, 10_000_000 * user + step)
    peer.refit()
    for step, item in enumerate((7, 21, 93)):
        peer.learn(600, item, 10**11 + step)
    found = [item for item in peer.listed(600) if item not in (7, 21, 93)][:10]
    assert len(found) == 10
    assert all(item % 2 for item in found)


@pytest.mark.parametrize("make", PEERS)
def test_somebody_unknown_gets_a_list_or_none_but_no_error(make: type[Peer]) -> None:
    peer = make()
    peer.learn(0, 0, 0)
    peer.refit()
    assert set(peer.listed(99)) <= {0}


def test_the_nearest_sessions_are_those_that_share_the_latest_items() -> None:
    knn = SessionKnn()
    for user, items in enumerate(([0, 1, 2], [0, 3], [1, 4])):
        for step, item in enumerate(items):
            knn.learn(user, item, 1000 * user + step)
    for step, item in enumerate([0, 1]):
        knn.learn(9, item, 9000 + step)
    # Session 0 shares both items (0.5 + 1), the third the latest one (1), the second the one before (0.5, further off).
    assert [item for item in knn.listed(9) if item not in (0, 1)] == [2, 4, 3]


def test_everybody_is_judged_by_the_same_events(tmp_path: Path) -> None:
    file = tmp_path / "round.jsonl"
    rows = [
        {
            "event_id": f"e{n}",
            "user_id": f"u{n % 20}",
            "item_id": f"item {(n // 20 + 3 * (n % 20)) % 30}",
            "timestamp": 1_700_000_000_000 + 1000 * n,
            "type": "click",
        }
        for n in range(400)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    result = run_peers(file, every=2)
    assert (result.events, result.judged, result.refits) == (400, 200, 9)
    assert [system.name for system in result.systems] == ["nearstream", "als", "bm25", "session_knn", "river_biased_mf"]
    ours, *others = result.systems
    assert ours.ahead is None
    assert ours.hr20 > 0.5
    for other in others:
        assert other.ahead is all(
            getattr(ours, name) > getattr(other, name) for name in ("hr20", "mrr20", "hr20_new", "mrr20_new")
        )
