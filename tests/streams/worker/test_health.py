"""When a worker is ready, and when it is not well."""

from typing import Any, cast

import pytest

from processors.common.errors import NearstreamError
from tests.streams.worker.fakes import WatchedWorker


async def test_a_partition_that_stalls_is_reported_in_the_end_though_it_is_read_again(worker: WatchedWorker) -> None:
    worker.end = 510
    problems = await worker.watch(120)
    assert problems[29] == {}
    assert all("no progress" in found["events.click.v1[0]"] for found in problems[32:])


async def test_a_partition_without_work_is_well(worker: WatchedWorker) -> None:
    assert (any(await worker.watch(600)), worker.reread) == (False, 0)


async def test_a_partition_that_is_not_taken_over_in_time_is_reported(worker: WatchedWorker) -> None:
    worker.runner.processor = cast(Any, None)
    worker.now += 60
    assert worker.health.unhealthy() == {}
    worker.now += 1
    assert worker.health.unhealthy() == {"users-0": "not taken over for 61 s"}


async def test_silent_brokers_make_it_unready_at_once_and_unhealthy_in_the_end(worker: WatchedWorker) -> None:
    worker.membership.join()
    worker.probe.silent_s, worker.probe.problem = 5.0, "no answer"
    assert (worker.health.unready(), worker.health.unhealthy()) == ({"brokers": "no answer"}, {})
    worker.probe.silent_s = 61.0
    assert worker.health.unhealthy() == {"brokers": "no answer"}


async def test_read_models_of_which_nothing_comes_any_more_are_reported(worker: WatchedWorker) -> None:
    worker.feed.complete.clear()
    worker.feed.stuck_s = 60.0
    assert worker.health.unhealthy() == {}
    worker.feed.stuck_s = 61.0
    assert worker.health.unhealthy() == {"read model": "incomplete, and nothing read for 61 s"}
    worker.probe.silent_s, worker.probe.problem = 62.0, "no answer"
    assert worker.health.unhealthy() == {"brokers": "no answer"}


async def test_what_keeps_a_worker_from_being_ready_is_named(worker: WatchedWorker) -> None:
    processor, worker.runner.processor = worker.runner.processor, cast(Any, None)
    worker.feed.complete.clear()
    assert worker.health.unready() == {
        "read model": "still being read",
        "group": "not joined yet",
        "users-0": "being restored",
    }
    worker.runner.processor = processor
    worker.feed.complete.set()
    worker.membership.join()
    assert worker.health.unready() == {}
    worker.membership.leave()
    assert worker.health.unready() == {"group": "not joined yet"}


async def test_what_somebody_must_see_to_is_named_at_once(worker: WatchedWorker) -> None:
    worker.membership.join()
    worker.runner.processor, worker.runner.trouble = cast(Any, None), "no space left"
    assert worker.health.unready() == worker.health.unhealthy() == {"users-0": "no space left"}


async def test_a_worker_that_the_group_does_not_take_in_is_unhealthy_and_ends(worker: WatchedWorker) -> None:
    assert await worker.watch(600) == [{}] * 300, "it has not asked yet"
    worker.membership.ask()
    problems = await worker.watch(120)
    assert problems[29] == {}
    assert problems[30] == {"group": "not joined for 62 s"}
    with pytest.raises(NearstreamError, match="not in the group for 122 s though the brokers answer"):
        await worker.watch(2)


async def test_it_does_not_end_for_brokers_that_are_silent_or_once_it_is_taken_in(worker: WatchedWorker) -> None:
    worker.membership.join()
    worker.membership.leave()
    worker.probe.problem = "no answer"
    await worker.watch(600)
    worker.probe.problem = None
    await worker.watch(118)
    worker.membership.join()
    assert not any(await worker.watch(600))
