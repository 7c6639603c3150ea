"""aiokafka hands over records without the range of offsets that they cover: nobody can tell a gap from a marker.

Between two records there may be offsets of transaction markers, of aborted and of compacted records, none of which is
delivered; a record that was lost on the way looks just the same. The fetcher knows how far it has read: here its
results are taken out together with that. ``tests/streams/kafka/upstream/test_fetched_ranges.py`` fails when the fetcher
changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.consumer.fetcher import FetchResult
from faust.types import TP

from streams.engine.source_batch import SourceBatch

RecordMap = Mapping[TP, list[SourceBatch]]
"""What was fetched, by partition."""


class CoveredFetches:
    """Takes fetched records out of an aiokafka fetcher, together with the range of offsets they cover.

    A range that holds no record (a transaction's marker at the end of the log) is kept back and joined to the next
    one, so that no partition is woken for it.

    Parameters
    ----------
    max_records
        Most records per partition and fetch.
    """

    def __init__(self, max_records: int) -> None:
        self.max_records = max_records
        self.covered: dict[TP, int] = {}
        self._held: dict[TP, tuple[int, int]] = {}

    @property
    def recordless(self) -> Mapping[TP, tuple[int, int]]:
        """Range of offsets that is kept back, by partition: first offset, and the one after the last."""
        return self._held

    def drain(self, fetcher: Any, partitions: set[TP] | None) -> dict[TP, list[SourceBatch]]:
        """Remove and return everything that has been fetched for the partitions, :obj:`None` for all of them.

        Nothing is awaited here, so that no seek can come in between.
        """
        drained: dict[TP, list[SourceBatch]] = {}
        for key in list(fetcher._records):
            tp = TP(key.topic, key.partition)
            if partitions is not None and tp not in partitions:
                if not fetcher._subscriptions.is_assigned(key):
                    del fetcher._records[key]
                continue
            result = fetcher._records[key]
            if not isinstance(result, FetchResult):
                if drained:
                    break  # deliver what there is; the error is raised at the next call
                del fetcher._records[key]
                fetcher._notify(fetcher._wait_consume_future)
                result.check_raise()
                continue
            batch = self._take(tp, key, result)
            if not result.has_more():
                del fetcher._records[key]
                fetcher._notify(fetcher._wait_consume_future)
            if batch is not None:
                drained[tp] = [batch]
        return drained

    def _take(self, tp: TP, key: Any, result: Any) -> SourceBatch | None:
        if not result.check_assignment(key):
            return None
        state = result._assignment.state_value(key)
        start = state.position
        records = result.getall(self.max_records)
        end = state.position
        held_start, held_end = self._held.pop(tp, (start, start))
        if held_end == start:
            start = held_start
        self.covered[tp] = end
        if not records:
            if end > start:
                self._held[tp] = start, end
            return None
        return SourceBatch(tp.topic, start, end, records)
