"""The share of positions that some items get is held within bounds, and no further."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.models.exposure import (
    MAX_EXPOSURES,
    STRONGEST,
    Exposure,
    ExposureLearner,
    Measured,
    measure,
    position_weights,
)
from processors.planes.users_settings import UsersSettings
from processors.ranking.rule_precedence import conflicts
from processors.ranking.rules import Items, Rule, read_rule
from processors.ranking.settings import Placement, RankingSettings
from streams.engine.driver import TopologyDriver
from streams.settings.sections import Settings

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

NOW = 1_700_000_000_000


def controlled(share_at: Any, bounds: tuple[float, float], rounds: int = 1500, late: int = 0) -> list[Exposure]:
    """What the controller comes to, where the share follows from an offset that comes back so many messages late."""
    state: dict[str, Exposure] = {}
    offsets, found = [0.0] * (late + 1), []
    for _ in range(rounds):
        offset = offsets[-late - 1]
        ExposureLearner().learn(state, [Measured("rule", 50.0 * share_at(offset), 50.0, *bounds, offset)])
        offsets.append(state["rule"].offset)
        found.append(msgspec.structs.replace(state["rule"]))
    return found


def logistic(at_zero: float, gain: float = 1.0) -> Any:
    return lambda offset: 1.0 / (1.0 + (1.0 - at_zero) / at_zero * np.exp(-gain * offset))


@pytest.mark.parametrize(
    ("at_zero", "bounds"),
    [(0.02, (0.2, 1.0)), (0.7, (0.0, 0.3)), (0.01, (0.1, 0.15)), (0.9, (0.1, 0.15)), (0.5, (0.5, 0.5))],
)
def test_a_share_out_of_bounds_comes_to_them(at_zero: float, bounds: tuple[float, float]) -> None:
    found = controlled(logistic(at_zero), bounds)[-1]
    assert bounds[0] * 0.95 <= found.share <= bounds[1] * 1.05


@pytest.mark.parametrize("gain", [1.0, 5.0])
@pytest.mark.parametrize("late", [0, 5, 20, 50])
def test_offsets_that_come_back_late_do_not_make_it_swing(gain: float, late: int) -> None:
    shares = [found.share for found in controlled(logistic(0.03, gain), (0.2, 1.0), 4000, late)[2000:]]
    assert 0.18 < min(shares) <= max(shares) < 0.22


def test_nothing_is_pushed_that_is_within_bounds() -> None:
    assert controlled(logistic(0.3), (0.1, 0.5))[-1].offset == 0.0


def test_a_push_that_is_not_needed_any_more_is_taken_back() -> None:
    state = {"rule": Exposure(got=1.0, total=2.0, offset=3.0, pushed=6.0)}
    for _ in range(400):
        ExposureLearner().learn(state, [Measured("rule", 5.0, 10.0, 0.1, 1.0, state["rule"].offset)])
    assert state["rule"].offset == 0.0


def test_a_push_is_never_without_end() -> None:
    assert controlled(lambda _: 0.0, (0.5, 1.0))[-1].offset == STRONGEST
    assert controlled(lambda _: 1.0, (0.0, 0.0))[-1].offset == -STRONGEST


def test_rules_that_were_not_heard_of_for_long_go() -> None:
    state: dict[str, Exposure] = {}
    for number in range(MAX_EXPOSURES + 5):
        ExposureLearner().learn(state, [Measured(f"rule {number}", 1.0, 2.0)])
    assert list(state) == [f"rule {number}" for number in range(5, MAX_EXPOSURES + 5)]


@given(st.permutations(range(6)), st.integers(0, 2**16))
def test_what_is_measured_does_not_depend_on_the_order_of_users(order: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    matching, filled = random.random((6, 4)) < 0.5, random.random((6, 4)) < 0.8
    found = measure("rule", (0.0, 1.0), matching, filled)
    assert measure("rule", (0.0, 1.0), matching[order], filled[order]) == found
    expected = sum(
        position_weights(4)[position] for row in range(6) for position in range(4) if (matching & filled)[row, position]
    )
    assert found.got == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"kind": "exposure", "items": {"brands": ["a"]}}, "share_min: missing"),
        (
            {"kind": "exposure", "items": {"brands": ["a"]}, "share_min": 0.5, "share_max": 0.2},
            "share_min: 0.5, expected at",
        ),
        (
            {"kind": "boost", "items": {"brands": ["a"]}, "factor": 2, "share_max": 0.2},
            "share_max: 0.2, expected for a rule",
        ),
        ({"kind": "exposure", "share_min": 0.5}, "items: empty"),
        ({"kind": "exposure", "items": {"bought": True}, "share_min": 0.5}, "items.bought: given"),
        ({"kind": "exposure", "items": {"brands": ["a"]}, "share_min": 1.5}, "value: "),
    ],
)
def test_bounds_that_make_no_sense_are_refused(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_rule(json.dumps(rule).encode())


def test_bounds_that_exclude_each_other_are_named() -> None:
    aster = Items(suppliers=("aster",))
    more, less = Rule("exposure", aster, share_min=0.5), Rule("exposure", aster, share_max=0.2)
    assert conflicts({"a": more, "b": less}) == [
        "rules a (exposure) and b (exposure) hold the same items to shares that exclude each other: neither can win"
    ]
    assert not conflicts({"a": more, "b": Rule("exposure", aster, share_max=0.6)})


def test_rules_beyond_those_that_can_be_held_are_named() -> None:
    rules = {
        f"rule {n:03d}": Rule("exposure", Items(brands=(f"{n}",)), share_min=0.1) for n in range(MAX_EXPOSURES + 1)
    }
    assert conflicts(rules) == [
        f"rule rule {MAX_EXPOSURES:03d} (exposure) does nothing: {MAX_EXPOSURES} others come before it"
    ]


def shop(rule: dict[str, Any] | None, visits: int = 700) -> tuple[float, bytes]:
    """Share of exposure that the small supplier gets in the end, and all that was published.

    Ten items are visited by everybody, the small supplier's ten hardly ever.
    """
    ranking = RankingSettings(placements=(Placement("home", size=10), Placement("discover", only_new=True)))
    driver = TopologyDriver(Settings(users=UsersSettings(ranking=ranking)))
    random = np.random.default_rng(5)
    names = [f"{supplier} {n}" for supplier in ("small", "large") for n in range(10)]
    for name in names:
        row = {"item_id": name, "supplier": name.split()[0], "price": 5}
        driver.pipe("catalog.items.v1", name.encode(), json.dumps(row).encode(), NOW)
    if rule is not None:
        driver.pipe("catalog.rules.v1", b"rule", json.dumps(rule).encode(), NOW)
    published = []
    for n in range(visits):
        name = names[int(random.integers(10))] if random.random() < 0.05 else names[10 + int(random.integers(10))]
        user, at = f"user {n % 40}", NOW + 1000 * n
        event = {"event_id": f"e{n}", "user_id": user, "item_id": name, "timestamp": at}
        driver.pipe("events.click.v1", user.encode(), json.dumps(event).encode(), at)
        published += [record.value or b"" for record in driver.read("recommendations.v1")]
    got, total = 0.0, 0.0
    for message in map(json.loads, published[-400:]):
        if message["placement"] == "home":
            for item in message["items"]:
                weight = 1.0 / np.log2(1 + item["rank"])
                total += weight
                got += weight * item["item_id"].startswith("small")
    return got / total, msgspec.msgpack.encode(published)


LEAST = {"kind": "exposure", "items": {"suppliers": ["small"]}, "placements": ["home"], "share_min": 0.3}


def test_a_small_supplier_gets_its_share_and_a_replay_the_same_slates() -> None:
    without, _ = shop(None)
    share, _ = shop(LEAST)
    assert without < 0.2
    assert share == pytest.approx(0.3, abs=0.06)
    assert shop(LEAST, 150)[1] == shop(LEAST, 150)[1]


def test_a_large_supplier_is_held_to_its_share() -> None:
    rule = {"kind": "exposure", "items": {"suppliers": ["large"]}, "placements": ["home"], "share_max": 0.6}
    share, _ = shop(rule)
    assert 1.0 - share == pytest.approx(0.6, abs=0.07)
