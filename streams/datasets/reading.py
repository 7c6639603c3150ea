"""What came of reading a file: what was not read and why, what was left out, and whether its times can be believed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from processors.common.time import stamp
from streams.datasets.files import EventFileError

if TYPE_CHECKING:
    from streams.datasets.event_files import FileEvent

EARLIEST_MS, LATEST_MS = 631_152_000_000, 4_102_444_800_000
"""Times before 1990 and after 2100 are no times of events: their unit or their column is another one."""

_BACK_MS = 60_000
_EXAMPLES = 3
_MOST_UNREAD, _MOST_BACK, _MOST_STRANGE = 0.1, 0.01, 0.01


class Reading:
    """Counts of one reading.

    Attributes
    ----------
    events
        Events read.
    beyond
        Events of lines that are several, without the first of each.
    unread
        Lines that were not read, by the field or thing that was wrong.
    left_out
        Fields that were left out of events, as their values made no sense.
    passed_over
        Lines with types that are no events here.
    inside
        Lines that are the rest of a cell which begins on another, in a column that is not read.
    units
        Times of JSON lines that were not in milliseconds, by their unit.
    back, strange
        Events more than a minute before the latest so far, and with times that no event has.
    first_ms, last_ms
        The range of times, milliseconds since the epoch; 0 if there was no event.
    """

    def __init__(self) -> None:
        self.events = self.beyond = self.inside = self.back = self.strange = 0
        self._first_inside = 0
        self.first_ms = self.last_ms = self._most_back_ms = 0
        self.unread: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()
        self.units: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)

    def refuse(self, reason: str, number: int, message: str, first: int | None = None) -> None:
        """Note a line that cannot be read, or several that are one row.

        Parameters
        ----------
        reason
            The field or thing that is wrong.
        number
            The line, from 1.
        message
            What is wrong with it; it may begin with the reason.
        first
            The first line of the row; by default it has one.
        """
        first = number if first is None else min(first, number)
        self.unread[reason] += number - first + 1
        if len(self._examples[reason]) < _EXAMPLES:
            where = f"line {number}" if first == number else f"lines {first} to {number}"
            self._examples[reason].append(f"{where}: {message.removeprefix(f'{reason}: ')}")

    def take_inside(self, first: int, last: int) -> None:
        """Note a row of several lines of which nothing is wrong, as far as it is read; its lines are numbered from 1.

        It may have a description of several lines, or a quotation mark too many that hides the events after it.
        """
        self.inside += last - first
        self._first_inside = self._first_inside or first

    def watched(self, events: Iterable[FileEvent]) -> Iterator[FileEvent]:
        """Yield events and note what their times say."""
        latest = 0
        for event in events:
            at = event.time_ms
            if at < latest - _BACK_MS:
                self.back += 1
                self._most_back_ms = max(self._most_back_ms, latest - at)
            latest = max(latest, at)
            self.strange += not EARLIEST_MS <= at <= LATEST_MS
            self.first_ms = min(self.first_ms or at, at)
            self.last_ms = max(self.last_ms, at)
            self.events += 1
            yield event

    def check(self, name: str, *, in_order: bool = True) -> None:
        """Refuse a file by which nothing can be judged.

        Parameters
        ----------
        name
            Name of the file, for the message.
        in_order
            Whether the events must be in the order of their times.

        Raises
        ------
        EventFileError
            As :meth:`check_lines`; if more than one in a hundred times is no time of an event, or as many run back.
        """
        self.check_lines(name)
        if self.strange > _MOST_STRANGE * self.events:
            span = f"{stamp(self.first_ms)} to {stamp(self.last_ms)}"
            raise EventFileError(
                f"{name}: {self.strange:,} of {self.events:,} times are before 1990 or after 2100 ({span}); expected "
                "seconds, milliseconds, microseconds or nanoseconds since 1970 (name the column with --columns time=…)"
            )
        if in_order and self.back > _MOST_BACK * self.events:
            raise EventFileError(
                f"{name}: times run back at {self.back:,} of {self.events:,} events, by up to "
                f"{self._most_back_ms / 60_000:,.0f} minutes: figures would be of nothing real; expected the oldest "
                "event first (--sort sorts them)"
            )

    def check_lines(self, name: str, others: str = "") -> None:
        """Refuse a file of which too little can be read; :meth:`lines` says why it cannot be.

        Parameters
        ----------
        name
            Name of the file, for the message.
        others
            What became of the events of the other lines, for the message.

        Raises
        ------
        EventFileError
            If there is no event in it, or more than a tenth of its lines cannot be read.
        """
        unread = sum(self.unread.values())
        lines = max(self.events - self.beyond, min(self.events, 1)) + unread
        if unread > _MOST_UNREAD * lines:
            became = f"; {others}" if others and self.events else ""
            raise EventFileError(
                f"{name}: {unread:,} of {lines:,} lines cannot be read, expected a tenth at most{became}"
            )
        if not self.events:
            raise EventFileError(f"{name}: no event in it")

    def lines(self) -> list[str]:
        """Return what is to be said of the reading, a line each; empty if all was as expected."""
        said = [
            f"{_lines(count)} not read for {reason}: {'; '.join(self._examples[reason])}"
            for reason, count in self.unread.most_common()
        ]
        said += [f"{_lines(count)} passed over: {kind}" for kind, count in self.passed_over.most_common()]
        if self.inside:
            said.append(
                f"{_lines(self.inside)} taken for the rest of a cell in a column that is not read, first after line "
                f"{self._first_inside}: if they are events, there is a quotation mark too many"
            )
        said += [f"{count:,} values of {field} left out" for field, count in self.left_out.most_common()]
        said += [f"{count:,} times are in {unit}, and were taken so" for unit, count in self.units.most_common()]
        if self.back:
            said.append(f"{self.back:,} events are earlier than one before them by more than a minute")
        return said


def _lines(count: int) -> str:
    return f"{count:,} line{'' if count == 1 else 's'}"
