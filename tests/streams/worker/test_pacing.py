"""How long a micro-batch gathers, and how much it takes."""

import pytest

from processors.events.record import Record
from streams.engine.source_batch import SourceBatch
from streams.settings.sections import WorkerSettings
from streams.worker.pacing import Pacing
from streams.worker.record_buffer import RecordBuffer
from tests.streams.worker.fakes import Clock

LARGE = 2**18


@pytest.fixture
def buffer() -> RecordBuffer:
    return RecordBuffer(8000, 10**9, pause=lambda _: None, resume=lambda _: None)


def put(buffer: RecordBuffer, batches: int, value: bytes = b"") -> None:
    for n in range(batches):
        buffer.put(SourceBatch("t", n, n + 1, [Record("t", 0, n, 0, None, value, ())]), lambda: None)


def take(buffer: RecordBuffer, pacing: Pacing) -> int:
    return len(buffer.take(pacing.most_records, pacing.most_bytes))


def test_a_micro_batch_takes_a_quarter_of_the_bytes_that_may_wait(buffer: RecordBuffer) -> None:
    pacing = Pacing(WorkerSettings(buffer_bytes=16 * LARGE), 0)
    put(buffer, 16, b"x" * LARGE)
    assert [take(buffer, pacing) for _ in range(4)] == [4, 4, 4, 4]
    assert not buffer


def test_what_is_larger_goes_alone(buffer: RecordBuffer) -> None:
    pacing = Pacing(WorkerSettings(buffer_bytes=16 * LARGE), 0)
    put(buffer, 2, b"x" * 16 * LARGE)
    assert [take(buffer, pacing) for _ in range(2)] == [1, 1]


def test_a_step_takes_what_can_be_computed_in_its_time(buffer: RecordBuffer) -> None:
    pacing = Pacing(WorkerSettings(step_ms=100), 0)
    put(buffer, 250)
    assert [take(buffer, pacing) for _ in range(3)] == [100, 100, 50]
    pacing.record_s = 0.0011
    assert pacing.most_records == 90


def test_a_step_takes_no_more_than_the_settings_allow_and_no_less_than_fifty() -> None:
    pacing = Pacing(WorkerSettings(step_ms=100, batch_max_records=60), 0)
    pacing.record_s = 1e-6
    assert pacing.most_records == 60
    pacing.record_s = 10.0
    assert pacing.most_records == 50


def test_the_cost_of_a_record_follows_what_was_measured() -> None:
    pacing = Pacing(WorkerSettings(), 0)
    for _ in range(100):
        pacing.computed(records=100, seconds=0.7)
    assert pacing.record_s == pytest.approx(0.007)
    pacing.computed(records=49, seconds=100.0)
    assert pacing.record_s == pytest.approx(0.007), "few records say nothing of many"


def test_the_first_micro_batch_is_due_at_once_the_next_after_the_interval() -> None:
    clock = Clock()
    pacing = Pacing(WorkerSettings(), 250, clock=clock)
    assert pacing.wait_s(1, 1) == 0.0
    pacing.begin()
    clock.now += 0.1
    assert pacing.wait_s(1, 1) == pytest.approx(0.15)
    clock.now += 0.2
    assert pacing.wait_s(1, 1) == 0.0


@pytest.mark.parametrize(("records", "size_bytes"), [(100, 1), (1, 4 * LARGE)])
def test_a_full_micro_batch_does_not_wait_for_its_interval(records: int, size_bytes: int) -> None:
    pacing = Pacing(WorkerSettings(step_ms=100, buffer_bytes=16 * LARGE), 250, clock=Clock())
    pacing.begin()
    assert pacing.wait_s(records, size_bytes) == 0.0
    assert pacing.wait_s(records - 1, size_bytes - 1) == 0.25


def test_a_partition_takes_no_more_than_its_share_of_the_time() -> None:
    pacing = Pacing(WorkerSettings(), 50, most_share=0.25, clock=Clock())
    pacing.begin()
    for seconds, least, most in ((0.005, 0.05, 0.05), (0.03, 0.1, 0.125), (1.0, 0.2, 0.2), (0.001, 0.05, 0.051)):
        for _ in range(40):
            pacing.committed(seconds)
        assert least <= pacing.wait_s(1, 1) <= most
