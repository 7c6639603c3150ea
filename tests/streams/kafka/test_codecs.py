"""Apps choose how to compress; both Kafka clients read it all."""

import pytest
from aiokafka.record.memory_records import MemoryRecords
from kafka.record import MemoryRecords as ToolRecords

from tests.support import record_batch

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
VALUE = b'{"event_id":"e1"}' * 20


def compressed(codec: str) -> bytes:
    return record_batch([(b"key", VALUE, ())], CODECS[codec])


@pytest.mark.parametrize("codec", CODECS)
def test_a_worker_reads_the_codec(codec: str) -> None:
    (record,) = MemoryRecords(compressed(codec)).next_batch()
    assert record.value == VALUE


@pytest.mark.parametrize("codec", CODECS)
def test_the_tools_read_the_codec(codec: str) -> None:
    (record,) = ToolRecords(compressed(codec)).next_batch()
    assert record.value == VALUE
