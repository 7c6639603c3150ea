"""How much a runner takes at once, and when it has the consumer stop."""

from collections.abc import AsyncIterator, Iterator

import pytest

from processors.events.record import Record
from streams.engine.source_batch import SourceBatch
from streams.engine.topology import build_topology
from streams.settings.sections import Settings, WorkerSettings
from streams.worker.compute_thread import ComputeThread
from streams.worker.consumer_control import ConsumerControl
from streams.worker.metrics import Metrics
from streams.worker.runner import PartitionRunner
from streams.worker.stores import Stores

CLICKS = "events.click.v1"
LARGE = 2**18


class Control(ConsumerControl):
    """Notes which topics are paused."""

    def __init__(self) -> None:
        self.paused: list[str] = []
        super().__init__(self._seek, self._beginning, self._end, self._pause, self._resume)

    async def _seek(self, topic: str, partition: int, offset: int) -> None: ...

    async def _beginning(self, topic: str, partition: int) -> int:
        return 0

    async def _end(self, topic: str, partition: int) -> int:
        return 0

    def _pause(self, topic: str, partition: int) -> None:
        self.paused.append(topic)

    def _resume(self, topic: str, partition: int) -> None:
        self.paused.remove(topic)


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def compute() -> Iterator[ComputeThread]:
    compute = ComputeThread()
    yield compute
    compute.close()


@pytest.fixture
async def runner(control: Control, compute: ComputeThread) -> AsyncIterator[PartitionRunner]:
    settings = Settings(worker=WorkerSettings(buffer_bytes=16 * LARGE))
    runner = PartitionRunner(
        settings, build_topology(settings).users, 0, control, 0, Metrics(), Stores(settings), compute
    )
    yield runner
    await runner._publisher.stop()


def give(runner: PartitionRunner, batches: int, value: bytes = b"", header: bytes = b"") -> None:
    for n in range(batches):
        record = Record(CLICKS, 0, n, 0, None, value, (("trace", header),))
        runner.deliver(SourceBatch(CLICKS, n, n + 1, [record]), lambda: None)


async def test_few_large_events_pause_their_topic(runner: PartitionRunner, control: Control) -> None:
    give(runner, 15, b"x" * LARGE)
    assert control.paused == []
    give(runner, 1, b"x" * LARGE)
    assert control.paused == [CLICKS]


async def test_headers_count_as_well(runner: PartitionRunner, control: Control) -> None:
    give(runner, 16, header=b"x" * LARGE)
    assert control.paused == [CLICKS]


async def test_a_micro_batch_takes_a_quarter_of_the_bytes_that_may_wait(runner: PartitionRunner) -> None:
    give(runner, 16, b"x" * (LARGE - 5))
    assert [len(runner._take()) for _ in range(4)] == [4, 4, 4, 4]
    assert runner.idle


async def test_what_is_larger_goes_alone(runner: PartitionRunner) -> None:
    give(runner, 2, b"x" * 16 * LARGE)
    assert [len(runner._take()) for _ in range(2)] == [1, 1]


async def test_a_topic_goes_on_when_half_is_left(runner: PartitionRunner, control: Control) -> None:
    give(runner, 16, b"x" * LARGE)
    paused = []
    while not runner.idle:
        runner._take()
        paused.append(bool(control.paused))
    assert paused == [True, True, False, False, False, False]


async def test_a_step_takes_what_can_be_computed_in_its_time(control: Control, compute: ComputeThread) -> None:
    settings = Settings(worker=WorkerSettings(step_ms=100))
    runner = PartitionRunner(
        settings, build_topology(settings).users, 0, control, 0, Metrics(), Stores(settings), compute
    )
    give(runner, 250)
    assert [len(runner._take()) for _ in range(3)] == [100, 100, 50]
    runner._record_s = 0.0011
    give(runner, 100)
    assert len(runner._take()) == 90
    await runner._publisher.stop()
