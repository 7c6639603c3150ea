r"""aiokafka raises at header names that are not UTF-8, which brokers accept, and again whenever the batch is read.

Here such a batch is read a second time, with bytes that cannot be decoded written as ``\xff``. All others are read by
aiokafka. ``tests/streams/kafka/upstream/test_header_names.py`` fails when aiokafka reads them all.
"""

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecord, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint_py

_LENGTH = struct.Struct(">8xi")
_MAGIC_AT = 16


def install() -> None:
    """Have all consumers of this process read batches with :class:`LenientMemoryRecords`."""
    fetcher.MemoryRecords = LenientMemoryRecords


class LenientMemoryRecords:
    """Replaces aiokafka's ``MemoryRecords``: the record batches that were fetched of one partition.

    Parameters
    ----------
    data
        Bytes as fetched; the last batch may be cut off.
    """

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0
        self._records = MemoryRecords(data)

    def size_in_bytes(self) -> int:
        """Return the number of bytes of all batches."""
        return int(self._records.size_in_bytes())

    def has_next(self) -> bool:
        """Tell whether there is another whole batch."""
        return bool(self._records.has_next())

    def next_batch(self) -> Any:
        """Return the next batch; :obj:`None` if there is none."""
        batch = self._records.next_batch()
        if batch is None:
            return None
        start = self._at
        self._at += _LENGTH.size + _LENGTH.unpack_from(self._data, start)[0]
        # Formats before version 2 have no headers.
        return batch if self._data[start + _MAGIC_AT] < 2 else _LenientBatch(batch, self._data[start : self._at])


class _LenientBatch:
    """A batch of aiokafka whose records can be read whatever their headers are called."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        # All at once: otherwise those before a record that cannot be read would be consumed when that shows.
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            return iter(_read_leniently(self._raw))


def _read_leniently(raw: memoryview) -> list[Any]:
    batch = _DefaultRecordBatchPy(raw)
    batch._maybe_uncompress()
    fields = _Fields(batch._buffer, batch._pos)
    appended = batch.timestamp_type == batch.LOG_APPEND_TIME
    records = []
    try:
        for _ in range(batch._num_records):
            length = fields.number()
            end = fields.at + length
            fields.at += 1  # attributes; there are none
            ahead, offset = fields.number(), batch.base_offset + fields.number()
            time_ms = batch.max_timestamp if appended else batch.first_timestamp + ahead
            key, value = fields.data(), fields.data()
            headers = [
                ((fields.data() or b"").decode(errors="backslashreplace"), fields.data())
                for _ in range(fields.number())
            ]
            if fields.at != end:
                raise CorruptRecordException(f"the record at offset {offset} is not as long as it says")
            records.append(DefaultRecord(offset, time_ms, batch.timestamp_type, key, value, headers))
        if fields.at != len(batch._buffer):
            raise CorruptRecordException(f"the batch at offset {batch.base_offset} is not as long as its records")
    except (IndexError, ValueError) as error:
        raise CorruptRecordException(f"the batch at offset {batch.base_offset} cannot be read: {error}") from error
    return records


class _Fields:
    """Reads the fields of records one after the other.

    Parameters
    ----------
    buffer
        Bytes of the records of a batch.
    at
        Where the first field begins; moves on with each that is read.
    """

    def __init__(self, buffer: bytearray, at: int) -> None:
        self._buffer, self.at = buffer, at

    def number(self) -> int:
        # Not aiokafka's compiled decoder, which reads beyond the end of the buffer.
        number, self.at = decode_varint_py(self._buffer, self.at)
        return int(number)

    def data(self) -> bytes | None:
        length = self.number()
        if length < 0:
            return None
        start, self.at = self.at, self.at + length
        return bytes(self._buffer[start : self.at])
