"""In which order a worker starts, and what a start leaves behind. The kernels are tested in `engine/test_warm.py`."""

from __future__ import annotations

import asyncio
import gc
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streams.engine.warm import Warmed
from streams.settings.sections import Settings
from streams.worker import process
from streams.worker.process_tuning import copy_unwritable_kernels
from streams.worker.worker import Worker


def _note_joining(worker: Worker, done: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a worker note that it joins the group and runs, instead of doing so."""

    async def start() -> None:
        done.append("join")

    async def stopped() -> None:
        done.append("run")

    monkeypatch.setattr(worker.app, "start", start)
    monkeypatch.setattr(worker.app, "wait_until_stopped", stopped)


async def test_kernels_come_before_the_group_and_beside_the_event_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def note(what: str) -> Callable[[], None]:
        return lambda: done.append(f"{what} in {threading.current_thread().name.rpartition('_')[0]}")

    worker = Worker(_settings(tmp_path), before_joining=note("before"), while_joining=note("while"))
    _note_joining(worker, done, monkeypatch)
    await worker._run_faust()
    assert done == ["before in nearstream-compute", "join", "while in nearstream-compute", "run"]
    worker._compute.close()


async def test_where_others_serve_it_joins_once_its_read_models_are_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def settle() -> None:
        done.append("settle")

    worker = Worker(_settings(tmp_path), while_joining=settle, served=lambda: True)
    _note_joining(worker, done, monkeypatch)
    starting = asyncio.create_task(worker._run_faust())
    await asyncio.sleep(0.1)
    assert done == []
    assert worker._membership.out_s == 0.0, "nobody waits for the group yet"
    worker.feed.complete.set()
    await starting
    assert done == ["settle", "join", "run"]
    worker._compute.close()


async def test_it_joins_at_once_when_the_last_of_the_others_goes_while_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def served() -> bool | None:
        done.append("ask")
        return answers.pop(0)

    answers = [True, None, True, False]
    monkeypatch.setattr("streams.worker.worker._ASKED_AGAIN_AFTER_S", 0.01)
    worker = Worker(_settings(tmp_path), served=served)
    _note_joining(worker, done, monkeypatch)
    async with asyncio.timeout(10):
        await worker._run_faust()
    assert done == ["ask", "ask", "ask", "ask", "join", "run"]
    assert not worker.feed.complete.is_set()
    worker._compute.close()


async def test_a_worker_says_when_it_is_ready_and_how_much_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    worker, problems = Worker(_settings(tmp_path)), {"group": "not joined yet"}
    monkeypatch.setattr("streams.worker.worker._ANNOUNCED_WITHIN_S", 0.001)
    monkeypatch.setattr(worker.health, "unready", lambda: problems)
    caplog.set_level(logging.INFO)
    announcing = asyncio.create_task(worker._announce())
    await asyncio.sleep(0.02)
    assert caplog.messages == []
    problems.clear()
    await asyncio.sleep(0.05)
    assert caplog.messages == ["ready, with 0 partitions"]
    announcing.cancel()
    await asyncio.gather(announcing, return_exceptions=True)
    worker._compute.close()


async def test_a_worker_is_well_before_it_has_joined_the_group(tmp_path: Path) -> None:
    worker = Worker(_settings(tmp_path))
    assert worker.health.unhealthy() == {}
    assert worker.health.unready()["group"] == "not joined yet"
    await worker._watchdog.look()
    worker._compute.close()


def _settings(folder: Path) -> Settings:
    worker = msgspec.structs.replace(Settings().worker, state_dir=str(folder))
    return msgspec.structs.replace(Settings(), worker=worker)


@pytest.mark.parametrize(
    ("warmed", "says"),
    [
        (Warmed(0, 25, 0.84, "/cache"), "25 kernels ready in 0.8 s: 0 compiled, 25 from the cache (/cache)"),
        (
            Warmed(26, 0, 17.8, "/cache"),
            "26 compiled, 0 from the cache (/cache); `nearstream warm` compiles them before",
        ),
        (
            Warmed(26, 0, 17.8, None),
            "(none); no place for a cache can be written to, so they are compiled anew at every",
        ),
    ],
)
def test_a_start_says_in_one_line_what_kernels_cost(
    warmed: Warmed, says: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(process, "warm", lambda: warmed)
    caplog.set_level(logging.INFO)
    process._warm()
    (message,) = caplog.messages
    assert says in message


def test_a_long_compilation_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told = threading.Event()

    def slow() -> Warmed:
        assert told.wait(30), "nothing was said meanwhile"
        return Warmed(26, 0, 17.8, "/cache")

    def count() -> tuple[int, int]:
        told.set()
        return 7, 26

    monkeypatch.setattr(process, "warm", slow)
    monkeypatch.setattr(process, "progress", count)
    caplog.set_level(logging.INFO)
    process._warm(say_every_s=0.01)
    assert caplog.messages[0].startswith("compiling kernels: 7 of 26 are ready; ")
    assert "26 kernels ready" in caplog.messages[-1]


def test_after_the_start_the_collector_leaves_alone_what_is_loaded() -> None:
    program = (
        "import gc; from streams.worker.process import _settle; _settle(); "
        "print(gc.get_freeze_count(), len(gc.get_objects()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    frozen, others = done.stdout.split()
    assert int(frozen) > 50_000 > 1_000 > int(others)
    assert gc.get_freeze_count() == 0, "not in this process"


def test_kernels_that_may_only_be_read_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ranking_1").mkdir()
    (tmp_path / "ranking_1" / "kernel.nbi").write_bytes(b"index")
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert copy_unwritable_kernels(environment) is None

    at_exit: list[Any] = []
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("atexit.register", lambda *call, **options: at_exit.append((call, options)))
    copy = copy_unwritable_kernels(environment)
    assert copy is not None
    assert environment == {"NUMBA_CACHE_DIR": str(copy)}
    assert (copy / "ranking_1" / "kernel.nbi").read_bytes() == b"index"
    [((remove, *arguments), options)] = at_exit
    remove(*arguments, **options)
    assert not copy.exists()


def test_without_a_place_for_the_copy_numba_looks_for_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> str:
        raise OSError("no space left on device")

    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("tempfile.mkdtemp", full)
    assert copy_unwritable_kernels(environment) is None
    assert environment == {"NUMBA_CACHE_DIR": str(tmp_path)}
