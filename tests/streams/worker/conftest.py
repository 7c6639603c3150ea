"""Surroundings that several tests of the worker share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.streams.worker.fakes import Brokers, WatchedWorker


@pytest.fixture
def brokers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Brokers]:
    brokers = Brokers(tmp_path, monkeypatch)
    yield brokers
    brokers.compute.close()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> WatchedWorker:
    return WatchedWorker(monkeypatch)
