"""Whatever a header is called, the record is read."""

import inspect
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.kafka.upstream.header_names import LenientMemoryRecords, _read_leniently
from tests.support import SourceRecord, misnamed, record_batch

RECORDS: list[SourceRecord] = [
    (b"key", b"value", (("trace", b"1"), ("@@@@", b"v"))),
    (None, None, (("@@@@", None),)),  # type: ignore[list-item]  # brokers take headers without a value
    (b"", b"x" * 300, ()),
]


def seen(data: bytes) -> list[tuple[Any, ...]]:
    batches, records = LenientMemoryRecords(data), []
    while batches.has_next():
        records += [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in batches.next_batch()]
    return records


@pytest.mark.parametrize("codec", [0, 1, 4])
def test_a_header_name_that_is_not_utf8_costs_neither_the_record_nor_its_neighbours(codec: int) -> None:
    good = record_batch(RECORDS, codec)
    bad = misnamed(RECORDS, codec)
    expected = [
        (*rest, [(name.replace("@@@@", r"\xff\xfe\xff\xfe"), value) for name, value in headers])
        for *rest, headers in seen(good)
    ]
    assert seen(bad) == expected


def test_batches_after_the_bad_one_are_read() -> None:
    last = record_batch(RECORDS[-1:], 0)
    assert seen(misnamed(RECORDS, 0) + last + last[:-1])[-1][3] == RECORDS[-1][1]


def test_what_aiokafka_reads_is_read_alike() -> None:
    data = record_batch(RECORDS, 1)
    assert [repr(record) for record in _read_leniently(memoryview(data))] == [
        repr(record) for record in MemoryRecords(data).next_batch()
    ]


def test_a_batch_whose_records_are_cut_short_is_not_made_up() -> None:
    data = bytearray(misnamed(RECORDS, 0))
    data[57:61] = (4).to_bytes(4, "big")
    with pytest.raises(CorruptRecordException):
        _read_leniently(memoryview(data))


def test_aiokafka_reads_with_it() -> None:
    import streams.kafka.faust_transport  # noqa: F401

    assert fetcher.MemoryRecords is LenientMemoryRecords
    assert "records = MemoryRecords(part_data[-1])" in inspect.getsource(fetcher.Fetcher._proc_fetch_request)


def test_aiokafka_raises_at_such_names() -> None:
    with pytest.raises((UnicodeDecodeError, CorruptRecordException)):
        list(MemoryRecords(misnamed(RECORDS, 0)).next_batch())
