"""The catalogue: a row per item on ``catalog.items.v1``, keyed by item, read or refused; a tombstone withdraws it.

A row replaces the item's last one as a whole. Its attributes are shown to users and decide what is shown, so a row with
an unusable field is refused: it becomes a dead letter that says what to correct, and the item keeps its attributes.
Repaired is only what has a single meaning: numbers written as text, ids written as numbers, titles that are too long.
"""

from typing import Any

import msgspec

from processors.common.bounds import MAX_ID_CHARACTERS, MAX_MS
from processors.common.money import MoneySettings
from processors.events.json_object import Refused, as_time, decode_object, quoted
from processors.events.keyed_row import KeyWords, read_row
from processors.events.record import Refusal, SourceRecord
from processors.items.catalogue_fields import READERS, available_by, direction, text_of
from processors.items.view import Attributes

CATALOG_REASONS = {
    "missing_key": "the record has no key, so nobody can tell which item it is about",
    "bad_key": "the record's key is not an item id: UTF-8 text of 1 to 256 characters, none of them U+0000",
    "key_mismatch": "the record's key and its item_id differ",
    "wrong_partition": "the record is not on the partition of its item: it must be keyed by item_id",
    "bad_record_time": "the record's own time is not between 1970 and the year 9999",
    "empty_value": "the value is empty, but not a tombstone",
    "too_large": "the value is larger than items.max_row_bytes",
    "invalid_utf8": "the value is not UTF-8 text",
    "not_json": "the value is not JSON that can be read (NaN, Infinity and 1e400 cannot)",
    "too_deep": "the JSON is nested more than 32 levels deep",
    "not_an_object": "the JSON is not an object",
    "wrong_type": "a field has the wrong type",
    "out_of_range": "a figure is out of its range",
    "too_long": "a text is too long",
    "too_many": "a list is too long",
    "bad_timestamp": "published_at is neither ISO-8601 nor epoch milliseconds",
    "bad_embedding": "the embedding has another length than items.embedding_size, or no direction",
}
"""Every reason code with which a row is refused, and what it means."""


class Row(msgspec.Struct, frozen=True):
    """A row of the catalogue, read.

    Parameters
    ----------
    item_id
        The item.
    attributes
        The item's attributes; :obj:`None` for a tombstone.
    at_ms
        Append time of the record, milliseconds since the epoch.
    repairs
        ``field:what`` for each repair, such as ``price:text_to_number``.
    """

    item_id: str
    attributes: Attributes | None
    at_ms: int
    repairs: tuple[str, ...] = ()


class CatalogReader:
    """Reads the records of ``catalog.items.v1``.

    Parameters
    ----------
    embedding_size
        Length of an embedding; 0 if rows have none.
    max_row_bytes
        Larger values are refused without decoding them.
    partitions
        Partitions of the topic.
    money
        The currency that prices are turned into; one whose rate is not known is dropped, and noted.

    Examples
    --------
    >>> import numpy as np
    >>> from processors.events.record import Record
    >>> reader = CatalogReader(embedding_size=2)
    >>> from processors.common.topics import CATALOG_TOPIC
    >>> record = Record(CATALOG_TOPIC, 0, 7, 0, b"tent", b'{"price": "89", "embedding": [3, 4]}')
    >>> row = reader.read(record, partition=0)
    >>> row.attributes.price, row.repairs, np.frombuffer(row.attributes.embedding, "<f2").tolist()
    (89.0, ('price:text_to_number',), [0.60009765625, 0.7998046875])
    >>> reader.read(Record(CATALOG_TOPIC, 0, 8, 0, b"tent", b'{"embedding": [3]}'), partition=0).message
    'embedding: 1 numbers, expected 2 (items.embedding_size)'
    """

    def __init__(
        self,
        embedding_size: int = 0,
        max_row_bytes: int = 262_144,
        partitions: int = 1,
        money: MoneySettings | None = None,
    ) -> None:
        self._money = money or MoneySettings()
        self._size, self._max_bytes, self._partitions = embedding_size, max_row_bytes, partitions

    def read(self, record: SourceRecord, partition: int) -> Row | Refusal:
        """Read a record into a row, or return why it is refused. Never raises, whatever the bytes.

        Parameters
        ----------
        record
            The record as consumed.
        partition
            The partition that it is on; an item's rows belong on the partition that its id is hashed to.
        """
        try:
            item_id, value = read_row(record, _KEY_WORDS, on=(partition, self._partitions))
            if value is None:
                return Row(item_id, None, record.timestamp)
            if not 0 <= record.timestamp <= MAX_MS:
                raise Refused("bad_record_time", f"timestamp: {record.timestamp}, expected 0 to {MAX_MS} milliseconds")
            repairs: list[str] = []
            attributes = self._attributes(decode_object(value, self._max_bytes), item_id, repairs)
            return Row(item_id, attributes, record.timestamp, tuple(repairs))
        except Refused as refused:
            return Refusal(refused.reason, str(refused))

    def _attributes(self, fields: dict[str, Any], item_id: str, repairs: list[str]) -> Attributes:
        named = text_of(fields.get("item_id"), "item_id", MAX_ID_CHARACTERS, repairs)
        if named is not None and named != item_id:
            raise Refused("key_mismatch", f"item_id: {quoted(named)}, expected the record's key {quoted(item_id)}")
        given = {
            name: read(fields[name], name, repairs) for name, read in READERS.items() if fields.get(name) is not None
        }
        if "available" not in given and (stock := fields.get("availability")) is not None:
            given["available"] = available_by(stock, repairs)
        if (moment := fields.get("published_at")) is not None:
            given["published_ms"] = as_time(moment, "published_at", repairs)
            is_number = not isinstance(moment, str) or moment.isdigit()
            if is_number and 0 < given["published_ms"] < _SECONDS_BELOW:
                raise Refused("bad_timestamp", f"published_at: {moment}; epoch milliseconds are expected, not seconds")
        if (numbers := fields.get("embedding")) not in (None, []):
            given["embedding"] = direction(numbers, self._size)
        if "price" in given and "currency" in given:
            given["price"] = self._money.amount(given["price"], given["currency"], "price", repairs)
            given["currency"] = self._money.currency
        return Attributes(**given)


_SECONDS_BELOW = 1e11
"""Numbers below this are of today in seconds, and of before 1974 in milliseconds: dates that old are ISO-8601."""

_KEY_WORDS = KeyWords(
    missing="key: missing, expected the item_id",
    not_utf8="key: byte {byte} is not UTF-8, expected the item_id",
    bad_length=f"key: {{length}} characters, expected an item_id of 1 to {MAX_ID_CHARACTERS} characters",
    elsewhere="key: {quoted} belongs to partition {home}, the record is on {partition}; key records by item_id and let "
    "the producer partition as Kafka's own does (murmur2)",
)
