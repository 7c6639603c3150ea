"""Sort the events of a file by time in bounded memory: sorted runs on disk, merged."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from operator import attrgetter
from typing import IO

import msgspec

from streams.datasets.event_files import FileEvent

RUN_EVENTS = 200_000
"""Events that are sorted in memory at once."""


def sorted_events(events: Iterable[FileEvent], run_events: int = RUN_EVENTS) -> Iterator[FileEvent]:
    """Yield events in the order of their times; those of the same time in the order of the file.

    Complexity: ``run_events`` events in memory, all of them on disk while the result is read.

    Examples
    --------
    >>> events = [FileEvent("t", b"u", b"", at) for at in (3, 1, 2)]
    >>> [event.time_ms for event in sorted_events(events, run_events=2)]
    [1, 2, 3]
    """
    remaining = iter(events)
    with ExitStack() as stack:
        runs: list[Iterator[FileEvent]] = []
        while run := sorted(islice(remaining, run_events), key=attrgetter("time_ms")):
            if not runs and len(run) < run_events:
                yield from run
                return
            runs.append(_read(_written(run, stack)))
        yield from heapq.merge(*runs, key=attrgetter("time_ms"))


def _written(run: list[FileEvent], stack: ExitStack) -> IO[bytes]:
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  # the stack closes it
    encode = msgspec.msgpack.Encoder().encode
    for event in run:
        data = encode((event.topic, event.key, event.value, event.time_ms))
        file.write(len(data).to_bytes(4, "big") + data)
    file.seek(0)
    return file


def _read(file: IO[bytes]) -> Iterator[FileEvent]:
    decode = msgspec.msgpack.Decoder(tuple[str, bytes, bytes, int]).decode
    while head := file.read(4):
        yield FileEvent(*decode(file.read(int.from_bytes(head, "big"))))
