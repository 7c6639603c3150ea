"""Replaying an event file into Kafka at a chosen speed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from processors.common.hashing import partition_of
from processors.events.event import EVENT_TOPICS
from streams.cli.connections import producing
from streams.cli.file_options import EventFile
from streams.datasets.event_files import FileEvent
from streams.datasets.files import count_events
from streams.datasets.reading import EARLIEST_MS, LATEST_MS, Reading
from streams.kafka.admin import partition_counts
from streams.settings.sections import Settings

_IN_FLIGHT = 20_000
_REPORT_EVERY = 500
_LINGER_MS = 20
_BATCH_BYTES = 256 * 1024


@dataclass(frozen=True)
class Pace:
    """When events are sent, and by how much their times are shifted.

    Parameters
    ----------
    first_ms
        Time of the stream's first event.
    speed
        How many times as fast as it happened; 0 sends as fast as the brokers take the events.
    shift_ms
        Milliseconds added to the time of each event.

    Examples
    --------
    >>> Pace(first_ms=1_000, speed=60).due_s(61_000)
    1.0
    """

    first_ms: int
    speed: float = 0.0
    shift_ms: int = 0

    def due_s(self, time_ms: int) -> float:
        """Return the seconds after the start at which an event is to be sent."""
        return (time_ms - self.first_ms) / 1000 / self.speed if self.speed else 0.0


def pace_of(first_ms: int, last_ms: int, speed: float, now_ms: int | None) -> Pace:
    """Return the pace of a stream; with ``now_ms`` the times end at the moment the last event is sent.

    A stream that is sent slower than it happened starts now instead: no event may be ahead of the clock.

    Examples
    --------
    >>> pace_of(0, 3_600_000, speed=60, now_ms=10_000_000).shift_ms
    6460000
    >>> pace_of(0, 3_600_000, speed=0, now_ms=10_000_000).shift_ms
    6400000
    """
    if now_ms is None:
        return Pace(first_ms, speed)
    takes_ms = (last_ms - first_ms) / speed if speed else 0.0
    starts_ms = now_ms if 0 < speed < 1 else now_ms + takes_ms - (last_ms - first_ms)
    return Pace(first_ms, speed, round(starts_ms) - first_ms)


def rewritten(event: FileEvent, shift_ms: int = 0, suffix: str = "") -> FileEvent:
    """Return the event at another time and with a suffix to its id.

    An id that is neither text nor a number stays as it is: a worker refuses the event.

    Examples
    --------
    >>> event = FileEvent("events.click.v1", b"u", b'{"event_id":"clicks:2","user_id":"u","timestamp":5}', 5)
    >>> rewritten(event, 10, ":b7").value
    b'{"event_id":"clicks:2:b7","user_id":"u","timestamp":15}'
    """
    if not shift_ms and not suffix:
        return event
    fields = _decode(event.value)
    if shift_ms:
        fields["timestamp"] = event.time_ms + shift_ms
    if suffix and isinstance(known := fields.get("event_id"), str | int) and known != "":
        fields["event_id"] = f"{known}{suffix}"
    return FileEvent(event.topic, event.key, _encode(fields), event.time_ms + shift_ms)


@dataclass(frozen=True)
class Replayed:
    """Figures of a replay that is done: every event is on all replicas.

    Parameters
    ----------
    unread
        Lines that are no events, and were not sent.
    id_suffix
        Suffix of all event ids in this run; empty if the ids are the same in every run.
    """

    file: str
    events: int
    unread: int
    seconds: float
    events_per_s: float
    shift_ms: int
    id_suffix: str


class Replay:
    """Sends the events of a file to Kafka.

    Parameters
    ----------
    settings
        Settings that reach the brokers.
    file
        An event file, and how to read it.
    speed, now, new_ids
        The options of ``nearstream replay`` of these names.

    Attributes
    ----------
    reading : Reading
        What came of the lines of the file.
    """

    def __init__(
        self,
        settings: Settings,
        file: EventFile,
        *,
        speed: float = 0.0,
        now: bool = False,
        new_ids: bool = False,
    ) -> None:
        self._settings, self._file, self.reading = settings, file, Reading()
        self._speed, self._now = speed, now
        self._suffix = f":{uuid4().hex[:8]}" if new_ids else ""

    def total(self) -> int:
        """Estimate how many events will be sent, by the lines of the file."""
        lines = count_events(self._file.path)
        return min(lines, self._file.limit or lines)

    def run(self, progress: Callable[[int], object] | None = None) -> Replayed:
        """Send everything, and return when the brokers have acknowledged all of it.

        Parameters
        ----------
        progress
            Called now and then with the number of events sent.

        Raises
        ------
        EventFileError
            If the file cannot be read to its end. What came before is sent.
        TopicMissing, BrokerUnavailable
            If Kafka does not take it.
        """
        counts = partition_counts(self._settings.kafka, list(EVENT_TOPICS))
        pace = self._pace()
        sent, started = 0, time.monotonic()
        with producing(self._settings, linger_ms=_LINGER_MS, batch_size=_BATCH_BYTES) as producer:
            unacknowledged: deque[Any] = deque()
            for sent, event in enumerate(self._paced(pace, started), 1):
                partition = partition_of(event.key.decode(), counts[event.topic])
                unacknowledged.append(producer.send(event.topic, event.value, event.key, partition=partition))
                if len(unacknowledged) > _IN_FLIGHT:
                    unacknowledged.popleft().get()
                if progress is not None and sent % _REPORT_EVERY == 0:
                    progress(sent)
            for future in unacknowledged:
                future.get()
        seconds = time.monotonic() - started
        if progress is not None:
            progress(sent)
        rate = round(sent / max(seconds, 1e-9), 1)
        unread = sum(self.reading.unread.values())
        return Replayed(str(self._file.path), sent, unread, round(seconds, 3), rate, pace.shift_ms, self._suffix)

    def _pace(self) -> Pace:
        if not self._now:
            first = next((event.time_ms for event in self._file.read() if _is_likely(event.time_ms)), None)
            if first is None:
                first = next((event.time_ms for event in self._file._replace(limit=1).read()), 0)
            return pace_of(first, 0, self._speed, None)
        times = [event.time_ms for event in self._file.read()] or [0]
        # One clock that is wrong would move all other events out of what a worker takes.
        times = [time_ms for time_ms in times if _is_likely(time_ms)] or times
        return pace_of(times[0], max(times), self._speed, time.time_ns() // 1_000_000)

    def _paced(self, pace: Pace, started: float) -> Iterator[FileEvent]:
        for event in self._file.read(self.reading):
            # For a clock that is wrong nobody waits, unless all are.
            if pace.speed and (_is_likely(event.time_ms) or not _is_likely(pace.first_ms)):
                wait = started + pace.due_s(event.time_ms) - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
            yield rewritten(event, pace.shift_ms, self._suffix)


def _is_likely(time_ms: int) -> bool:
    return EARLIEST_MS <= time_ms <= LATEST_MS


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return the events per second."""
        return Text(f"{task.finished_speed or task.speed or 0:,.0f}/s")


def progress_bar(*, visible: bool) -> Progress:
    """Return a progress bar on standard error; it shows nothing if that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not (visible and console.is_terminal),
    )


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
