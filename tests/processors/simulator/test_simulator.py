from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice, pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.simulator import SimulatedEvent, Simulator, build_catalogue
from processors.simulator.assortment import DEPARTMENTS

START = 1_700_000_000_000


def encoded(events: Iterable[SimulatedEvent]) -> list[tuple[str, str, bytes]]:
    return [(event.topic, event.key, msgspec.json.encode(event.value())) for event in events]


@pytest.fixture(scope="module")
def events() -> list[SimulatedEvent]:
    return list(Simulator(seed=7).events(START, rate_per_s=20, count=20_000))


@pytest.mark.parametrize("size", [12, 145, 300, 2_000, 50_000])
def test_a_catalogue_has_the_size_asked_for_and_no_id_twice(size: int) -> None:
    catalogue = build_catalogue(seed=1, size=size)
    assert (len(catalogue.products), len(catalogue.positions), len(catalogue.links)) == (size, size, size)
    assert all(one.start < one.stop for one in catalogue.categories)


def test_a_catalogue_too_small_for_its_categories_is_refused() -> None:
    with pytest.raises(ValueError, match="12 categories"):
        build_catalogue(seed=1, size=11)


def test_the_same_seed_builds_the_same_catalogue_and_another_seed_another() -> None:
    assert build_catalogue(seed=1).products == build_catalogue(seed=1).products
    assert build_catalogue(seed=1).products != build_catalogue(seed=2).products


def test_every_kind_leads_to_other_kinds_that_exist() -> None:
    names = {f"{department.name}/{kind.name}" for department in DEPARTMENTS for kind in department.kinds}
    for department in DEPARTMENTS:
        for kind in department.kinds:
            assert len(kind.leads_to) >= 2
            assert set(kind.leads_to) <= names - {f"{department.name}/{kind.name}"}


@pytest.mark.parametrize("size", [12, 145, 300, 2_000])
def test_what_comes_next_is_of_a_kind_that_the_assortment_names(size: int) -> None:
    catalogue = build_catalogue(seed=3, size=size)
    named = {
        (department.name, kind.name): set(kind.leads_to) for department in DEPARTMENTS for kind in department.kinds
    }
    for product in catalogue.products:
        following = catalogue.next_after(product.item_id)
        assert len({other.item_id for other in following}) == len(following) <= 4
        assert {f"{other.category}/{other.kind}" for other in following} <= named[product.category, product.kind]


def test_slugs_are_readable_and_prices_near_what_such_a_thing_costs() -> None:
    usual = {(department.name, kind.name): kind.price for department in DEPARTMENTS for kind in department.kinds}
    for product in build_catalogue(seed=1, size=2_000).products:
        assert set(product.item_id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert product.item_id.startswith(product.category)
        assert 0.4 < product.price / usual[product.category, product.kind] < 2.5


def test_the_same_arguments_give_the_same_bytes() -> None:
    first = encoded(Simulator(seed=7).events(START, rate_per_s=20, count=2_000))
    again = encoded(Simulator(seed=7).events(START, rate_per_s=20, count=2_000))
    assert first == again


def test_another_seed_gives_other_events() -> None:
    one, other = (encoded(Simulator(seed=seed).events(START, rate_per_s=20, count=100)) for seed in (7, 8))
    assert not {value for _, _, value in one} & {value for _, _, value in other}


@pytest.mark.unmeasured
@given(chunks=st.lists(st.integers(0, 60), max_size=8), asked=st.booleans())
def test_chunks_and_questions_about_the_truth_change_nothing(chunks: list[int], asked: bool) -> None:
    catalogue = build_catalogue(seed=7)
    simulator = Simulator(seed=7, catalogue=catalogue)
    stream = simulator.events(START, rate_per_s=20)
    drawn = []
    for size in chunks:
        drawn += encoded(islice(stream, size))
        if asked:
            simulator.oracle(k=10)
    whole = Simulator(seed=7, catalogue=catalogue).events(START, rate_per_s=20, count=sum(chunks))
    assert drawn == encoded(whole)


def test_each_call_of_events_begins_again() -> None:
    simulator = Simulator(seed=7)
    first = encoded(simulator.events(START, rate_per_s=20, count=50))
    assert encoded(simulator.events(START, rate_per_s=20, count=50)) == first


def test_a_value_has_the_fields_of_a_native_event(events: list[SimulatedEvent]) -> None:
    purchase = next(event for event in events if event.action == "purchase")
    assert purchase.value() == {
        "event_id": purchase.event_id,
        "user_id": purchase.key,
        "item_id": purchase.product.item_id,
        "timestamp": purchase.timestamp,
        "action": "purchase",
        "session_id": purchase.session_id,
        "price": purchase.product.price,
        "currency": "EUR",
        "quantity": purchase.quantity,
        "category": purchase.product.category,
        "brand": purchase.product.brand,
        "channel": purchase.shopper.channel,
        "context": {
            "page": "checkout",
            "device": purchase.shopper.device,
            "country": purchase.shopper.country,
        },
    }


def test_each_action_goes_to_its_topic(events: list[SimulatedEvent]) -> None:
    assert {(event.action, event.topic) for event in events} == {
        ("view", "events.browse.v1"),
        ("click", "events.click.v1"),
        ("cart", "events.click.v1"),
        ("purchase", "events.purchase.v1"),
    }


def test_event_ids_are_unique(events: list[SimulatedEvent]) -> None:
    assert len({event.event_id for event in events}) == len(events)


def test_events_come_in_time_order_at_the_rate_asked_for(events: list[SimulatedEvent]) -> None:
    times = [event.timestamp for event in events]
    assert times[0] >= START
    assert times == sorted(times)
    assert len(times) / ((times[-1] - START) / 1000) == pytest.approx(20, rel=0.03)


def test_gaps_between_events_are_exponential(events: list[SimulatedEvent]) -> None:
    gaps = np.diff([event.timestamp for event in events]) / 1000
    assert np.mean(gaps > 0.05) == pytest.approx(math.exp(-1), abs=0.02)


@pytest.mark.parametrize("rate", [0, -1, math.nan])
def test_a_rate_that_is_not_positive_is_refused_at_once(rate: float) -> None:
    with pytest.raises(ValueError, match="rate_per_s"):
        Simulator(seed=1).events(START, rate_per_s=rate)


def sessions_of(events: Iterable[SimulatedEvent]) -> list[list[SimulatedEvent]]:
    sessions = defaultdict(list)
    for event in events:
        sessions[event.session_id].append(event)
    return list(sessions.values())


def test_the_funnel_narrows_as_in_a_real_shop(events: list[SimulatedEvent]) -> None:
    counts = Counter(event.action for event in events)
    share = {action: counts[action] / len(events) for action in counts}
    assert 0.55 < share["view"] < 0.75
    assert 0.18 < share["click"] < 0.35
    assert 0.03 < share["cart"] < 0.12
    assert 0.015 < share["purchase"] < 0.05


def test_nothing_is_clicked_unseen_nor_bought_without_a_cart(events: list[SimulatedEvent]) -> None:
    before = {"click": "view", "cart": "click", "purchase": "cart"}
    for session in sessions_of(events):
        assert session[0].action == "view"
        for earlier, later in pairwise(session):
            if later.action == "view":
                assert later.product != earlier.product
            else:
                assert (earlier.action, earlier.product) == (before[later.action], later.product)


def test_a_purchase_takes_the_quantity_of_the_cart(events: list[SimulatedEvent]) -> None:
    for session in sessions_of(events):
        for earlier, later in pairwise(session):
            if later.action == "purchase":
                assert later.value()["quantity"] == earlier.value()["quantity"] >= 1


def test_a_session_is_one_shopper_with_three_to_twelve_events(events: list[SimulatedEvent]) -> None:
    ended = [session for session in sessions_of(events) if session[-1].timestamp < events[-1].timestamp - 60_000]
    assert {len(session) for session in ended} == set(range(3, 13))
    assert all(len({event.key for event in session}) == 1 for session in ended)


def test_a_shopper_is_in_one_session_at_a_time(events: list[SimulatedEvent]) -> None:
    last: dict[str, str] = {}
    over: set[str] = set()
    for event in events:
        if last.get(event.key) != event.session_id:
            over.add(last.get(event.key, ""))
            assert event.session_id not in over
            last[event.key] = event.session_id


@given(rate=st.sampled_from([0.05, 1.0, 50.0]), shoppers=st.sampled_from([1, 9, 300]))
def test_within_a_session_nobody_idles_for_half_an_hour(rate: float, shoppers: int) -> None:
    catalogue = build_catalogue(seed=7)
    events = Simulator(seed=7, shoppers=shoppers, catalogue=catalogue).events(START, rate, count=300)
    for session in sessions_of(events):
        assert all(later.timestamp - earlier.timestamp < 1_800_000 for earlier, later in pairwise(session))


@pytest.mark.parametrize("shoppers", [1, 20, 500])
def test_sessions_apart_puts_idle_time_between_a_shoppers_sessions(shoppers: int) -> None:
    simulator = Simulator(seed=7, shoppers=shoppers, sessions_apart=2_000)
    ended: dict[str, SimulatedEvent] = {}
    apart = 0
    for event in simulator.events(START, rate_per_s=5, count=5_000):
        earlier = ended.get(event.key)
        if earlier and earlier.session_id != event.session_id:
            assert event.timestamp - earlier.timestamp >= 1_999_999
            apart += 1
        ended[event.key] = event
    assert apart > 0


def test_a_negative_time_between_sessions_is_refused() -> None:
    with pytest.raises(ValueError, match="sessions_apart"):
        Simulator(seed=1, sessions_apart=-1)
