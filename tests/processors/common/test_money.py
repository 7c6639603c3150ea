"""Everything counts in one currency; an amount without a rate is not counted, and said so."""

import json

import msgspec
import pytest

from processors.common.money import MoneySettings
from processors.common.topics import CATALOG_TOPIC
from processors.events.event import Event
from processors.events.reader import RecordReader
from processors.events.record import Record
from processors.items.catalogue import CatalogReader, Row

NOW = 1_700_000_000_000
MONEY = MoneySettings(rates={"USD": 0.9})


def read(**fields: object) -> Event:
    raw = {"event_id": "e", "user_id": "u", "item_id": "i", "timestamp": NOW, **fields}
    found = RecordReader(money=MONEY).read(json.dumps(raw).encode(), "purchase", NOW)
    assert isinstance(found, Event)
    return found


@pytest.mark.parametrize(
    ("currency", "price"), [(None, 10.0), ("EUR", 10.0), ("eur", 10.0), ("USD", 9.0), ("JPY", None)]
)
def test_prices_of_events_are_in_one_currency(currency: str | None, price: float | None) -> None:
    event = read(price=10.0, currency=currency)
    assert event.price == price
    assert event.repairs == (() if price is not None else ("price:no_rate",))


def test_the_lines_of_an_order_are_converted_each() -> None:
    first = read(item_id=None, currency="USD", items=[{"item_id": "a", "price": 10}, {"item_id": "b", "price": 20}])
    assert [line.price for line in (first, *first.more)] == [9.0, 18.0]


def test_the_catalogue_is_converted_too() -> None:
    def row(currency: str) -> Row:
        raw = json.dumps({"price": 10, "currency": currency}).encode()
        found = CatalogReader(money=MONEY).read(Record(CATALOG_TOPIC, 0, 0, NOW, b"i", raw), 0)
        assert isinstance(found, Row)
        return found

    converted, dropped = row("USD"), row("JPY")
    assert converted.attributes is not None
    assert dropped.attributes is not None
    assert (converted.attributes.price, converted.attributes.currency) == (9.0, "EUR")
    assert (dropped.attributes.price, dropped.repairs) == (None, ("price:no_rate",))


def test_a_currency_is_a_code() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"currency": "euro"}, MoneySettings)
