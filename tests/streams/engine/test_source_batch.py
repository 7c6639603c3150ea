"""Batches of a topic: parts cover what the whole covers, and records of several topics have one order."""

from hypothesis import given
from hypothesis import strategies as st

from processors.events.record import Record, SourceRecord
from streams.engine.source_batch import SourceBatch, in_order

times = st.lists(st.integers(0, 9), max_size=12)


def records(topic: str, stamps: list[int]) -> list[SourceRecord]:
    """Records with a free offset between any two, as a transaction's marker leaves it."""
    return [Record(topic, 0, 2 * number + 1, stamp, b"k", b"v") for number, stamp in enumerate(stamps)]


@given(stamps=times, size=st.integers(1, 5))
def test_parts_are_adjacent_and_hold_every_record_within_their_offsets(stamps: list[int], size: int) -> None:
    whole = SourceBatch("t", 0, 2 * len(stamps) + 3, records("t", stamps))
    parts = list(whole.parts(size))

    assert [record for part in parts for record in part.records] == whole.records
    assert [part.end for part in parts] == [*(part.start for part in parts[1:]), whole.end]
    assert parts[0].start == whole.start
    assert all(part.start <= record.offset < part.end for part in parts for record in part.records)
    assert all(len(part.records) <= size for part in parts)


@given(stamps=st.lists(times, min_size=1, max_size=3))
def test_the_order_keeps_that_of_each_topic_and_no_record_comes_before_an_older_one(stamps: list[list[int]]) -> None:
    topics = [records(f"t{number}", those) for number, those in enumerate(stamps)]
    merged = in_order(topics)

    assert sorted(map(id, merged)) == sorted(id(record) for those in topics for record in those)
    for number, those in enumerate(topics):
        assert [record for record in merged if record.topic == f"t{number}"] == those
    latest: dict[str, int] = {}
    ages = []
    for record in merged:
        latest[record.topic] = max(latest.get(record.topic, 0), record.timestamp)
        ages.append(latest[record.topic])
    assert ages == sorted(ages)


def test_bytes_are_those_of_keys_values_and_headers() -> None:
    one = Record("t", 0, 0, 0, b"key", b"value", (("name", b"12"),))
    assert SourceBatch("t", 0, 2, [one, Record("t", 0, 1, 0, None, None)]).size_bytes() == 3 + 5 + 4 + 2
