"""Which partitions go on through a rebalance, which are let go of, and which are taken over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from streams.worker.partitions import Partitions
from streams.worker.stores import Name
from tests.streams.engine.test_partition import LogPlane

LOG = LogPlane()


class Runner:
    """A runner that says what happens to it, and that takes its time to let go."""

    def __init__(self, name: str, happened: list[str]) -> None:
        self.name, self.happened, self.processor = name, happened, cast(Any, object())
        self.taken_over = asyncio.Event()

    async def run(self, _: asyncio.Event) -> None:
        self.happened.append(f"{self.name} runs")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            self.happened.append(f"{self.name} closed")

    def doubt(self) -> None:
        self.happened.append(f"{self.name} doubts")

    def confirm(self) -> None:
        self.happened.append(f"{self.name} confirmed")


class Group:
    """Partitions, and a group that assigns them."""

    def __init__(self, fencing: bool = True) -> None:
        self.happened: list[str] = []
        self.generation = 0
        self.partitions = Partitions(self._make, self, asyncio.Event(), fencing)

    def _make(self, _: Any, partition: int) -> Any:
        return Runner(f"{partition}", self.happened)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        return asyncio.create_task(work, name=name)

    def cancel(self, task: asyncio.Task[Any]) -> None:
        task.cancel()

    async def rebalance(self, *numbers: int, generations: int = 1) -> list[str]:
        """What happens until the group has assigned partitions of these numbers, and shortly after."""
        self.happened.clear()
        await self.partitions.revoke()
        self.generation += generations
        wanted: dict[Name, Any] = {(LOG.name, number): LOG for number in numbers}
        self.partitions.assign(wanted, self.generation)
        assert self.partitions.runners.keys() == wanted.keys()
        await asyncio.sleep(0.1)
        return self.happened


async def test_only_what_moves_is_stopped() -> None:
    group = Group()
    assert await group.rebalance(0, 1) == ["0 runs", "1 runs"]
    assert await group.rebalance(1, 2) == ["0 doubts", "1 doubts", "1 confirmed", "2 runs", "0 closed"]
    group.happened.clear()
    await group.partitions.stop()
    assert sorted(group.happened) == ["1 closed", "2 closed"]


async def test_a_worker_that_missed_a_generation_takes_all_over_anew_once_the_stores_are_free() -> None:
    group = Group()
    await group.rebalance(0)
    assert await group.rebalance(0, generations=2) == ["0 doubts", "0 closed", "0 runs"]
    await group.partitions.stop()


async def test_what_is_still_being_taken_over_is_let_go_of_first() -> None:
    group = Group()
    await group.rebalance(0, 1)
    group.partitions.runners[LOG.name, 1].processor = None  # type: ignore[misc]  # not taken over yet
    assert await group.rebalance(0, 1) == ["0 doubts", "1 doubts", "1 closed", "0 confirmed", "1 runs"]
    await group.partitions.stop()


@pytest.mark.parametrize("fencing", [False])
async def test_without_fencing_all_are_let_go_of_before_the_group_decides(fencing: bool) -> None:
    group = Group(fencing)
    await group.rebalance(0)
    assert await group.rebalance(0) == ["0 doubts", "0 closed", "0 runs"]
    await group.partitions.stop()


@pytest.mark.parametrize("patience_s", [30.0, 0.05])
async def test_partitions_that_answer_users_are_taken_over_first_and_keep_the_others_waiting_for_so_long(
    patience_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.worker.partitions._FIRST_S", patience_s)
    group = Group()
    items: Any = SimpleNamespace(name="items")
    users: Any = SimpleNamespace(name="users")
    monkeypatch.setattr(group, "_make", lambda plane, number: Runner(f"{plane.name} {number}", group.happened))
    partitions = Partitions(group._make, group, asyncio.Event(), fencing=True)
    partitions.assign({("items", 0): items, ("users", 0): users, ("users", 1): users}, 1)
    await asyncio.sleep(0)
    assert group.happened == ["users 0 runs", "users 1 runs"]
    if patience_s > 1.0:
        for number in range(2):
            assert "items 0 runs" not in group.happened
            runner: Any = partitions.runners["users", number]
            runner.taken_over.set()
            await asyncio.sleep(0.01)
    else:
        await asyncio.sleep(4 * patience_s)
    assert group.happened == ["users 0 runs", "users 1 runs", "items 0 runs"]
    await partitions.stop()


class Deaf(Runner):
    """A runner that swallows its first two cancellations."""

    async def run(self, _: asyncio.Event) -> None:
        self.happened.append(f"{self.name} runs")
        swallowed = 0
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
                self.happened.append(f"{self.name} swallowed")
        try:
            await asyncio.Event().wait()
        finally:
            self.happened.append(f"{self.name} closed")


class DeafGroup(Group):
    """A group whose first runner of each partition is deaf."""

    def _make(self, plane: Any, partition: int) -> Any:
        deaf = not any(name == f"{partition} runs" for name in self.ever)
        self.ever.append(f"{partition} runs")
        return Deaf(f"{partition}", self.happened) if deaf else super()._make(plane, partition)

    def __init__(self, fencing: bool) -> None:
        self.ever: list[str] = []
        super().__init__(fencing)


async def test_a_runner_that_swallows_its_cancellation_gets_another_and_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("streams.worker.partitions._PATIENCE_S", 0.02)
    group = DeafGroup(fencing=False)
    await group.rebalance(0)
    await asyncio.wait_for(group.partitions.revoke(), 5)
    assert group.happened == ["0 runs", "0 doubts", "0 swallowed", "0 swallowed", "0 closed"]
    assert "log-0 has not let go of its partition" in caplog.text
    assert "Deaf.run" in caplog.text


async def test_whoever_swallows_its_cancellation_does_not_keep_its_successor_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.worker.partitions._PATIENCE_S", 0.02)
    group = DeafGroup(fencing=True)
    await group.rebalance(0)
    await group.rebalance(0, generations=2)
    assert group.happened == ["0 doubts", "0 swallowed", "0 swallowed", "0 closed", "0 runs"]
    await group.partitions.stop()
