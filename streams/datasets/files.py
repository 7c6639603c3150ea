"""Files of events and logs, plain or gzipped: opening them, counting their lines, showing how far they are read."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from processors.common.errors import NearstreamError

_CSV, _JSON = (".csv", ".tsv", ".dat", ".data"), (".jsonl", ".ndjson")
FORMATS = tuple(f"{name}{packed}" for name in (*_CSV, *_JSON) for packed in ("", ".gz"))
"""How the names of the files that can be read end."""

ShowProgress = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Yields the things that it is given and shows how many are done; also takes their number and a name for them."""


def show_nothing(things: Iterable[Any], _total: int, _name: str) -> Iterable[Any]:
    """Return the things as they are: a :data:`ShowProgress` that shows nothing."""
    return things


class EventFileError(NearstreamError):
    """A file of events or a log cannot be read. The message names file and line, and says what is wrong there."""


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, unpacked if its name ends with ``.gz``.

    Raises
    ------
    EventFileError
        If the file cannot be opened, or cannot be read within the context.
    """
    try:
        with path.open("rb") as raw:
            # A buffer around gzip doubles the speed of reading lines.
            yield io.BufferedReader(gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise EventFileError(f"{path}: is not a whole gzip file: {error}") from error
    except OSError as error:
        raise EventFileError(f"{path}: {error.strerror or error}") from error


def is_csv(path: Path) -> bool:
    """Tell whether a file is CSV, and not JSON lines, by its name.

    Raises
    ------
    EventFileError
        If the name ends in none of :data:`FORMATS`.
    """
    if not path.name.endswith(FORMATS):
        raise EventFileError(f"{path}: the format is not known; expected a name that ends with {', '.join(FORMATS)}")
    return path.name.removesuffix(".gz").endswith(_CSV)


def count_events(path: Path) -> int:
    """Count the events of a file from its line ends alone, without the header of CSV.

    Empty lines count, so there may be fewer events. A damaged file is found here, before anything is computed from it.

    Raises
    ------
    EventFileError
        If the file cannot be read.
    """
    lines, last = 0, b"\n"
    header = is_csv(path)
    with opened(path) as file:
        while block := file.read(2**20):
            lines += block.count(b"\n")
            last = block[-1:]
    return max(lines + (last != b"\n") - header, 0)
