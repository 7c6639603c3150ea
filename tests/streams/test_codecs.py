"""Apps choose how to compress; both Kafka clients read it all."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from kafka.record import MemoryRecords as ToolRecords

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
VALUE = b'{"event_id":"e1"}' * 20


def compressed(codec: str) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=CODECS[codec],
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=2**20,
    )
    builder.append(0, 0, b"key", VALUE, [])
    return bytes(builder.build())


@pytest.mark.parametrize("codec", CODECS)
def test_a_worker_reads_the_codec(codec: str) -> None:
    (record,) = MemoryRecords(compressed(codec)).next_batch()
    assert record.value == VALUE


@pytest.mark.parametrize("codec", CODECS)
def test_the_tools_read_the_codec(codec: str) -> None:
    (record,) = ToolRecords(compressed(codec)).next_batch()
    assert record.value == VALUE
