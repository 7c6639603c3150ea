"""What the ablation says of a stream in which everybody always chooses the item after the last one."""

import json
from pathlib import Path

from msgspec.structs import replace

from bench.ablation import run_ablation
from processors.ranking.sources import ALL
from streams.settings.sections import Settings


def test_what_a_stream_follows_is_what_its_ranking_cannot_do_without(tmp_path: Path) -> None:
    """Items come in a fixed round: co-visitation in order says the next one.

    Item-based filtering reads the same co-visitation and would say it too, so it is off.
    """
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
    settings = Settings()
    ranking = settings.users.ranking
    ranking = replace(ranking, sources=replace(ranking.sources, off=("group", "item_based")))
    result = run_ablation(file, settings=replace(settings, users=replace(settings.users, ranking=ranking)))
    found = {variant.without: variant for variant in result.variants}
    assert (result.events, result.data) == (600, "round.jsonl")
    assert 0.9 < result.recall <= 1.0
    assert {f"source {source.name}" for source in ALL} < found.keys()
    assert found["nothing"].mrr20_new > 0.8
    assert found["source together"].mrr20_new < 0.6
    assert abs(found["price"].mrr20_new - found["nothing"].mrr20_new) < 0.02
