"""Slates on request: what is asked for, beside what it names, with an answer whatever was asked."""

import json
from typing import Any

import pytest

from streams.engine import TopologyDriver
from tests.support import SourceRecord, chunks

NOW = 1_700_000_000_000
LATER = NOW + 500_000


class App:
    """An app of a shop where items of one letter are looked at together."""

    def __init__(self) -> None:
        self.driver = TopologyDriver()
        for numbers in chunks(range(300), 20):
            clicks = [self._click(f"{'abc'[n % 3]}{n % 15}", n, f"{'abc'[n % 3]}{n // 3 % 6}") for n in numbers]
            self.driver.pipe_batch("events.click.v1", clicks, NOW + 1000 * numbers[-1])
        self.driver.flush()
        self.driver.read("recommendations.v1")

    def asks(self, user: str, placement: Any = "home", **fields: Any) -> dict[str, Any]:
        """Ask for a slate and return the only answer."""
        raw = {"request_id": "r1", "user_id": user, "timestamp": LATER, "placement": placement, **fields}
        self.driver.pipe("recommendations.requests.v1", user.encode(), json.dumps(raw).encode(), LATER)
        (record,) = self.driver.read("recommendations.v1")
        answer: dict[str, Any] = json.loads(record.value or b"")
        assert answer["request_id"] == "r1"
        return {**answer, "key": (record.key or b"").decode(), "ids": [item["item_id"] for item in answer["items"]]}

    def visits(self, user: str) -> list[str]:
        """Open a page without an item, and return the placements of the slates that come."""
        raw = {"event_id": "v", "user_id": user, "timestamp": LATER, "context": {"page": "home"}}
        self.driver.pipe("events.browse.v1", user.encode(), json.dumps(raw).encode(), LATER)
        return [json.loads(record.value or b"")["placement"] for record in self.driver.read("recommendations.v1")]

    def _click(self, user: str, n: int, item: str) -> SourceRecord:
        raw = {"event_id": f"e{n}", "user_id": user, "timestamp": NOW + 1000 * n, "item_id": item}
        return user.encode(), json.dumps(raw).encode(), ()


@pytest.fixture
def app() -> App:
    return App()


def test_a_slate_beside_an_item_is_of_what_goes_with_it_and_without_it(app: App) -> None:
    answer = app.asks("c2", "related", item_id="a1")
    assert answer["key"] == "c2/related"
    assert {item[0] for item in answer["ids"][:3]} == {"a"}
    assert "a1" not in answer["ids"]


def test_size_and_exclusions_are_kept(app: App) -> None:
    answer = app.asks("a0", "together", items=["b1", "b2"], size=3, exclude=["b3"])
    assert len(answer["ids"]) == 3
    assert not {"b1", "b2", "b3"} & set(answer["ids"])


def test_somebody_whom_nobody_knows_gets_a_full_slate(app: App) -> None:
    assert len(app.asks("nobody")["ids"]) == 18


def test_who_does_not_agree_gets_what_anybody_would(app: App) -> None:
    assert app.asks("a0", purposes=["measure"])["ids"] == app.asks("nobody", purposes=[])["ids"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"placement": "cellar"}, "placement: 'cellar', expected one of home, discover, related, together"),
        ({"placement": 7.5}, "placement: 7.5, expected a non-empty text of at most 256 characters"),
        ({"exclude": [f"{letter}{n}" for letter in "abc" for n in range(6)]}, "nothing is left that may be shown"),
    ],
)
def test_an_answer_without_items_says_why(app: App, fields: dict[str, Any], why: str) -> None:
    answer = app.asks("a0", **fields)
    assert (answer["ids"], answer["why"]) == ([], why)


def test_a_request_is_answered_once(app: App) -> None:
    app.asks("a0")
    with pytest.raises(ValueError, match="not enough values"):
        app.asks("a0")


def test_a_visit_without_an_item_brings_fresh_slates(app: App) -> None:
    assert app.visits("a0") == ["discover", "home"]
    assert app.visits("somebody new") == ["discover", "home"]
