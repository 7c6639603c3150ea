"""Prequential evaluation of the whole system: events through the topology driver, each judged before it is learned."""

import gzip
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from io import BufferedIOBase
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgspec

from processors.common.errors import ConfigurationError, NearstreamError
from processors.common.topics import DEAD_LETTERS_TOPIC
from processors.evaluation.prequential import Prequential
from processors.events.event import ITEM_TOPICS
from processors.ranking.settings import Placement
from streams.datasets.event_files import FileEvent
from streams.engine.driver import TopologyDriver
from streams.evaluation.html_report import report
from streams.settings.sections import Settings


class ShownLists(msgspec.Struct):
    """One line of the lists file: item ids a user would have been shown before an event, best first.

    Parameters
    ----------
    all
        What the placement for anything showed.
    new
        What the placement without touched items showed; :obj:`None` if the event is not a first-time one.
    """

    all: list[str]
    new: list[str] | None


class _Touched(msgspec.Struct):
    item_id: str | int


def evaluate_events(
    events: Iterable[FileEvent],
    settings: Settings | None = None,
    lists: Path | None = None,
    html: Path | None = None,
    name: str = "events",
) -> dict[str, Any]:
    """Run events through all planes on one partition and judge what would have been shown before each.

    The clock stands at the latest time met so far. An event that the intake refuses is judged like any other: it was
    there to be foreseen. Impressions are learned and not judged: they are no choices.

    Parameters
    ----------
    events
        In the order in which they happened.
    settings
        As a worker's. Variant ``all`` is judged by the first placement that shows anything, ``new`` by the first one
        that shows nothing touched.
    lists
        File to write :class:`ShownLists` to, a JSON line per event; gzip if its name ends with ``.gz``.
    html
        File to write a report to (:mod:`streams.evaluation.html_report`).
    name
        Of the stream, for the report.

    Returns
    -------
    dict
        ``events``, ``refused`` (dead letters), ``seconds``, ``cpu_s``, ``events_per_s``, ``coverage`` (share of the
        known items that were in some list), and the figures of
        :meth:`processors.evaluation.prequential.Prequential.result` by segment.

    Raises
    ------
    ConfigurationError
        If the settings have no placement for one of the variants.
    NearstreamError
        If ``lists`` or ``html`` cannot be written.
    """
    system = System(settings or Settings())
    judge = Prequential()
    started, cpu = perf_counter(), process_time()
    with _open_for_writing(lists) as out:
        for event in events:
            if event.topic not in ITEM_TOPICS:
                system.learn(event)
                continue
            shown = system.ask(event, judge)
            if out is not None:
                out.write(_encode(shown) + b"\n")
            system.learn(event)
            system.note(shown)
    seconds = perf_counter() - started
    result = {
        "events": len(judge),
        "refused": system.refused,
        "seconds": round(seconds, 1),
        "cpu_s": round(process_time() - cpu, 1),
        "events_per_s": round(len(judge) / max(seconds, 1e-9)),
        "coverage": system.coverage(),
        **judge.result(),
    }
    if html is not None:
        _write(html, report(name, result, [*judge.series(), *system.series]))
    return result


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NearstreamError(f"{path} cannot be written: {error.strerror}") from error


_NOTED = 500
"""Events between two points of the report's charts."""


class System:
    """The topology driver as the evaluation sees it: it is asked, and it learns."""

    def __init__(self, settings: Settings) -> None:
        placements = settings.users.ranking.placements
        self._all = _first(placements, only_new=False)
        self._new = _first(placements, only_new=True)
        topics = msgspec.structs.replace(settings.topics, partitions=1)
        self._driver = TopologyDriver(msgspec.structs.replace(settings, topics=topics), publish=False)
        self.refused = 0
        self.series: list[dict[str, float]] = []
        self._shown: set[str] = set()
        self._events = 0

    def note(self, shown: ShownLists) -> None:
        """Keep what the report shows of the system itself: coverage, and how the ranker does."""
        self._shown.update(shown.all)
        self._events += 1
        if self._events % _NOTED == 0:
            point = {"events": float(self._events), "coverage": self.coverage()}
            view = self._driver.topology.users.read.weights.view
            if view is not None and view.loss > 0.0:
                point |= {"loss": view.loss, "learned": view.gain, "covisitation": view.plain_gain}
            self.series.append(point)

    def coverage(self) -> float:
        """Share of the known items that were in some list."""
        return round(len(self._shown) / max(len(self._driver.topology.index), 1), 4)

    def ask(self, event: FileEvent, judge: Prequential) -> ShownLists:
        """Lists shown before the event, judged."""
        self._driver.advance(max(self._driver.now, event.time_ms))
        user, item = event.key.decode(), self.item_of(event)
        slates = [[place.item_id for place in slate] for slate in self._driver.recommend(user)]
        shown = ShownLists(slates[self._all], slates[self._new] if judge.first_time(user, item) else None)
        judge.score(user, item, shown.all, shown.new or ())
        return shown

    def item_of(self, event: FileEvent) -> str:
        """Item that the event touches."""
        return str(_touched(event.value).item_id)

    def learn(self, event: FileEvent) -> None:
        """Pipe the event; what comes out is taken at once, so that memory is that of the states."""
        driver = self._driver
        driver.pipe(event.topic, event.key, event.value, max(driver.now, event.time_ms))
        self.refused += len(driver.read(DEAD_LETTERS_TOPIC))


def _first(placements: tuple[Placement, ...], only_new: bool) -> int:
    for at, placement in enumerate(placements):
        if placement.only_new == only_new:
            return at
    raise ConfigurationError(
        f"users.ranking.placements: none has only_new = {str(only_new).lower()}, and evaluation needs one"
    )


def _open_for_writing(path: Path | None) -> AbstractContextManager[BufferedIOBase | None]:
    if path is None:
        return nullcontext()
    try:
        return gzip.open(path, "wb", compresslevel=6) if path.suffix == ".gz" else path.open("wb")
    except OSError as error:
        raise NearstreamError(f"{path} cannot be written: {error.strerror}") from error


_encode = msgspec.json.Encoder().encode
_touched = msgspec.json.Decoder(_Touched).decode
