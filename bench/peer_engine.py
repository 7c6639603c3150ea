"""What the runner of peers (:mod:`bench.peer`) needs to know of each of them."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

from bench.load import LoadEvent
from streams.broker.process import ChildProcess
from streams.engine.topology import TopicSpec
from streams.settings.sections import Settings


class PeerPlan(NamedTuple):
    """How to run a peer.

    Parameters
    ----------
    events
        How many events count: those after the warm ones.
    store
        Store of the Faust app's tables: ``memory``, which is faster, or ``rocksdb`` (rocksdict), which keeps them on
        disk as the worker does. Quix Streams always uses RocksDB.
    engine
        ``faust`` or ``quix``.
    warm
        How many events are answered before the clocks start, of the peer and of the worker: the first ones,
        at least one.
    commit_s
        Seconds between the commits of the Quix Streams app.
    """

    events: int = 5_000
    store: str = "memory"
    engine: str = "faust"
    warm: int = 5_000
    commit_s: float = 5.0


class Engine(ABC):
    """A peer: its process, its topics, and how to tell that it has done.

    Parameters
    ----------
    settings
        Settings with the brokers and the number of partitions.
    directory
        Directory for its log and its states.
    plan
        How to run it.
    """

    name: ClassVar[str]
    """What it is called in messages."""
    package: ClassVar[str]
    """The package that it is built on, by its name on PyPI."""
    module: ClassVar[str]
    """The module that is run."""
    arguments: ClassVar[tuple[str, ...]] = ()
    """Command line of the module."""
    guarantee: ClassVar[str]
    """Its processing guarantee, in the words of Nearstream's setting."""
    answers: ClassVar[str]
    """Topic of its recommendations."""
    store: str
    """Store of its states."""
    commit_s: float | None = None
    """Seconds between its commits, if it has such an interval."""

    def __init__(self, settings: Settings, directory: Path, plan: PeerPlan) -> None:
        self.settings, self.directory, self.store = settings, directory, plan.store

    def start(self) -> ChildProcess:
        """Start it."""
        environment = {
            **os.environ,
            "IDIOMATIC_BROKER": self.settings.kafka.brokers.split(",")[0],
            "IDIOMATIC_DIRECTORY": str(self.directory / "idiomatic"),
            **self.environment(),
        }
        command = [sys.executable, "-m", self.module, *self.arguments]
        return ChildProcess(command, self.directory / "idiomatic.log", environment=environment)

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return what else configures its process."""

    @abstractmethod
    def topics(self) -> list[TopicSpec]:
        """Return the topics that must be there before it starts."""

    @abstractmethod
    async def feed(self, events: list[LoadEvent]) -> None:
        """Append events to its topics."""

    @abstractmethod
    async def drained(self, events: int) -> bool:
        """Tell whether it has answered so many events in all, and has done with all that came of them."""

    async def compare(self) -> int | None:
        """Compare its answers with those of an in-order run once it has ended; return how many differ.

        Returns
        -------
        int or None
            :obj:`None` if they cannot be compared, because they depend on time.

        Raises
        ------
        BenchmarkFailed
            If any differs.
        """
        return None
