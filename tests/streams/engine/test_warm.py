"""Kernels are ready after warming, each for one type per parameter; and it works wherever a process may write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from processors.common.compiled import KERNELS
from streams.engine.driver import TopologyDriver
from streams.engine.warm import Warmed, cache_place, progress, warm
from streams.engine.warm_world import play, settings_with

ROOT = Path(__file__).parents[3]

# All places that numba knows cannot be written to. The kernel of one module stands for all.
_NOWHERE = """
from numba.core import caching

def refuse(self):
    raise PermissionError(13, "Permission denied", self.get_cache_path())

caching._CacheLocator.ensure_cache_path = refuse
import numpy as np
from processors.ranking.selection import _best, top
from streams.engine.warm import cache_place
numbers, filled = top(np.array([0, 2, 3]), np.array([0.1, 0.2, 0.3]), 2)
print(numbers[filled].tolist(), _best.stats.cache_path, cache_place())
"""

_ONE_KERNEL = """
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s")
import numpy as np
from processors.ranking.selection import _best, top
top(np.array([0, 2, 3]), np.array([0.1, 0.2, 0.3]), 2)
print(sum(_best.stats.cache_hits.values()), "from the cache")
"""

_WATCHED = """
import sys
found = []

def watch(event, arguments):
    if event.startswith("socket.") or (event == "open" and str(arguments[1]) not in ("r", "rb", "None")):
        found.append((event, *map(str, arguments)))

from streams.engine.warm import warm
sys.addaudithook(watch)
warm()
print([each for each in found if "__pycache__" not in each[1] and "numba" not in each[1]])
"""


def elsewhere(*arguments: str, **environment: str) -> str:
    """Run Python in a process of its own, and return what it prints."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    surroundings = {**os.environ, "PYTHONPATH": path, **environment}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def inner_kernels() -> set[str]:
    """Names of kernels that are called by kernels only, which are compiled into those."""
    names = {kernel.__name__ for kernel in KERNELS}
    return {name for kernel in KERNELS for name in kernel.py_func.__code__.co_names if name in names}


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_every_kernel_is_warmed_for_the_types_that_it_is_called_with_ever_after() -> None:
    found: dict[str, Any] = json.loads(elsewhere("-m", "tests.streams.engine.signatures"))
    warmed, played = found["warm"], found["played"]
    inner = inner_kernels()
    assert [name for name, types in warmed.items() if not types and name.rpartition(".")[2] not in inner] == []
    assert {name: types for name, types in played.items() if len(types) > 1} == {}
    assert played == warmed
    assert sum(found["counted"]) >= len([name for name, types in warmed.items() if types])
    assert found["again"] == 0


def test_warming_does_the_same_each_time() -> None:
    def states() -> list[bytes]:
        driver = TopologyDriver(settings_with(embedding_size=4))
        play(driver)
        planes = ("users", "items", "campaigns", "models")
        found = [msgspec.msgpack.encode(dict(sorted(driver.state(plane).items()))) for plane in planes]
        assert [len(driver.state(plane)) for plane in planes] == [4, 16, 7, 1]
        return found

    assert states() == states()


def test_warming_heeds_no_settings_and_writes_nothing_but_the_cache(tmp_path: Path) -> None:
    wrong = {"NEARSTREAM_TOPICS__PARTITIONS": "many", "NEARSTREAM_SETTINGS": str(tmp_path / "missing.toml")}
    assert elsewhere("-c", _WATCHED, **wrong) == "[]\n"


def test_a_second_warming_finds_nothing_to_do() -> None:
    warm()
    again = warm()
    assert (again.compiled, again.loaded) == (0, 0)
    assert progress()[0] > 0 or not cache_place()


def with_cache(folder: Path) -> list[str]:
    """Lines that a process prints which calls one kernel and keeps it in a folder."""
    return elsewhere("-c", _ONE_KERNEL, NUMBA_CACHE_DIR=str(folder)).splitlines()


@pytest.fixture(scope="module")
def filled_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    with_cache(folder)
    return folder


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
@pytest.mark.parametrize(("ending", "left"), [("nbi", 0), ("nbi", 40), ("nbc", 0), ("nbc", 500)])
def test_a_damaged_cache_is_made_anew(ending: str, left: int, filled_cache: Path, tmp_path: Path) -> None:
    shutil.copytree(filled_cache, tmp_path, dirs_exist_ok=True)
    damaged = list(tmp_path.rglob(f"*.{ending}"))
    assert damaged
    for file in damaged:
        file.write_bytes(file.read_bytes()[:left])
    warning, hits = with_cache(tmp_path)
    assert "_best" in warning
    assert "cannot be read" in warning
    assert hits == "0 from the cache"
    assert with_cache(tmp_path) == ["1 from the cache"]


@pytest.mark.parametrize("named", ["", "a file"])
def test_without_a_place_for_a_cache_kernels_work_all_the_same(named: str, tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.touch()
    cache = str(file) if named else ""
    assert elsewhere("-c", _NOWHERE, NUMBA_CACHE_DIR=cache, HOME=cache) == "[1, 0, 2] None None\n"


def test_what_is_compiled_at_every_start_is_said_with_what_it_costs() -> None:
    assert Warmed(0, 25, 0.8, "/cache").advice == ""
    assert Warmed(26, 0, 17.8, None).advice.startswith("no place for a cache can be written to")
    assert "takes about 18 s" in Warmed(26, 0, 17.8, None).advice
    assert Warmed(26, 0, 17.8, "/cache").advice.startswith("`nearstream warm` compiles them before a start")


def test_the_place_of_the_cache_is_the_one_that_is_named(tmp_path: Path) -> None:
    program = "from streams.engine.warm import cache_place; print(cache_place())"
    named = str(tmp_path / "kernels")
    assert elsewhere("-c", program, NUMBA_CACHE_DIR=named) == f"{named}, named by NUMBA_CACHE_DIR\n"
