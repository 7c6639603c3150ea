"""The options of the commands that read event files: how a file is laid out, and in which order its events are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from streams.datasets.event_files import FileEvent
    from streams.datasets.reading import Reading

LAYOUT_NAMES = "movielens-100k, movielens-1m, taobao, yoochoose-clicks, yoochoose-buys, amazon-2014, amazon-2018"
"""The keys of :data:`streams.datasets.layouts.LAYOUTS`, written out so that help need not load that."""

LayoutOption = Annotated[
    str | None,
    typer.Option("--layout", metavar="NAME", help=f"Layout of a file without names of columns: {LAYOUT_NAMES}."),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(metavar="FIELD=COLUMN,…", help="Names of columns: user=…,item=…,type=…,time=…,price=…; or type=view."),
]
SortOption = Annotated[bool, typer.Option("--sort", help="Sort the events by time first, in bounded memory.")]


class EventFile(NamedTuple):
    """An event file and how to read it."""

    path: Path
    limit: int | None = None
    layout: str | None = None
    columns: str | None = None
    sort: bool = False

    def read(self, reading: Reading | None = None) -> Iterator[FileEvent]:
        """Yield its events; what comes of its lines is noted in ``reading``."""
        from streams.datasets.event_files import read_events
        from streams.datasets.layouts import layout_of
        from streams.datasets.reading import Reading
        from streams.datasets.sorting import sorted_events

        layout = layout_of(self.layout, self.columns)
        events = read_events(self.path, None if self.sort else self.limit, layout, reading or Reading())
        return islice(sorted_events(events), self.limit) if self.sort else events


def tell(reading: Reading, name: str) -> None:
    """Say on standard error what came of reading a file, if anything was not as expected."""
    for line in reading.lines():
        typer.echo(f"{name}: {line}", err=True)
