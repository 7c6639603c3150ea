"""Orders that list their lines."""

import json
from typing import Any

import pytest

from processors.events.event import Event
from processors.events.reader import RecordReader
from processors.events.record import Refusal
from streams.engine.driver import TopologyDriver

AT = 1_700_000_000_000
LINES = [{"item_id": "tent", "price": 100, "quantity": 1}, {"product_id": 7, "price": "10", "item_category": "light"}]


def read(kind: Any = "purchase", **fields: Any) -> Event | Refusal:
    order = {"event_id": "o1", "user_id": "ada", "timestamp": AT, **fields}
    found: Event | Refusal = RecordReader().read(json.dumps(order).encode(), kind, AT)
    return found


@pytest.mark.parametrize("name", ["items", "products"])
@pytest.mark.parametrize("kind", ["purchase", "click"])
def test_each_line_is_an_event_with_an_id_of_its_own(name: str, kind: str) -> None:
    first = read(kind, **{name: LINES}, context={"country": "DE"}, currency="EUR", decision_id="d1")
    assert isinstance(first, Event)
    (second,) = first.more
    assert [(line.event_id, line.item_id, line.price, line.currency) for line in (first, second)] == [
        ("o1", "tent", 100.0, "EUR"),
        ("o1/1", "7", 10.0, "EUR"),
    ]
    assert (first.decision_id, second.decision_id) == ("d1", None)
    assert (second.category, first.context is not None, second.context) == ("light", True, None)


def test_a_line_may_be_an_id_alone() -> None:
    first = read(items=["tent", "lamp"])
    assert isinstance(first, Event)
    assert [line.item_id for line in (first, *first.more)] == ["tent", "lamp"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"items": []}, "items: 0 lines, expected 1 to 100"),
        ({"items": ["a"] * 101}, "items: 101 lines, expected 1 to 100"),
        ({"items": [{"price": 3}]}, "item_id: missing"),
        ({"items": ["a", {}]}, "item_id: missing"),
        ({"items": "tent"}, "item_id: missing"),
    ],
)
def test_an_order_that_cannot_be_used_is_refused_as_a_whole(fields: dict[str, Any], message: str) -> None:
    refused = read(**fields)
    assert isinstance(refused, Refusal)
    assert refused.message.startswith(message)


def test_an_event_that_names_its_item_is_that_of_one() -> None:
    event = read(item_id="lamp", items=LINES)
    assert isinstance(event, Event)
    assert (event.item_id, event.more, event.extra) == ("lamp", (), {"items": LINES})


def test_every_line_counts_once_however_often_the_order_comes() -> None:
    driver = TopologyDriver()
    order = {"event_id": "o1", "user_id": "ada", "timestamp": AT, "items": LINES}
    for n in range(2):
        driver.pipe("events.purchase.v1", b"ada", json.dumps(order).encode(), AT + n)
    ada = driver.state("users")["ada"]
    assert (ada.item_ids, ada.purchases, ada.spent, ada.sessions) == (["tent", "7"], 2, 110.0, 1)
    driver.pipe(
        "events.purchase.v1", b"ada", json.dumps({**order, "event_id": "r1", "action": "refund"}).encode(), AT + 5
    )
    ada = driver.state("users")["ada"]
    assert (ada.purchases, ada.spent) == (0, 0.0)
