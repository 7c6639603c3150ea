"""Compiled loops give the same bits as the Python that they are written in, and keep to their rules."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors.common.compiled import KERNELS
from streams.engine.driver import TopologyDriver
from streams.engine.topology import topic_specs
from streams.engine.warm_world import play, settings_with

ROOT = Path(__file__).parents[3]
compiled_only = pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")


def digest() -> str:
    """What a small shop with every stage on comes to: every record of every topic."""
    found = hashlib.sha256()
    for size in (0, 4):
        settings = settings_with(size)
        topics = [spec.name for spec in topic_specs(settings)]
        driver = TopologyDriver(settings, keep=topics)
        records = dict.fromkeys(topics, 0)
        play(driver)
        for topic in topics:
            for record in driver.read(topic):
                records[topic] += 1
                found.update(repr((topic, record.partition, record.key, record.value, record.headers)).encode())
        assert records["internal.training"] > 10
        assert records["decision-log.v1"] > 5
    return found.hexdigest()


@cache
def elsewhere(**environment: str) -> str:
    command = [sys.executable, "-c", "from tests.processors.common.test_compiled import digest; print(digest())"]
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run(command, cwd=ROOT, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def home(kernel: Any) -> ModuleType:
    return sys.modules[kernel.py_func.__module__]


@compiled_only
@pytest.mark.slow
def test_python_gives_the_bits_that_compiled_loops_give(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = elsewhere()
    assert elsewhere(NUMBA_DISABLE_JIT="1") == expected
    for kernel in KERNELS:
        monkeypatch.setattr(home(kernel), kernel.__name__, kernel.py_func, raising=False)
    with np.errstate(over="ignore"):
        assert digest() == expected


@compiled_only
@pytest.mark.slow
def test_every_processor_gives_the_same_bits(tmp_path: Path) -> None:
    plain = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    assert elsewhere(**plain) == elsewhere()


@compiled_only
def test_a_kernel_calls_kernels_of_its_own_file_only() -> None:
    others = {id(kernel): kernel for kernel in KERNELS}
    for kernel in KERNELS:
        names = [name for name in kernel.py_func.__code__.co_names if hasattr(home(kernel), name)]
        called = [others.get(id(getattr(home(kernel), name))) for name in names]
        assert [other for other in called if other is not None and home(other) is not home(kernel)] == []


@compiled_only
def test_only_the_functions_of_a_file_call_its_kernels() -> None:
    for kernel in KERNELS:
        if kernel.py_func.__module__.startswith("processors."):
            assert kernel.__name__.startswith("_"), f"{kernel.__name__} can be called from elsewhere"
