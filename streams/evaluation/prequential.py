"""Prequential evaluation of the whole system: events through the topology driver, each judged before it is learned.

As in a worker, events come in micro-batches. All of a micro-batch are judged by lists that know nothing of it, and are
learned then. No user has two events in one, so each list knows all that its user did before. What the judge fills up
short lists with (:mod:`processors.evaluation.prequential`) is what was popular just before each event, the
micro-batch's earlier ones included: it is the same for all systems that are compared.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from io import BufferedIOBase
from itertools import accumulate
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import msgspec

from processors.common.errors import ConfigurationError, NearstreamError
from processors.common.topics import DEAD_LETTERS_TOPIC
from processors.evaluation.prequential import Prequential
from processors.events.event import ITEM_TOPICS, TAKES_BACK
from processors.ranking.settings import Placement
from streams.datasets.event_files import FileEvent
from streams.engine.driver import TopologyDriver
from streams.evaluation.html_report import report
from streams.settings.sections import Settings

BATCH_EVENTS = 16
"""Most events of a micro-batch, unless the caller says otherwise."""

_SPAN_MS = 60_000
"""Most milliseconds that an event of a micro-batch lies after the first."""


class ShownLists(msgspec.Struct):
    """One line of the lists file: item ids a user would have been shown before an event, best first.

    Parameters
    ----------
    all
        The list of the placement that shows any item.
    new
        The list of the placement without touched items; :obj:`None` if the user had touched the item before.
    """

    all: list[str]
    new: list[str] | None


class _Touched(msgspec.Struct):
    """What the evaluation needs of an event's JSON."""

    item_id: str | int
    action: str | None = None


def evaluate_events(
    events: Iterable[FileEvent],
    settings: Settings | None = None,
    lists: Path | None = None,
    html: Path | None = None,
    name: str = "events",
    batch_events: int = BATCH_EVENTS,
) -> dict[str, Any]:
    """Run events through all planes on one partition, and judge what would have been shown before each.

    The clock stands at the latest time met so far. An event that the intake refuses is judged like any other: it was
    there to be predicted. Impressions, refunds and dismissals are learned and not judged: they are no choices.

    Parameters
    ----------
    events
        Events in the order in which they happened.
    settings
        Settings of a worker. Variant ``all`` is judged by the first placement that shows anything, ``new`` by the
        first one that shows nothing touched.
    lists
        File to write :class:`ShownLists` to, a JSON line per event; gzipped if its name ends with ``.gz``.
    html
        File to write a report to (:mod:`streams.evaluation.html_report`), under the ``name`` of the stream.
    batch_events
        Most events of a micro-batch; with 1 every list knows all events before its own, and it takes more than twice
        as long.

    Returns
    -------
    dict
        ``events``, ``refused`` (dead letters), ``seconds``, ``cpu_s``, ``events_per_s``, ``coverage`` (share of the
        known items that were in some list), and :meth:`processors.evaluation.prequential.Prequential.result`.

    Raises
    ------
    ConfigurationError, NearstreamError
        If the settings have no placement for one of the variants; if ``lists`` or ``html`` cannot be written.
    """
    system, judge = System(settings or Settings()), Prequential()
    started, cpu = perf_counter(), process_time()
    with _open_for_writing(lists) as out:
        _run(micro_batches(events, batch_events), system, judge, out)
    result = _figures(system, judge, perf_counter() - started, process_time() - cpu)
    if html is not None:
        _write(html, report(name, result, [*judge.series(), *system.series]))
    return result


def micro_batches(events: Iterable[FileEvent], most: int) -> Iterator[list[FileEvent]]:
    """Part a stream into runs of events of one topic and different users, in order.

    Parameters
    ----------
    events
        Events in the order in which they happened.
    most
        Most events of a run; none lies more than a minute after its first.

    Examples
    --------
    >>> events = [FileEvent("t", user, b"", 1000) for user in (b"ann", b"ben", b"ann", b"cat", b"dan")]
    >>> [[event.key for event in batch] for batch in micro_batches(events, most=2)]
    [[b'ann', b'ben'], [b'ann', b'cat'], [b'dan']]
    """
    batch: dict[bytes, FileEvent] = {}
    topic, begun = "", 0
    for event in events:
        if batch and (
            event.key in batch or event.topic != topic or len(batch) == most or event.time_ms - begun > _SPAN_MS
        ):
            yield list(batch.values())
            batch = {}
        if not batch:
            topic, begun = event.topic, event.time_ms
        batch[event.key] = event
    if batch:
        yield list(batch.values())


def _run(batches: Iterable[list[FileEvent]], system: "System", judge: Prequential, out: BufferedIOBase | None) -> None:
    """Ask and teach the system micro-batch by micro-batch; write the lists if there is a file for them."""
    for events in batches:
        if events[0].topic not in ITEM_TOPICS:
            system.learn(events)
            continue
        lists = system.ask(events, judge)
        system.learn(events)
        for shown in lists:
            if out is not None:
                out.write(_encode(shown) + b"\n")
            system.note(shown)


def _figures(system: "System", judge: Prequential, seconds: float, cpu_s: float) -> dict[str, Any]:
    return {
        "events": len(judge),
        "refused": system.refused,
        "seconds": round(seconds, 1),
        "cpu_s": round(cpu_s, 1),
        "events_per_s": round(len(judge) / max(seconds, 1e-9)),
        "coverage": system.coverage(),
        **judge.result(),
    }


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise NearstreamError(f"{path} cannot be written: {error.strerror}") from error


_EVENTS_PER_POINT = 500
"""Events between two points of the report's charts."""


class System:
    """All planes as the evaluation uses them: asked for lists before an event, then taught the event.

    Parameters
    ----------
    settings
        Settings of a worker; whatever they say, there is one partition.

    Attributes
    ----------
    refused : int
        Events that ended as dead letters so far.
    series : list of dict
        Points of the report's charts that concern the ranker: coverage, loss, and what learning gains.
    """

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
        """Take note of shown lists for the coverage, and of the ranker's figures every so many events."""
        self._shown.update(shown.all)
        self._events += 1
        if self._events % _EVENTS_PER_POINT == 0:
            point = {"events": float(self._events), "coverage": self.coverage()}
            view = self._driver.topology.users.read.weights.view
            if view is not None and view.loss > 0.0:
                point |= {"loss": view.loss, "learned": view.gain, "covisitation": view.plain_gain}
            self.series.append(point)

    def coverage(self) -> float:
        """Return the share of the known items that were in some list."""
        return round(len(self._shown) / max(len(self._driver.topology.index), 1), 4)

    def ask(self, events: Sequence[FileEvent], judge: Prequential) -> list[ShownLists]:
        """Return the lists that the user of each event would be shown just before it, and have them judged.

        Parameters
        ----------
        events
            Events of different users, in order.
        judge
            Judges the lists.
        """
        driver, found = self._driver, []
        moments = list(accumulate((event.time_ms for event in events), max, initial=driver.now))[1:]
        driver.advance(moments[-1])
        users = [event.key.decode() for event in events]
        for user, event, ids in zip(users, events, driver.recommend_ids(users, moments), strict=True):
            if _touched(event.value).action in TAKES_BACK:
                continue  # nobody chose anything
            touched = self.item_of(event)
            shown = ShownLists(ids[self._all], ids[self._new] if judge.first_time(user, touched) else None)
            judge.score(user, touched, shown.all, shown.new or ())
            found.append(shown)
        return found

    def item_of(self, event: FileEvent) -> str:
        """Return the id of the item that the event touches."""
        return str(_touched(event.value).item_id)

    def learn(self, events: Sequence[FileEvent]) -> None:
        """Apply events of one topic as one micro-batch; what is published is dropped, so that only states grow."""
        driver = self._driver
        now = max(driver.now, *(event.time_ms for event in events))
        driver.pipe_batch(events[0].topic, [(event.key, event.value, ()) for event in events], now)
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
