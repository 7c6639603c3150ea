"""What a decoder says of a value that it refuses, completed by what it would have taken."""

from __future__ import annotations

import re

import msgspec

_ENUM = re.compile(r"^Invalid enum value .* - at `\$(?P<path>[^`]*)`$", re.DOTALL)
_STEP = re.compile(r"\[[^]]*\]|[^.\[]+")


def explained(error: msgspec.MsgspecError, expected: type[msgspec.Struct]) -> str:
    """Return the message of an error; where one of some words was expected, with all of them.

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
    "Invalid enum value 'x' - at `$.sizes[1]`, expected one of m, s"
    """
    found = _ENUM.match(str(error))
    if found is None:
        return str(error)
    words = _words(msgspec.inspect.type_info(expected), _STEP.findall(found["path"]))
    return f"{error}, expected one of {', '.join(words)}" if words else str(error)


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
