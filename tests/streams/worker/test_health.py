"""What counts as lag, as a standstill, and as a partition that nobody works on."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streams.engine.topology import build_topology
from streams.kafka.faust_transport import BatchConsumer
from streams.settings.sections import Settings, WorkerSettings
from streams.worker.health import Health

HERE = TP("events.click.v1", 0)


class Scene:
    """A worker with one partition: 10 records applied, the end of the log at will, time that passes when told."""

    def __init__(self) -> None:
        self.now, self.end, self.reread = 1000.0, 10, 0
        self.given_up = 0
        self.contact = SimpleNamespace(silent_s=0.0, problem=None)
        self.recordless: dict[TP, tuple[int, int]] = {}
        position = SimpleNamespace(offsets={HERE.topic: 10})
        self.runner = SimpleNamespace(
            idle=True,
            committed_at=self.now,
            moved_at=self.now,
            reseek=self._reseek,
            activity="publishing",
            publishing_since=None,
            give_up_publishing=self._give_up,
            processor=SimpleNamespace(position=position),
        )
        settings = Settings(worker=WorkerSettings(stalled_after_s=60))
        consumer = SimpleNamespace(assignment=lambda: {HERE}, end=lambda _: self.end, recordless=self.recordless)
        worker = SimpleNamespace(
            settings=settings,
            topology=build_topology(settings),
            contact=self.contact,
            runners={("users", 0): self.runner},
            app=SimpleNamespace(consumer=consumer),
        )
        self.health = Health(cast(Any, worker))

    def _give_up(self) -> None:
        self.given_up += 1
        self.runner.publishing_since = self.now

    async def _reseek(self) -> None:
        self.reread += 1

    async def watch(self, seconds: int) -> list[dict[str, str]]:
        """Let the watchdog look every two seconds; what was not well at each look."""
        problems = []
        for _ in range(0, seconds, 2):
            self.now += 2
            for tp, lag in self.health.lags().items():
                await self.health._look_at(tp, lag)
            problems.append(self.health.unhealthy())
        return problems


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    scene = Scene()
    monkeypatch.setattr("streams.worker.health.monotonic", lambda: scene.now)
    return scene


async def test_a_partition_that_stands_still_is_read_again_and_reported_in_the_end(scene: Scene) -> None:
    scene.end = 510
    problems = await scene.watch(120)
    assert scene.reread == 9
    assert problems[29] == {}
    assert all("no progress" in found["events.click.v1[0]"] for found in problems[32:])


async def test_nothing_is_read_again_while_the_brokers_are_silent(scene: Scene) -> None:
    scene.end, scene.contact.problem = 510, "no answer"
    await scene.watch(120)
    assert scene.reread == 0


async def test_what_is_at_work_is_not_read_again_but_told_of(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.end, scene.runner.idle = 510, False
    await scene.watch(60)
    assert scene.reread == 0
    assert "stands at 10 with 500 records to go: publishing" in caplog.text


async def test_a_transaction_without_end_is_given_up_while_the_brokers_answer(scene: Scene) -> None:
    scene.end, scene.runner.idle, scene.runner.publishing_since = 510, False, scene.now
    scene.contact.problem = "no answer"
    await scene.watch(300)
    assert scene.given_up == 0
    scene.contact.problem = None
    await scene.watch(28)
    assert scene.given_up == 0
    await scene.watch(20)
    assert scene.given_up == 1
    await scene.watch(50)
    assert scene.given_up == 2
    assert scene.reread == 0


async def test_nothing_is_read_again_while_the_worker_is_busy(scene: Scene) -> None:
    scene.end = 510
    for _ in range(20):
        scene.health.woke(late_s=1.0)
        await scene.watch(4)
    assert scene.reread == 0
    scene.health.woke(late_s=0.1)
    await scene.watch(14)
    assert scene.reread == 1


async def test_brokers_that_do_not_answer_do_not_hold_up_the_watchdog(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("streams.worker.health._STALL_S", 0.05)
    scene.runner.reseek = never
    scene.end = 510
    await scene.watch(6)
    assert "could not be read again" in caplog.text


async def test_a_partition_without_work_is_well(scene: Scene) -> None:
    assert (any(await scene.watch(600)), scene.reread) == (False, 0)


async def test_what_was_handed_over_is_not_applied_yet(scene: Scene) -> None:
    scene.end = 510
    scene.recordless[HERE] = (508, 510)
    assert scene.health.lags() == {HERE: 500}


async def test_a_stretch_without_records_behind_the_position_is_no_lag(scene: Scene) -> None:
    scene.end = 12
    scene.recordless[HERE] = (10, 12)
    assert scene.health.lags() == {HERE: 0}


def test_a_partition_that_is_not_taken_over_in_time_is_reported(scene: Scene) -> None:
    scene.runner.processor = cast(Any, None)
    scene.now += 60
    assert scene.health.unhealthy() == {}
    scene.now += 1
    assert scene.health.unhealthy() == {"users-0": "not taken over for 61 s"}


@pytest.mark.parametrize(("stable", "end"), [(7, 7), (None, 9), (-1, 9)])
def test_an_open_transaction_is_not_waited_for(stable: int | None, end: int) -> None:
    client = SimpleNamespace(last_stable_offset=lambda _: stable, highwater=lambda _: 9)
    consumer = SimpleNamespace(_thread=SimpleNamespace(_ensure_consumer=lambda: client))
    assert BatchConsumer.end(cast(Any, consumer), HERE) == end
