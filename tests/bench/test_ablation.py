"""What the ablation says of a stream in which everybody always chooses the item after the last one."""

import json
from pathlib import Path

from bench.ablation import run_ablation
from processors.ranking.sources import ALL


def test_what_a_stream_follows_is_what_its_ranking_cannot_do_without(tmp_path: Path) -> None:
    """Items come in a fixed round: co-visitation in order says the next one, nothing else does."""
    file = tmp_path / "round.jsonl"
    rows = []
    for n in range(600):
        user, step = f"u{n % 40}", n // 40 + n % 40
        rows.append(
            {
                "event_id": f"e{n}",
                "user_id": user,
                "item_id": f"item {step % 60}",
                "timestamp": 1_700_000_000_000 + 1000 * n,
                "type": "click",
            }
        )
    file.write_text("\n".join(map(json.dumps, rows)))
    result = run_ablation(file)
    found = {variant.without: variant for variant in result.variants}
    assert (result.events, result.data) == (600, "round.jsonl")
    assert 0.9 < result.recall <= 1.0
    assert {f"source {source.name}" for source in ALL} < found.keys()
    assert found["nothing"].mrr20_new > 0.8
    # Item-based filtering proposes the same neighbours: without either there is the other.
    assert found["source together"].mrr20_new < found["nothing"].mrr20_new
    assert abs(found["price"].mrr20_new - found["nothing"].mrr20_new) < 0.02
