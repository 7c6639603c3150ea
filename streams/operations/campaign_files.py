"""Files of campaigns: TOML, JSON, or JSON lines."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from processors.ads.campaign import read_campaign
from processors.common.errors import NearstreamError

_MAX_FILE_BYTES = 64 * 2**20
_BYTE = re.compile(r" \(byte (\d+)\)$")


def read_file(path: Path, currency: str) -> dict[str, bytes]:
    """Read the campaigns of a file, and check them.

    Parameters
    ----------
    path
        TOML with a table per campaign; or JSON objects with a ``cid``: one per line, a single one, or an array of them.
        At most 64 MiB.
    currency
        The currency of the system, which every campaign must have.

    Returns
    -------
    dict
        The message of each campaign, as JSON, by campaign id.

    Raises
    ------
    NearstreamError
        If the file, or a campaign in it, makes no sense; the message names the campaign and the field.
    """
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise NearstreamError(f"{path}: {path.stat().st_size} bytes, expected at most {_MAX_FILE_BYTES}")
    found: dict[str, bytes] = {}
    for where, cid, fields in _tables(path) if path.suffix.lower() == ".toml" else _objects(path):
        raw = msgspec.json.encode(fields)
        try:
            campaign = read_campaign(raw)
        except ValueError as error:
            raise NearstreamError(f"{where}: {error}") from error
        if campaign.currency != currency:
            raise NearstreamError(f"{where}: currency: {campaign.currency}, expected {currency} (money.currency)")
        if cid in found:
            raise NearstreamError(f"{where}: {cid!r} is in the file twice")
        found[cid] = raw
    if not found:
        raise NearstreamError(f"{path}: no campaign in it")
    return found


def _tables(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    try:
        tables = tomllib.loads(path.read_text("utf-8-sig"))
        strange = next(_not_finite(tables, ""), None)
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is neither of TOML's errors
        raise NearstreamError(f"{path}: {error}") from error
    if strange is not None:
        # JSON has no such numbers, and what is left out may mean that there is no limit.
        raise NearstreamError(f"{path}: {strange}, expected a finite number")
    for cid, fields in tables.items():
        if not 0 < len(cid) <= 256:
            raise NearstreamError(f"{path}: [{cid[:60]}]: an id of {len(cid)} characters, expected 1 to 256")
        if "\0" in cid:
            raise NearstreamError(f"{path}: [{cid!r}]: expected an id without the character U+0000")
        if not isinstance(fields, dict):
            raise NearstreamError(f"{path}: {cid} is no table, expected one per campaign, such as [spring-tents]")
        yield f"{path}: [{cid}]", cid, fields


def _not_finite(value: object, where: str) -> Iterator[str]:
    """Name the numbers that are none or infinite, by where they are."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: {value}"
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _not_finite(part, f"{where}.{name}" if where else name)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _not_finite(part, f"{where}[{number}]")


def _objects(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    for where, value in _values(path, raw):
        if not isinstance(value, dict):
            raise NearstreamError(f"{where}: expected an object with the fields of a campaign")
        cid = value.pop("cid", None)
        if cid is None:
            raise NearstreamError(f'{where}: cid: missing, add "cid": "..."')
        if not isinstance(cid, str) or not 0 < len(cid) <= 256 or "\0" in cid:
            raise NearstreamError(f"{where}: cid: {cid!r}, expected a text of 1 to 256 characters, none of them U+0000")
        yield where, cid, value


def _values(path: Path, raw: bytes) -> Iterator[tuple[str, object]]:
    """Yield what a file of JSON has, each with where it is: the file is one value or an array, or has one per line."""
    try:
        whole = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        yield from _lines(path, raw, error)
        return
    if isinstance(whole, list):
        yield from ((f"{path} entry {number}", value) for number, value in enumerate(whole, 1))
    else:
        yield f"{path} line {_line_at(raw, len(raw) - len(raw.lstrip()))}", whole


def _lines(path: Path, raw: bytes, of_whole: Exception) -> Iterator[tuple[str, object]]:
    """Yield the values of the lines; if the first is none, the file is a broken whole, and that is what is said."""
    is_first = True
    for number, line in enumerate(raw.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{path} line {number}", msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if not is_first:
                raise NearstreamError(f"{path} line {number}: {error}") from error
            at = _BYTE.search(str(of_whole))
            place = _line_at(raw, int(at[1]) if at else len(raw.rstrip()))
            raise NearstreamError(f"{path} line {place}: {_BYTE.sub('', str(of_whole))}") from error
        is_first = False


def _line_at(raw: bytes, byte: int) -> int:
    return raw.count(b"\n", 0, byte) + 1
