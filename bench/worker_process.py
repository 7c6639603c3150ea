"""A worker as a process of its own, watched from outside: its log, its metrics, what it used."""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

from processors.common.errors import NearstreamError
from processors.common.topics import SIGNALS_TOPIC
from processors.events.event import EVENT_TOPICS
from streams.broker.process import ChildProcess, is_listening
from streams.kafka.errors import file_tail

_COMMAND = (sys.executable, "-m", "streams.cli", "worker")
_QUIET_S = 0.5
_SCRAPE_EVERY_S = 1.0
"""Seconds between two looks at a worker's metrics while it works: a scrape costs it some 20 ms."""


class BenchmarkFailed(NearstreamError):
    """What was measured did not do what it should. There are no figures then."""


class WorkerProcess:
    """A ``nearstream worker`` that is started with the context and stopped with it.

    Parameters
    ----------
    environment
        Environment from :meth:`bench.cluster.Cluster.environment`.
    log
        File for what the worker logs.

    Attributes
    ----------
    started_at : float
        Monotonic seconds when its web server first answered. The interpreter has started and everything is imported
        by then, and Faust has not: nothing was fetched yet.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._port = int(environment["NEARSTREAM_WORKER__WEB_PORT"])
        self._process = ChildProcess(_COMMAND, log, environment=environment)
        self.pid = self._process.pid
        self.started_at = 0.0

    def __enter__(self) -> Self:
        try:
            self.wait(lambda: is_listening(self._port), 60.0, "its web server to answer", 0.01)
        except BaseException:
            self._process.stop()
            raise
        self.started_at = time.monotonic()
        return self

    def wait_until_joined(self) -> float:
        """Wait until the worker has joined its group, and return when that was, in monotonic seconds.

        Its kernels and libraries are loaded then, and it has fetched nothing yet.
        """
        self.wait(lambda: "group" not in self._problems(), 120.0, "it to join the group", 0.02)
        return time.monotonic()

    def _problems(self) -> dict[str, str]:
        """Return what keeps the worker from being ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=10) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except (urllib.error.URLError, TimeoutError) as error:
            return {"group": str(error)}
        return dict(json.loads(body)["problems"])

    def __exit__(self, *_: object) -> None:
        self._process.stop()

    def wait(self, condition: Callable[[], bool], timeout_s: float, what: str, every_s: float = 0.25) -> None:
        """Wait for a condition.

        Raises
        ------
        BenchmarkFailed
            If the worker ends, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        while not condition():
            code = self._process.exit_code
            if code is not None:
                raise BenchmarkFailed(f"the worker ended with code {code}. Its log:\n{file_tail(self._process.log)}")
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"waited {timeout_s:.0f} s for {what}. Its log:\n{file_tail(self._process.log)}")
            time.sleep(every_s)

    def ready(self) -> bool:
        """Tell whether the worker's partitions are restored and its read model is complete."""
        return self._says_yes("readyz")

    def healthy(self) -> bool:
        """Tell whether the worker says, within 10 s, that it is well."""
        return self._says_yes("healthz")

    def _says_yes(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/{path}", timeout=10):
                return True
        except (urllib.error.URLError, TimeoutError):
            return False

    def figures(self) -> Figures:
        """Scrape the worker's metrics; there are none while it starts or ends."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=30) as answer:
                return Figures(answer.read().decode())
        except (urllib.error.URLError, ConnectionError):
            return Figures("")

    def wait_until_drained(self, events: int, timeout_s: float) -> float:
        """Wait until so many events are applied, all planes and the read model have followed, and nothing is left.

        Returns
        -------
        float
            Monotonic seconds: when everything was seen to be applied, or the read model last changed if that is later.
        """
        applied_at: list[float] = []
        changed_at: list[float] = []

        def drained() -> bool:
            figures, now = self.figures(), time.monotonic()
            if not figures.caught_up(events):
                applied_at.clear()
                return False
            applied_at.append(now)
            age = figures.total("nearstream_read_model_age_seconds")
            changed_at.append(now - age)
            return now - applied_at[0] > _QUIET_S and age > _QUIET_S

        self.wait(drained, timeout_s, f"{events} events to be drained", _SCRAPE_EVERY_S)
        return max(applied_at[0], changed_at[-1])


class Figures:
    r"""Samples of one scrape.

    Parameters
    ----------
    text
        The text that the worker's metrics endpoint returned.

    Examples
    --------
    >>> figures = Figures('n_total{topic="a"} 3.0\nn_total{topic="b"} 4.0\n')
    >>> figures.total("n_total"), figures.total("n_total", topic="b")
    (7.0, 4.0)
    """

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples[sample.name].append((sample.labels, sample.value))

    def total(self, name: str, **labels: str) -> float:
        """Sum of a metric's samples that carry these labels."""
        return sum(value for found, value in self._samples[name] if labels.items() <= found.items())

    def events(self) -> int:
        """Count the source events applied so far, whatever came of them."""
        every = sum(self.total("nearstream_events_total", topic=topic) for topic in EVENT_TOPICS)
        return int(every - self.total("nearstream_events_total", outcome="forwarded"))

    def caught_up(self, events: int) -> bool:
        """Tell whether so many events and all signals that came of them are applied, and no partition has lag."""
        return (
            self.events() >= events
            and self.total("nearstream_events_total", topic=SIGNALS_TOPIC)
            == self.total("nearstream_outputs_total", topic=SIGNALS_TOPIC)
            and self.total("nearstream_lag_records") == 0
        )
