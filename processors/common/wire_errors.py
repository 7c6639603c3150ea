"""What a decoder says of a value that it refuses, completed by what it would have taken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice

import msgspec

_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*?)`(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MOST_FIELDS = 32
"""Fields of a message that are looked at for one that is missing."""

_LONGEST_NAME = 64
"""Characters of a field's name that is looked up: the names that there are have fewer."""

_MOST_APART, _MOST_COMPARED = 4, 4
"""Letters by which names of missing fields may differ in number and in kind, and names of those that are compared."""

_SHORT = 3
_SIMILAR, _VERY_SIMILAR = 0.6, 0.8
"""From when on a name may be meant by another one: of the same struct, and of another one."""

_ENUM = re.compile(r"^Invalid enum value .* - at `\$(?P<path>[^`]*)`$", re.DOTALL)
_INDEX = re.compile(r"\[[^]]*\]")
_STEP = re.compile(r"\[[^]]*\]|[^.\[]+")


def explained(error: msgspec.MsgspecError, expected: type[msgspec.Struct]) -> str:
    """Return what is wrong; where one of some words was expected, with all of them.

    Of a field that does not exist: which one may be meant, where it belongs, or which fields there are.

    Parameters
    ----------
    error
        What decoding raised.
    expected
        What was decoded.

    Examples
    --------
    >>> from typing import Literal
    >>> Dress = msgspec.defstruct("Dress", [("sizes", tuple[Literal["s", "m"], ...])])
    >>> try:
    ...     msgspec.json.decode('{"sizes": ["s", "x"]}', type=Dress)
    ... except msgspec.ValidationError as error:
    ...     explained(error, Dress)
    "value: Invalid enum value 'x' - at `$.sizes[1]`, expected one of m, s"
    """
    unknown = _UNKNOWN.match(str(error))
    if unknown is not None:
        return _unknown(unknown["name"], _INDEX.sub("", unknown["path"] or ""), expected)
    found = _ENUM.match(str(error))
    words = _words(msgspec.inspect.type_info(expected), _STEP.findall(found["path"])) if found else ()
    return f"value: {error}, expected one of {', '.join(words)}" if words else f"value: {error}"


def taken_for(name: str, fields: Iterable[object]) -> str:
    """Return what to add about a missing field: which of the fields that are there may be meant for it, if any.

    Complexity: at most :data:`_MOST_FIELDS` names are looked at, and :data:`_MOST_COMPARED` compared letter by letter;
    what is said of equal names is remembered.

    Examples
    --------
    >>> taken_for("item_id", ["usr_id", "itemId"]), taken_for("item_id", ["items"])
    ('; itemId is no field: did you mean item_id?', '')
    """
    names = (field for field in islice(fields, _MOST_FIELDS) if isinstance(field, str) and len(field) <= _LONGEST_NAME)
    return _taken_for(name, tuple(names))


@lru_cache(maxsize=256)
def _taken_for(name: str, fields: tuple[str, ...]) -> str:
    plain = dict(
        islice(((field.casefold(), field) for field in fields if _is_near(name, field.casefold())), _MOST_COMPARED)
    )
    near = get_close_matches(name, plain, n=1, cutoff=_VERY_SIMILAR)
    return f"; {plain[near[0]]} is no field: did you mean {name}?" if near else ""


def _is_near(name: str, field: str) -> bool:
    """Tell whether a comparison is worth its time: names are of similar length and letters."""
    return abs(len(name) - len(field)) <= _MOST_APART and len(set(name) ^ set(field)) <= _MOST_APART


def _unknown(name: str, path: str, expected: type[msgspec.Struct]) -> str:
    """Say what may be meant by a field that an object within a message does not have."""
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
    structs = _structs_in(expected)
    homes = [at for at, fields in structs.items() if name in fields]
    if homes:
        return f"{shown} belongs {' or '.join(f'in {at}' if at else f'outside of {path}' for at in homes)}"
    known, where = structs.get(path, ()), f" in {path}" if path else ""
    meant = _meant(name, path, structs) if len(name) <= _LONGEST_NAME else ""
    if meant:
        return f"unknown field {shown}{where}: did you mean {meant}?"
    return f"unknown field {shown}{where}; there {'are' if len(known) > 1 else 'is'} {', '.join(known) or 'none'}"


def _meant(name: str, path: str, structs: dict[str, tuple[str, ...]]) -> str:
    """Return the field that has a similar name: of the struct at a path, or else of the first other one; or nothing."""
    plain = name.casefold()
    parts = [field for field in structs.get(path, ()) if field.startswith(plain) or field.endswith(plain)]
    if len(name) >= _SHORT and parts:
        return parts[0]
    for at, fields in sorted(structs.items(), key=lambda entry: entry[0] != path):
        # Of three letters two are soon the same: cid is not meant for bid.
        similar = _SIMILAR if at == path and len(name) > _SHORT else _VERY_SIMILAR
        near = get_close_matches(plain, fields, n=1, cutoff=similar)
        if near:
            return near[0] if at == path else f"{near[0]}{f' in {at}' if at else f', outside of {path}'}"
    return ""


@lru_cache(maxsize=16)
def _structs_in(expected: type[msgspec.Struct]) -> dict[str, tuple[str, ...]]:
    """Return the fields of each struct within a struct, by its path; the path of the whole is empty."""
    return dict(_walk(msgspec.inspect.type_info(expected), ""))


def _walk(kind: msgspec.inspect.Type, path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(kind, msgspec.inspect.UnionType):
        for one in kind.types:
            yield from _walk(one, path)
    elif isinstance(kind, msgspec.inspect.Metadata):
        yield from _walk(kind.type, path)
    elif isinstance(kind, msgspec.inspect.VarTupleType | msgspec.inspect.ListType):
        yield from _walk(kind.item_type, path)
    elif isinstance(kind, msgspec.inspect.StructType):
        yield path, tuple(field.encode_name for field in kind.fields)
        for field in kind.fields:
            yield from _walk(field.type, f"{path}.{field.encode_name}" if path else field.encode_name)


def _words(kind: msgspec.inspect.Type, path: list[str]) -> tuple[str, ...]:
    """Return the words that are allowed at a path within a type; none if it leads elsewhere."""
    if isinstance(kind, msgspec.inspect.UnionType):
        return next((words for one in kind.types if (words := _words(one, path))), ())
    if isinstance(kind, msgspec.inspect.LiteralType):
        return tuple(map(str, kind.values))
    if isinstance(kind, msgspec.inspect.Metadata):
        return _words(kind.type, path)
    if isinstance(kind, msgspec.inspect.VarTupleType | msgspec.inspect.ListType) and path:
        return _words(kind.item_type, path[1:])
    if isinstance(kind, msgspec.inspect.StructType) and path:
        return next((_words(field.type, path[1:]) for field in kind.fields if field.encode_name == path[0]), ())
    return ()
