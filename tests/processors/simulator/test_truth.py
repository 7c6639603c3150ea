from __future__ import annotations

import math
from collections import Counter, defaultdict
from copy import copy
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.simulator import Product, SimulatedEvent, Simulator, build_catalogue
from processors.simulator.sessions import begin

pytestmark = [pytest.mark.slow, pytest.mark.unmeasured]

START = 1_700_000_000_000
CATALOGUE = build_catalogue(seed=7)


def test_a_shopper_follows_from_the_seed_and_the_number_alone() -> None:
    catalogue = build_catalogue(seed=7)
    before = Simulator(seed=7, catalogue=catalogue)
    after = Simulator(seed=7, catalogue=catalogue)
    list(after.events(START, rate_per_s=20, count=500))
    assert before.shopper("shopper-0042") == after.shopper("shopper-0042")
    assert before.shopper("shopper-0042") != before.shopper("shopper-0043")


@pytest.mark.parametrize("user_id", ["shopper-0200", "shopper-42", "shopper-", "somebody", "shopper--001", ""])
def test_nobody_has_an_id_that_is_not_in_the_population(user_id: str) -> None:
    with pytest.raises(KeyError):
        Simulator(seed=7).affinity(user_id)


def test_a_population_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Simulator(seed=7, shoppers=0)


@pytest.mark.parametrize("shoppers", [1, 2, 200, 997])
def test_activities_average_to_one(shoppers: int) -> None:
    population = Simulator(seed=7, shoppers=shoppers).population
    assert sum(population.shopper(number).activity for number in range(shoppers)) == pytest.approx(shoppers)


def test_active_shoppers_have_more_sessions() -> None:
    simulator = Simulator(seed=7, shoppers=1_000)
    sessions = {event.session_id: event.key for event in simulator.events(START, rate_per_s=0.1, count=20_000)}
    seen = Counter(sessions.values())
    expected = {user: simulator.shopper(user).activity for user in map(simulator.population.user_id, range(1_000))}
    busiest = sorted(expected, key=lambda user: -expected[user])[:250]
    assert sum(seen[user] for user in busiest) / seen.total() == pytest.approx(0.5, abs=0.03)


def test_only_sessions_under_way_are_held_for_a_hundred_thousand_shoppers() -> None:
    simulator = Simulator(seed=7, shoppers=100_000)
    users = {event.key for event in simulator.events(START, rate_per_s=500, count=20_000)}
    assert len(users) > 2_000
    assert len(simulator.in_shop()) <= 1_000


@given(seed=st.integers(0, 5), number=st.integers(0, 199), drawn=st.integers(0, 200))
def test_the_truth_is_a_distribution(seed: int, number: int, drawn: int) -> None:
    simulator = Simulator(seed)
    users = [event.key for event in simulator.events(START, rate_per_s=20, count=drawn)]
    for user in {simulator.population.user_id(number), *users[-3:]}:
        chances = simulator.affinity(user)
        assert chances.shape == (300,)
        assert chances.min() >= 0
        assert chances.sum() == pytest.approx(1)


def test_the_product_at_hand_is_not_what_comes_next() -> None:
    simulator = Simulator(seed=7)
    for event in simulator.events(START, rate_per_s=20, count=500):
        if event.key in simulator.in_shop():
            assert simulator.hit(event.key, [event.product.item_id]) == 0


def test_shoppers_do_what_the_truth_says_as_often_as_it_says() -> None:
    simulator = Simulator(seed=7)
    promised: dict[str, tuple[SimulatedEvent, list[str], float]] = {}
    chances, hits = [], []
    for event in simulator.events(START, rate_per_s=20, count=20_000):
        earlier, slate, chance = promised.get(event.key, (event, [], 0.0))
        if earlier.session_id != event.session_id or earlier.product != event.product:
            chances.append(chance)
            hits.append(event.product.item_id in slate)
        slate = simulator.truth_top(event.key, k=3)
        promised[event.key] = (event, slate, simulator.hit(event.key, slate))
    spread = math.sqrt(sum(chance * (1 - chance) for chance in chances)) / len(chances)
    assert np.mean(hits) == pytest.approx(np.mean(chances), abs=4 * spread)


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_next_looks_are_the_chances_that_a_session_draws_from(steps: int) -> None:
    shopper, rng = Simulator(seed=7, catalogue=CATALOGUE).shopper("shopper-0042"), Random(3)
    session = begin(CATALOGUE, shopper, "session-1", rng)
    for _ in range(steps):
        session.advance(CATALOGUE, rng)
    turns = []
    for _ in range(40_000):
        ahead = copy(session)
        ahead.advance(CATALOGUE, rng)
        if ahead.stage == 0:
            turns.append(ahead.position)
    chances = session.next_looks(CATALOGUE)
    expected = chances * len(turns)
    common = expected >= 5
    drawn = np.bincount(turns, minlength=len(chances))
    misfit = ((drawn - expected)[common] ** 2 / expected[common]).sum()
    freedom = common.sum()
    assert misfit < freedom + 4 * math.sqrt(2 * freedom)
    assert drawn[~common].sum() == pytest.approx(expected[~common].sum(), abs=5 * math.sqrt(len(turns) * 0.05))


def test_a_slate_is_worth_the_sum_of_its_chances() -> None:
    simulator = Simulator(seed=7)
    chances = simulator.affinity("shopper-0042")
    ids = [product.item_id for product in simulator.catalogue.products]
    assert simulator.hit("shopper-0042", ids, k=300) == pytest.approx(1)
    assert simulator.hit("shopper-0042", ids, k=4) == pytest.approx(chances[:4].sum())


def test_repeating_an_item_gains_nothing_and_an_unknown_one_takes_a_place() -> None:
    simulator = Simulator(seed=7)
    first, second = simulator.truth_top("shopper-0042", k=2)
    alone = simulator.hit("shopper-0042", [first])
    assert simulator.hit("shopper-0042", [first, first, second], k=2) == alone
    assert simulator.hit("shopper-0042", ["no-such-thing", first, second], k=2) == alone


def test_an_empty_slate_and_an_empty_shop_hit_nothing() -> None:
    simulator = Simulator(seed=7)
    assert simulator.hit("shopper-0042", []) == 0
    assert simulator.oracle(k=10) == 0


@given(slate=st.lists(st.sampled_from(CATALOGUE.products), max_size=12), k=st.integers(0, 12))
def test_no_slate_beats_the_oracle(slate: list[Product], k: int) -> None:
    simulator = Simulator(seed=7, catalogue=CATALOGUE)
    ids = [product.item_id for product in slate]
    assert simulator.hit("shopper-0042", ids, k) <= simulator.oracle(k, "shopper-0042") + 1e-12


def test_complements_of_the_last_item_beat_popularity_and_the_oracle_beats_both() -> None:
    simulator = Simulator(seed=7)
    seen: Counter[str] = Counter()
    worth: dict[str, list[float]] = defaultdict(list)
    for number, event in enumerate(simulator.events(START, rate_per_s=20, count=6_000)):
        seen[event.product.item_id] += 1
        if number >= 3_000 and number % 5 == 0:
            popular = [item_id for item_id, _ in seen.most_common(10)]
            following = [product.item_id for product in simulator.catalogue.next_after(event.product.item_id)]
            worth["popular"].append(simulator.hit(event.key, popular))
            worth["complements"].append(simulator.hit(event.key, [*following, *popular]))
            worth["oracle"].append(simulator.oracle(10, event.key))
    mean = {name: np.mean(values) for name, values in worth.items()}
    assert mean["popular"] < 0.2
    assert mean["complements"] > 2 * mean["popular"]
    assert mean["oracle"] > 1.3 * mean["complements"]
