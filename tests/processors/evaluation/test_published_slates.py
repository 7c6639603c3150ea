"""Live hit rates are those that anyone can count from what was published, whatever shaped it."""

from __future__ import annotations

from collections import defaultdict

import msgspec
import numpy as np
import orjson
import pytest

from bench.load import START_MS, simulated
from bench.micro_batches import batch_of, chunks, pipe
from processors.common.topics import CATALOG_TOPIC, RECOMMENDATIONS_TOPIC, RULES_TOPIC
from processors.evaluation.live_quality import LiveQuality
from processors.evaluation.published import Choice, Published, PublishedSlates
from processors.events.event import ITEM_TOPICS
from processors.planes.users_step import UsersStep
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

_WINDOW = 100_000


def _watched(driver: TopologyDriver) -> LiveQuality:
    """Have the live quality of all steps of a driver taken."""
    quality, plane = LiveQuality(window=_WINDOW), driver.topology.users
    inner = plane.step

    def step(*arguments: object) -> UsersStep:
        found = inner(*arguments)  # type: ignore[arg-type]
        quality.take(found.quality)
        return found

    plane.step = step  # type: ignore[method-assign,assignment]
    return quality


def _settings() -> Settings:
    wanted = {"topics": {"partitions": 2}, "users": {"ranking": {"exploration": 0.1, "fatigue_after": 1}}}
    return msgspec.convert(wanted, Settings)


@pytest.fixture(scope="module")
def counted() -> tuple[dict[tuple[str, ...], float], dict[tuple[str, str, int], list[bool]], int]:
    """Figures of a shop with rules and limits, and the hits that were counted from its records alone."""
    driver = TopologyDriver(_settings())
    quality = _watched(driver)
    rules = {
        "no browns": {"kind": "exclude", "items": {"price_max": 30.0}},
        "cap": {"kind": "cap", "at_most": 3, "per": "category"},
    }
    driver.pipe_batch(RULES_TOPIC, [(k.encode(), orjson.dumps(v), ()) for k, v in rules.items()], START_MS)
    adults = {f"item-{n:05d}": {"title": "x", "category": "y", "min_age": 18} for n in range(0, 300, 7)}
    driver.pipe_batch(CATALOG_TOPIC, [(k.encode(), orjson.dumps(v), ()) for k, v in adults.items()], START_MS)
    shown: dict[tuple[str, str], list[str]] = {}
    touched: dict[str, set[str]] = defaultdict(set)
    hits: dict[tuple[str, str, int], list[bool]] = defaultdict(list)
    longest, now = 0, START_MS
    for chunk in chunks(simulated(6000, users=300, items=300), 50):
        now += 100
        batch = batch_of(chunk)
        for topic, records in batch.items():
            known = {user: bool(items) for user, items in touched.items()}
            for key, value, _ in records if topic in ITEM_TOPICS else ():
                user, item = key.decode(), str(orjson.loads(value)["item_id"])
                kind = "known" if known.get(user, False) else "new"
                for placement, only_new in (("home", False), ("discover", True)):
                    slate = shown.get((user, placement))
                    if slate is not None and not (only_new and item in touched[user]):
                        hits[placement, kind, 10].append(item in slate[:10])
                        hits[placement, kind, 20].append(item in slate)
                touched[user].add(item)
            pipe(driver, {topic: records}, now)
            for record in driver.read(RECOMMENDATIONS_TOPIC):
                slate = orjson.loads(record.value or b"")
                items = [item["item_id"] for item in slate["items"]]
                shown[slate["user_id"], slate["placement"]] = items
                longest = max(longest, len(items))
    return quality.figures(), hits, longest


def test_hit_rates_are_those_counted_from_the_topics(
    counted: tuple[dict[tuple[str, ...], float], dict[tuple[str, str, int], list[bool]], int],
) -> None:
    figures, hits, longest = counted
    assert longest == 20
    assert len(hits["home", "known", 20]) > 3000
    for (placement, user, depth), found in hits.items():
        assert figures["hit_rate", placement, user, str(depth)] == pytest.approx(np.mean(found), abs=0.005)
    assert figures["hit_rate", "home", "known", "20"] > 0.1


def test_what_is_excluded_altogether_is_never_a_hit() -> None:
    driver = TopologyDriver(_settings())
    quality = _watched(driver)
    nothing = orjson.dumps({"kind": "exclude", "items": {"ids": ["tent", "lamp"]}})
    driver.pipe(RULES_TOPIC, b"all", nothing, START_MS)
    for n in range(40):
        item = ("tent", "lamp")[n % 2]
        event = {"event_id": f"{n}", "user_id": "ann", "item_id": item, "timestamp": START_MS + 1000 * n}
        driver.pipe("events.click.v1", b"ann", orjson.dumps(event), START_MS + 1000 * n)
    figures = quality.figures()
    assert figures["hit_rate", "home", "known", "20"] == 0.0


def _slates(most_users: int) -> PublishedSlates:
    return PublishedSlates([("home", False), ("discover", True)], float, most_users)


def _choice(user: str, item: str, seen_ms: int = 5, touched: bool = False) -> Choice:
    return Choice(user, item, seen_ms, True, touched)


def test_a_slate_is_not_judged_by_once_something_else_happened() -> None:
    slates = _slates(4)
    slates.note(Published(0, ["ann"], [5], np.array([[7.0, 8.0]])))
    assert slates.judge([_choice("ann", "8", seen_ms=6)]) == []
    (judged,) = slates.judge([_choice("ann", "8"), _choice("ann", "9")])
    assert (judged.placement, judged.ranks.tolist()) == ("home", [2, 0])


def test_what_a_user_knows_is_no_question_where_only_new_items_are_shown() -> None:
    slates = _slates(4)
    for placement in (0, 1):
        slates.note(Published(placement, ["ann"], [5], np.array([[7.0]])))
    judged = slates.judge([_choice("ann", "7", touched=True), _choice("ann", "7")])
    assert [(one.placement, one.ranks.tolist()) for one in judged] == [("home", [1, 1]), ("discover", [1])]


def test_users_beyond_the_bound_make_room_by_chance_and_the_rest_is_judged_rightly() -> None:
    slates = _slates(64)
    users = [f"user {n}" for n in range(1000)]
    for at, user in enumerate(users):
        slates.note(Published(0, [user], [5], np.array([[float(at)]])))
        assert len(slates) <= 64
    assert len(slates) >= 16
    (judged,) = slates.judge([_choice(user, str(at)) for at, user in enumerate(users)])
    assert judged.ranks.tolist() == [1] * len(slates)
    before = len(slates)
    for user in users:
        slates.note(Published(0, [user], [6], np.array([[1.0]])))
    assert len(slates) == before, "whoever made room is not remembered again"
