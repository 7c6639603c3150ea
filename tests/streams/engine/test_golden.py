"""What must not change unnoticed: the bytes of every topic and of every state that a fixed stream leads to.

If they change on purpose, ``python -m tests.streams.engine.test_golden --write`` keeps the new ones. They are made with
the processor's extensions off, so that every x86-64 gives the same bits, and hold for the versions of numpy and River
that they name: others may round otherwise.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy._core._multiarray_umath import (  # type: ignore[import-not-found]  # the stubs leave it out
    __cpu_dispatch__,
    __cpu_features__,
)

from tests.streams.engine.golden_messages import (
    BAD_ROWS,
    BROWSE,
    CAMPAIGNS,
    CATALOGUE,
    CLICK,
    IMPRESSION,
    PURCHASE,
    RULES,
    facts_of,
)
from tests.streams.engine.golden_stream import SETTINGS, Played, play

GOLDEN = Path(__file__).with_name("golden.json")
ROOT = Path(__file__).parents[3]

Digests = dict[str, str]


def golden(name: str) -> Digests:
    found: dict[str, Digests] = json.loads(GOLDEN.read_text())
    return found[name]


def digests_of(played: Played) -> Digests:
    """Number of records and digest per topic and per plane's states, and of the answers."""
    found = {f"topic {topic}": digest(map(record_parts, records)) for topic, records in played.records.items()}
    found.update({f"states {plane}": digest(entries) for plane, entries in played.stores.items()})
    return {**found, "answers": digest((answer,) for answer in played.answers)}


def record_parts(record: Any) -> Iterator[bytes | None]:
    yield b"%d/%d/%d/%d" % (record.partition, record.offset, record.timestamp, len(record.headers))
    yield record.key
    yield record.value
    for name, value in record.headers:
        yield name.encode()
        yield value


def digest(entries: Iterable[Iterable[bytes | None]]) -> str:
    """Every part goes in with its length before it, and one that is missing as such."""
    count, found = 0, sha256()
    for count, entry in enumerate(entries, 1):  # noqa: B007
        for part in entry:
            found.update(b"-" if part is None else b"%d:" % len(part) + part)
        found.update(b";")
    return f"{count} {found.hexdigest()[:16]}"


def differences(found: Digests, expected: Digests) -> str:
    """A line for each that differs."""
    names = sorted({*found, *expected})
    those = [name for name in names if found.get(name) != expected.get(name)]
    return "\n".join(f"{name}: {found.get(name)}, expected {expected.get(name)}" for name in those)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_topics_and_states_are_what_they_were_whatever_the_hash_seed(name: str) -> None:
    """The golden values were made with another one."""
    made_with = golden("made with")
    if platform.machine() != "x86_64":
        pytest.skip(f"golden values are those of x86_64, this is {platform.machine()}")
    if made_with != versions():
        pytest.skip(f"golden values were made with {made_with}, here are {versions()}: make them anew (--write)")
    assert differences(json.loads(elsewhere(name, "2")), golden(name)) == ""


def elsewhere(argument: str, hash_seed: str) -> str:
    """Run this file in a process of its own, without the extensions that processors differ in."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    supported = [feature for feature in __cpu_dispatch__ if __cpu_features__.get(feature)]
    plain = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(supported),
        "OPENBLAS_CORETYPE": "Nehalem",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-AVX2_Usable,-FMA_Usable",
    }
    environment = {**os.environ, **plain, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path}
    command = [sys.executable, "-m", "tests.streams.engine.test_golden", argument]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def versions() -> Digests:
    return {name: version(name) for name in ("numpy", "river")}


def test_a_digest_tells_none_from_empty_and_where_parts_end() -> None:
    entries: list[list[list[bytes | None]]] = [[[b"ab", b""]], [[b"a", b"b"]], [[b"ab", None]], [[b"ab"], [b""]]]
    assert len({digest(entry) for entry in entries}) == len(entries)


def assert_everything_happened(name: str, played: Played) -> None:
    """Make sure that the digests are of a run that reached what they are to guard."""
    assert [topic for topic, records in played.records.items() if not records] == []
    assert {plane for plane, entries in played.stores.items() if len(entries) > 8} == set(played.stores)
    assert len(played.answers) > 10
    kinds = {record.key for record in played.records["broadcast.models"]}
    assert kinds == {b"ranker", b"groups", b"contexts", b"exposure", b"clicks", b"purchases"}
    _assert_tombstones(played)
    _assert_refusals(name, played)
    _assert_slates(name, played)
    _assert_events(played)
    _assert_ads(name, played)
    _assert_credits(name, played)


def messages(played: Played, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in played.records[topic] if record.value is not None]


def _assert_tombstones(played: Played) -> None:
    for topic in (CATALOGUE, RULES, CAMPAIGNS, "broadcast.rules", "broadcast.campaigns"):
        assert any(record.value is None for record in played.records[topic]), topic


def _assert_refusals(name: str, played: Played) -> None:
    letters = [dict(record.headers) for record in played.records["dead-letters.v1"]]
    found = {(letter["__streams.errors.topic"].decode(), letter["__streams.errors.exception"]) for letter in letters}
    reasons = {reason.decode() for topic, reason in found if topic != CATALOGUE}
    assert reasons == {
        *("empty_value", "too_large", "invalid_utf8", "not_json", "too_deep", "not_an_object", "missing_field"),
        *("wrong_type", "empty_id", "id_too_long", "bad_items", "bad_floor", "bad_timestamp", "timestamp_ancient"),
        *("timestamp_future", "bad_record_time", "wrong_partition", "no_origin", "bad_signals", "bad_examples"),
        *("bad_campaign", "bad_rule"),
    }
    # Two of the rows have keys that are bad, and two come to be refused by where or when they arrive.
    assert len({reason for topic, reason in found if topic == CATALOGUE}) == len(BAD_ROWS) - 1 + 2
    assert any("nearstream.cut" in letter for letter in letters) == (name == "everything")


def _assert_slates(name: str, played: Played) -> None:
    slates = messages(played, "recommendations.v1")
    items = [item for slate in slates for item in slate["items"]]
    assert 0 < sum(item["propensity"] < 0.2 for item in items) < len(items) / 2, "drawn by exploration"
    home = [slate["items"] for slate in slates if slate["placement"] == "home"]
    for pinned, place in (("item-12", 2), ("item-18", 1)):
        assert any((item["item_id"], item["rank"]) == (pinned, place) for slate in home for item in slate)
    sources = {item["source"] for item in items}
    expected = {"together", "recent", "trending", "next", "content", "rules", "related", "popular", "fresh", "category"}
    assert sources >= expected | ({"context"} if name == "everything" else set())
    assert ("group" in sources) == (name == "everything")
    assert any(not slate["items"] for slate in slates) or name == "everything"
    assert len({slate["model_version"] for slate in slates}) > 10
    exposed = [msgspec.msgpack.decode(r.value) for r in played.records["broadcast.models"] if r.key == b"exposure"]
    assert exposed[-1]["i-exposure"][2] > 0.0 > exposed[-1]["j-exposure"][2], "pushed up, and pushed down"
    later = slates[len(slates) // 2 :]
    of_alp = {
        place: [_of_alp(slate) for slate in later if slate["placement"] == place] for place in ("home", "discover")
    }
    few = {place: sum(count < 2 for count in counts) / len(counts) for place, counts in of_alp.items()}
    assert few["home"] > 0.8, "capped"
    assert few["home"] > few["discover"] + 0.1, f"capped there, and not elsewhere: {few}"


def _of_alp(slate: dict[str, Any]) -> int:
    return sum(facts_of(item["item_id"])["brand"] == "alp" for item in slate["items"])


def _assert_events(played: Played) -> None:
    """Something was forwarded and applied, mended, late, ahead, sent twice, undone, not wanted."""
    causes = [(slate["caused_by"], record.partition) for slate, record in _slates(played)]
    assert any(cause["partition"] != partition for cause, partition in causes), "forwarded and applied"
    ids = {cause["event_id"] for cause, _ in causes}
    assert {"70001", "r2", "r3", "r4", "r6", "r7"} <= ids, "mended"
    assert "r5" not in ids, "what its user agreed to cannot be read"
    events = [event for topic in (BROWSE, CLICK, PURCHASE) for event in _readable(played, topic)]
    times = Counter(event["event_id"] for event, _ in events)
    assert max(count for event_id, count in times.items() if str(event_id).startswith("n")) > 1, "sent twice"
    gaps = [event["timestamp"] - at for event, at in events if isinstance(event["timestamp"], int)]
    assert min(gaps) < -3_600_000
    assert max(gap for gap in gaps if gap < 86_400_000) > 300_000
    assert {event.get("action") for event, _ in events} >= {"refund", "dismiss", "cart", "fav", "rate"}
    seen = [event for event, _ in _readable(played, IMPRESSION)]
    assert (
        {"decision_id" in event for event in seen} == {"recommendation_id" in event for event in seen} == {True, False}
    )


def _slates(played: Played) -> list[tuple[dict[str, Any], Any]]:
    return [(json.loads(record.value), record) for record in played.records["recommendations.v1"]]


def _readable(played: Played, topic: str) -> list[tuple[dict[str, Any], int]]:
    """What is JSON of a user's event, and when it arrived."""
    found = [(record.value, record.timestamp) for record in played.records[topic] if record.value]
    own = [(value, at) for value, at in found if value.startswith(b'{"event_id":') and len(value) < 2000]
    tidy = [(json.loads(value), at) for value, at in own if b"\xff" not in value and b"NaN" not in value]
    return [(event, at) for event, at in tidy if event["event_id"] not in ("poison", "")]


def _assert_ads(name: str, played: Played) -> None:
    decisions = messages(played, "ad-decisions.v1")
    winners = {decision.get("cid") for decision in decisions}
    assert {"open", "even", "clicks", "buyers", "germany", None} - winners == set()
    assert {decision.get("crid") for decision in decisions} >= {"a", "b", "c"}
    assert {decision["nbr"] for decision in decisions if "nbr" in decision} >= {2, 500, 509, 512, 519}
    logs = messages(played, "decision-log.v1")
    codes = {candidate.get("loss", 0) for log in logs for candidate in log["candidates"]}
    assert {0, 102, 501, 502, 503, 504, 505, 508, 511} - codes == set()
    if name == "everything":
        assert {0, 2, 100, 102, 520, 511, *range(501, 509)} - codes == set()
        assert codes & set(range(513, 519)), "the shop forbade some"
    assert any(log["user_id"] == "" for log in logs), "only the moment decided"
    assert any(len(log.get("creatives", ())) > 1 for log in logs)
    reasons = {reason["kind"] for decision in decisions for reason in decision.get("reasons", ())}
    assert reasons >= {"best_value", "viewed_category", "place"} | ({"segment"} if name == "everything" else set())


def _assert_credits(name: str, played: Played) -> None:
    """Money was charged and given back, clicks and purchases were credited, also those that were undone."""
    fields = (
        *("opportunities", "decided", "shown", "clicks", "conversions", "dismissed", "expected", "charged"),
        *(
            "refunded",
            "expected_purchases",
            "bought",
            "returned",
            "returned_bought",
            "filtered",
            "revenue",
            "returned_revenue",
        ),
    )
    sums, arms, promised, late = dict.fromkeys(fields, 0.0), np.zeros((2, 4)), 0.0, 0
    placed = won = 0
    for record in played.records["internal.campaign-signals"]:
        for signal in msgspec.msgpack.decode(record.value):
            *figures, shown, held, cost, delays, opportunities_at, parts, goal = signal[2:]
            assert goal is None
            placed += sum(opportunities_at.values())
            won += sum(part[2] for part in parts)
            promised += cost
            late += sum(delays)
            for field, figure in zip(fields, figures, strict=True):
                sums[field] += figure
            arms += np.array([shown, held])
    optional = {"filtered", "returned_revenue", *({"refunded", "returned_bought"} if name == "everything" else ())}
    assert [field for field in fields if not sums[field] and field not in optional] == []
    assert arms[0].all(), "users who were shown a campaign with a holdout came and bought"
    assert arms[1, 0], "and some were held out"
    assert promised > 0.0
    assert late > 0, "charges came a while after their decisions"
    assert (placed, won) == (sums["opportunities"], sums["decided"]), "placements and creatives are told apart"


def main(argument: str) -> None:
    """Print the digests of a run, or write those of all."""
    if argument != "--write":
        played = play(argument)
        assert_everything_happened(argument, played)
        print(json.dumps(digests_of(played)))
        return
    found = {"made with": versions(), **{name: json.loads(elsewhere(name, "1")) for name in SETTINGS}}
    GOLDEN.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
