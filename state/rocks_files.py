"""Look at the log files of a RocksDB directory before it is opened.

RocksDB notices most damage by its checksums. Two kinds it does not: a record type that it does not know in one of its
logs, at which it reads the same block for ever, and a list of its files (MANIFEST) that is cut short at the end of a
record, with which it comes up with old data under the newest writes. The second shows in the numbers that it gives to
all writes, one after the other: the first write in the log (WAL) must follow the last one in the files.

References
----------
RocksDB's wiki: "Write Ahead Log File Format", "MANIFEST"; ``db/version_edit.h`` for the tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_BLOCK, _HEADER = 32_768, 7
_ZERO, _FULL, _FIRST, _MIDDLE, _LAST = range(5)
"""Types of the parts of a record; there are no others in logs that are not reused."""

_LOG_NUMBER, _LAST_SEQUENCE = 2, 4
_NUMBERS = (_LOG_NUMBER, 3, _LAST_SEQUENCE, 9)
"""Tags of the MANIFEST that a number follows. These come first in a record, with at most two texts before them."""

_COMPARATOR, _MAY_BE_SKIPPED = 1, 1 << 13
"""Tags that a text follows: this one, and all from the second on."""

_SEQUENCE = 8
"""Bytes at the beginning of a record of a log that hold the number of its first write."""

_HEAD = 256
"""Bytes at the beginning of a record that hold these tags."""


class DamagedLog(Exception):
    """A log file that RocksDB would stumble over. The message names it and says what is wrong."""


class _Files(NamedTuple):
    """What a MANIFEST says.

    Parameters
    ----------
    log_number
        Number of the first log whose writes are not in files yet.
    last_sequence
        Number of the last write that is.
    """

    log_number: int
    last_sequence: int


def check_logs(directory: Path) -> None:
    """Make sure that RocksDB can be trusted with the logs of a directory; nothing is done where there is no store.

    Complexity: reads the logs, and looks at the header of each part of a record: about a microsecond for each.

    Raises
    ------
    DamagedLog
        If it cannot.
    OSError
        If a file cannot be read.
    """
    current = directory / "CURRENT"
    if not current.is_file():
        return
    name = current.read_text(errors="replace").strip()
    if not re.fullmatch(r"MANIFEST-\d+", name) or not (directory / name).is_file():
        raise DamagedLog(f"CURRENT names {name!r}, which is no list of files")
    known = _known(directory / name)
    writes: list[tuple[str, int]] = []
    for number, log in sorted((int(path.stem), path) for path in directory.glob("*.log") if path.stem.isdigit()):
        records = [record for record in _records(log, _SEQUENCE) if len(record) == _SEQUENCE]
        if number >= known.log_number:
            writes += [(log.name, int.from_bytes(record, "little")) for record in records[:1]]
    # RocksDB itself finds what is missing within and between the logs.
    if writes and writes[0][1] > known.last_sequence + 1:
        raise DamagedLog(f"{writes[0][0]} begins with write {writes[0][1]}, but {name} ends with {known.last_sequence}")


def _parts(log: Path) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each part of a record, in the order of the file.

    A part that is not all there ends the log, as it does for RocksDB: it is what a crash left unfinished.
    """
    with log.open("rb") as file:
        number = 0
        while block := file.read(_BLOCK):
            at = 0
            while at + _HEADER <= len(block):
                length, kind = int.from_bytes(block[at + 4 : at + 6], "little"), block[at + 6]
                if kind == _ZERO and not length:
                    break
                if kind not in (_FULL, _FIRST, _MIDDLE, _LAST):
                    raise DamagedLog(
                        f"{log.name}: a record of type {kind} at byte {number * _BLOCK + at}, which there is not"
                    )
                begin, at = at + _HEADER, at + _HEADER + length
                if at > len(block):
                    return
                yield kind, block[begin:at]
            number += 1


def _records(log: Path, most: int) -> Iterator[bytes]:
    """Yield the first bytes of each record of a log."""
    record = b""
    for kind, part in _parts(log):
        if kind in (_FULL, _FIRST):
            record = b""
        if len(record) < most:
            record += part[: most - len(record)]
        if kind in (_FULL, _LAST):
            yield record


def _known(manifest: Path) -> _Files:
    """Read what a MANIFEST says."""
    log_number = last_sequence = 0
    for record in _records(manifest, _HEAD):
        for tag, value in _fields(record):
            log_number = max(log_number, value) if tag == _LOG_NUMBER else log_number
            last_sequence = max(last_sequence, value) if tag == _LAST_SEQUENCE else last_sequence
    return _Files(log_number, last_sequence)


def _fields(record: bytes) -> Iterator[tuple[int, int]]:
    """Yield the numbers at the beginning of a record with their tags, up to the first tag that is another."""
    at = 0
    while at < len(record):
        tag, at = _varint(record, at)
        value, at = _varint(record, at)
        if tag == _COMPARATOR or tag >= _MAY_BE_SKIPPED:
            at += value
        elif tag in _NUMBERS:
            yield tag, value
        else:
            return


def _varint(record: bytes, at: int) -> tuple[int, int]:
    """Read a number of seven bits a byte; return it and where it ends. What is not there counts as 0."""
    value = shift = 0
    while at < len(record):
        byte = record[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    return value, at
