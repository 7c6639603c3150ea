"""Files that say who is on which of the shop's lists."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import msgspec

from processors.events.event_fields import as_id
from processors.events.json_object import Refused, decode_object
from streams.datasets.files import EventFileError, is_csv, opened

_HEADER = ["user_id", "audience"]


class Row(msgspec.Struct, frozen=True):
    """A user of a file.

    Parameters
    ----------
    where
        The file and the line that names the user first.
    user_id
        The user.
    value
        The record's value; :obj:`None` takes the user off all lists.
    """

    where: str
    user_id: str
    value: bytes | None


def rows_of(path: Path) -> Iterator[Row | str]:
    """Yield a row per user of a CSV file, per line of a JSONL file; of a line that is none, what is wrong with it.

    A CSV file is held in memory: a user's lines may be anywhere in it.

    Parameters
    ----------
    path
        Columns ``user_id,audience`` with a line per user and list (``.csv``, ``.tsv``), where an empty audience stands
        for no list; or JSON lines with ``user_id`` and the fields of a record (``.jsonl``), where ``audiences`` of null
        take the user off all lists.

    Raises
    ------
    EventFileError
        If the file cannot be read.
    """
    with opened(path) as file:
        if is_csv(path):
            with io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
                yield from _of_csv(path, text)
        else:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _of_json(f"{path}, line {number}", line)


def _of_csv(path: Path, file: io.TextIOWrapper) -> Iterator[Row | str]:
    lists: dict[str, list[str]] = {}
    first: dict[str, int] = {}
    reader = csv.reader(file, delimiter="\t" if ".tsv" in path.suffixes else ",")
    try:
        for fields in reader:
            if not fields or (reader.line_num == 1 and [name.strip().casefold() for name in fields] == _HEADER):
                continue
            if len(fields) != len(_HEADER):
                yield f"{path}, line {reader.line_num}: {len(fields)} fields, expected {','.join(_HEADER)}"
                continue
            user, name = fields
            first.setdefault(user, reader.line_num)
            lists.setdefault(user, []).extend([name] if name else [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise EventFileError(f"{path}, line {reader.line_num + 1}: {error}") from error
    for user, names in lists.items():
        value = msgspec.json.encode({"audiences": names}) if names else None
        yield Row(f"{path}, line {first[user]}", user, value)


def _of_json(where: str, line: bytes) -> Row | str:
    try:
        fields = decode_object(line, len(line))
        user = as_id(fields.pop("user_id", None), "user_id", [])
    except Refused as refused:
        return f"{where}: {refused.reason}: {refused}"
    gone = fields == {"audiences": None}
    return Row(where, user, None if gone else msgspec.json.encode(fields))
