"""Which settings there are, read off the structs that hold them, and the messages for names that do not exist.

A path is the names from the root to a setting, as in ``("users", "profile", "recent_items")``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec

from processors.common.errors import ConfigurationError

SettingPath = tuple[str, ...]


def setting_paths(section: type[msgspec.Struct], above: SettingPath = ()) -> Iterator[SettingPath]:
    """Yield the paths of all settings under a section.

    Examples
    --------
    >>> from state.rocks import RocksSettings
    >>> list(setting_paths(RocksSettings, ("store",)))
    [('store', 'write_buffer_bytes'), ('store', 'block_cache_bytes')]
    """
    for name, kind in _fields(section).items():
        if is_section(kind):
            yield from setting_paths(kind, (*above, name))
        else:
            yield (*above, name)


def kind_at(root: type[msgspec.Struct], path: SettingPath) -> Any:
    """Return the type of a setting or section.

    Raises
    ------
    ConfigurationError
        If there is none of that path. The message lists what there is.

    Examples
    --------
    >>> from processors.planes.users_settings import UsersSettings
    >>> kind_at(UsersSettings, ("profile",)).__name__
    'ProfileSettings'
    >>> kind_at(UsersSettings, ("profil", "recent_items"))
    Traceback (most recent call last):
    ...
    processors.common.errors.ConfigurationError: no section profil; there are intake, profile, ranking, ads, ...
    """
    kind: Any = root
    for depth, name in enumerate(path):
        if not is_section(kind):
            raise ConfigurationError(f"{path[depth - 1]} is a setting, not a section")
        fields = _fields(kind)
        if name not in fields:
            raise ConfigurationError(_unknown(path[: depth + 1], fields, last=depth == len(path) - 1))
        kind = fields[name]
    return kind


def require_known(value: object, root: type[msgspec.Struct], path: SettingPath = ()) -> None:
    """Make sure that a tree of settings holds only names that exist, and sections where sections are expected.

    Raises
    ------
    ConfigurationError
        As :func:`kind_at`.
    """
    if not is_section(kind_at(root, path)):
        return
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{'.'.join(path)} is a section, not a setting")
    for name, part in value.items():
        require_known(part, root, (*path, name))


def is_section(kind: Any) -> bool:
    """Tell whether a type is that of a section."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def is_text(kind: Any) -> bool:
    """Tell whether a type is that of a setting whose value is a text.

    Examples
    --------
    >>> is_text(str | None), is_text(Literal["a", "b"]), is_text(int), is_text(tuple[str, ...])
    (True, True, False, False)
    """
    if get_origin(kind) is Literal:
        return all(isinstance(value, str) for value in get_args(kind))
    return kind is str or (get_origin(kind) is not tuple and str in get_args(kind))


def _fields(section: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.name: field.type for field in msgspec.structs.fields(section)}


def _unknown(path: SettingPath, fields: Mapping[str, Any], *, last: bool) -> str:
    *above, name = path
    sections = [known for known, kind in fields.items() if is_section(kind)]
    wanted = sections if not last or len(sections) == len(fields) else list(fields)
    what = "section" if wanted is sections else "setting"
    where = f" in {'.'.join(above)}" if above else ""
    return f"no {what} {name}{where}; there {'are' if len(wanted) > 1 else 'is'} {', '.join(wanted) or 'none'}"
