"""Settings from a TOML file and the environment, checked, with the setting's name in every refusal."""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from processors.common.errors import ConfigurationError
from streams.settings.paths import is_text, kind_at, require_known, setting_paths
from streams.settings.sections import PREFIX, Settings, broker_addresses

_PATHS = {"_".join(path): path for path in setting_paths(Settings)}
"""Paths of all settings by their names with single underscores. A name beyond these may be anybody's: Kubernetes, for
one, sets ``NEARSTREAM_KAFKA_PORT`` where a service is called ``nearstream-kafka``."""


def load_settings(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Load the settings from a file and the environment; a variable of the environment overrides the file.

    Parameters
    ----------
    file
        A TOML file; by default the one that ``NEARSTREAM_SETTINGS`` names, if any.
    environment
        Variables by name; by default those of the process.

    Raises
    ------
    ConfigurationError
        With the name of the variable, or of the file and the setting: for a missing file, bad TOML, an unknown name, a
        wrong type or range, settings that contradict each other, and a variable that is a setting's name but for its
        underscores.

    Examples
    --------
    >>> load_settings(environment={"NEARSTREAM_TOPICS__PARTITIONS": "8"}).topics.partitions
    8
    >>> load_settings(environment={"NEARSTREAM_TOPICS__PARTITIONS": "many"})
    Traceback (most recent call last):
    ...
    processors.common.errors.ConfigurationError: NEARSTREAM_TOPICS__PARTITIONS: Expected `int`, got `str`
    """
    variables = os.environ if environment is None else environment
    named = variables.get(f"{PREFIX}SETTINGS")
    file = file or (Path(named) if named else None)
    tree = _read_toml(file)
    given = _put_variables(tree, variables)
    try:
        _require_finite(tree)
        settings = msgspec.convert(tree, Settings)
        broker_addresses(settings.kafka.brokers)
        settings.users.check()
    except msgspec.ValidationError as error:
        raise ConfigurationError(_with_source(_readable(str(error)), given, file)) from error
    except ConfigurationError as error:
        raise ConfigurationError(_with_source(str(error), given, file)) from error
    return settings


def _read_toml(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
        require_known(tree, Settings)
    except OSError as error:
        raise ConfigurationError(f"settings file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ConfigurationError) as error:
        raise ConfigurationError(f"settings file {file}: {error}") from error
    return tree


def _put_variables(tree: dict[str, Any], variables: Mapping[str, str]) -> dict[str, str]:
    """Put the settings that environment variables give into the tree; return the variables by their settings' names."""
    given: dict[str, str] = {}
    for variable in sorted(variables):
        path = _path(variable)
        if path:
            _put(tree, path, variables[variable], variable)
            given[".".join(path)] = variable
    return given


def _path(variable: str) -> tuple[str, ...]:
    """Return the path of the setting that an environment variable gives; empty if it gives none.

    Examples
    --------
    >>> _path("NEARSTREAM_USERS__PROFILE__RECENT_ITEMS"), _path("NEARSTREAM_TEST_BROKERS")
    (('users', 'profile', 'recent_items'), ())
    >>> _path("NEARSTREAM_KAFKA_BROKERS")
    Traceback (most recent call last):
    ...
    processors.common.errors.ConfigurationError: NEARSTREAM_KAFKA_BROKERS: the setting is ...
    """
    if not variable.startswith(PREFIX):
        return ()
    name = variable.removeprefix(PREFIX).lower()
    meant = _PATHS.get(re.sub("_+", "_", name))
    if meant and "__".join(meant) != name:
        right = f"{PREFIX}{'__'.join(meant).upper()}"
        raise ConfigurationError(f"{variable}: the setting is called {right}, with two underscores after each section")
    return tuple(name.split("__")) if "__" in name else ()


def _put(tree: dict[str, Any], path: tuple[str, ...], text: str, variable: str) -> None:
    try:
        value = _value(text, kind_at(Settings, path))
        require_known(value, Settings, path)
    except ConfigurationError as error:
        raise ConfigurationError(f"{variable}: {error}") from error
    *sections, name = path
    for section in sections:
        tree = tree.setdefault(section, {})
    tree[name] = value


def _value(text: str, kind: Any) -> object:
    """Return the value of an environment variable for a setting of a type: as TOML, or as text if it is no TOML value.

    Examples
    --------
    >>> _value("8", int), _value("8", str), _value('"8"', str), _value("many", int)
    (8, '8', '8', 'many')
    """
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if is_text(kind) and not isinstance(value, str) else value


def _require_finite(value: object, path: str = "") -> None:
    """Refuse infinity and nan, which TOML knows: every comparison with nan is false, so no range would keep it out."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(f"{path}: {value} is not a finite number")
    if isinstance(value, dict):
        for name, part in value.items():
            _require_finite(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for at, part in enumerate(value):
            _require_finite(part, f"{path}[{at}]")


def _readable(message: str) -> str:
    """Put the setting's name in front of a message of msgspec.

    Examples
    --------
    >>> _readable("Expected `int`, got `str` - at `$.topics.partitions`")
    'topics.partitions: Expected `int`, got `str`'
    """
    what, _, where = message.rpartition(" - at `$.")
    return f"{where.rstrip('`')}: {what}" if what else message


def _with_source(message: str, given: Mapping[str, str], file: Path | None) -> str:
    """Say where a wrong setting was given: the variable instead of the setting's name, or the file in front of it.

    Examples
    --------
    >>> _with_source("topics.partitions: wrong", {"topics.partitions": "NEARSTREAM_TOPICS__PARTITIONS"}, None)
    'NEARSTREAM_TOPICS__PARTITIONS: wrong'
    >>> _with_source("topics.partitions: wrong", {}, Path("n.toml"))
    'settings file n.toml: topics.partitions: wrong'
    """
    for path, variable in sorted(given.items(), reverse=True):
        if message.startswith((f"{path}:", f"{path}.", f"{path}[")):
            return variable + message.removeprefix(path)
    return f"settings file {file}: {message}" if file else message
