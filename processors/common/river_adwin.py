"""River's ADWIN without the rest of its package.

``river.drift`` loads all of scipy.stats for a detector that Nearstream does not use: a second of every start of a
worker, and 64 MB. The module of ADWIN needs nothing of it, so it is loaded by itself.
``tests/processors/common/test_river_adwin.py`` fails when it cannot be, or is no longer what the package offers.
"""

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

import river

if TYPE_CHECKING:
    from river.drift import ADWIN
else:
    _PACKAGE = "river.drift"

    def _load() -> type:
        if _PACKAGE in sys.modules:
            return importlib.import_module(_PACKAGE).ADWIN
        bare = ModuleType(_PACKAGE)
        bare.__path__ = find_spec(_PACKAGE).submodule_search_locations
        sys.modules[_PACKAGE] = bare
        try:
            return importlib.import_module(f"{_PACKAGE}.adwin").ADWIN
        finally:
            # Whoever imports the package later gets all of it.
            del sys.modules[_PACKAGE]
            river.__dict__.pop("drift", None)

    ADWIN = _load()

__all__ = ["ADWIN"]
