"""What a warming needed is noted, and loaded from the cache without running the shop again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.engine import warm_list
from streams.engine.warm import cache_place
from streams.engine.warm_list import digest, keep_list, load_listed

ROOT = Path(__file__).parents[3]

_WITHOUT_THE_SHOP = """
import streams.engine.warm as warming

def refuse(_):
    raise AssertionError("the shop is run")

warming.play = refuse
done = warming.warm()
print(done.compiled, done.loaded, warming.progress()[0])
"""


class Kernel:
    """A kernel that is kept in a folder for some types, and remembers for which it was loaded."""

    def __init__(self, name: str, folder: Path | None, kept: Sequence[str], called: Sequence[str] = ()) -> None:
        self.__module__, self.__qualname__ = "processors.some", name
        self.stats = SimpleNamespace(cache_path=None if folder is None else str(folder))
        self.signatures, self.targetctx, self.loaded = list(called), None, list[str]()
        self._cache = SimpleNamespace(signatures=lambda _: list(kept))
        self.compile = self.loaded.append


def kept(folder: Path | None) -> list[Any]:
    return [Kernel("f", folder, ["(int64,)", "(float64,)"], ["(int64,)"]), Kernel("g", folder, ["(bool,)"])]


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_a_process_that_finds_the_list_loads_the_same_without_running_the_shop() -> None:
    if cache_place() is None:
        pytest.skip("there is no place for a cache")

    def run(program: str) -> str:
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout

    for _ in range(2):  # the first one may compile, and notes nothing then
        run("from streams.engine.warm import warm; warm()")
    compiled, loaded, ready = map(int, run(_WITHOUT_THE_SHOP).split())
    assert compiled == 0
    assert loaded == ready > 60


def test_what_was_called_is_loaded_and_no_other_types(tmp_path: Path) -> None:
    keep_list(kept(tmp_path))
    kernels = kept(tmp_path)
    assert load_listed(kernels)
    assert [kernel.loaded for kernel in kernels] == [["(int64,)"], []]
    assert [path.name for path in tmp_path.iterdir()] == ["nearstream-warmed.json"]


def test_a_process_that_has_fewer_kernels_loads_those_and_one_that_has_others_none(tmp_path: Path) -> None:
    keep_list(kept(tmp_path))
    assert load_listed(kept(tmp_path)[:1])
    assert not load_listed([*kept(tmp_path), Kernel("h", tmp_path, ["(int64,)"])])


def test_a_list_of_other_sources_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_list(kept(tmp_path))
    monkeypatch.setattr(warm_list, "digest", lambda: "other")
    assert not load_listed(kept(tmp_path))


def test_nothing_is_loaded_if_something_is_no_longer_kept(tmp_path: Path) -> None:
    keep_list(kept(tmp_path))
    kernels = [Kernel("f", tmp_path, ["(float64,)"]), Kernel("g", tmp_path, ["(bool,)"])]
    assert not load_listed(kernels)
    assert [kernel.loaded for kernel in kernels] == [[], []]


@pytest.mark.parametrize("written", [b"", b"{", b"[]", b'{"made_by": 1}'])
def test_a_damaged_list_is_none(written: bytes, tmp_path: Path) -> None:
    (tmp_path / "nearstream-warmed.json").write_bytes(written)
    assert not load_listed(kept(tmp_path))


def test_without_a_place_nothing_is_noted(tmp_path: Path) -> None:
    keep_list(kept(None))
    assert not load_listed(kept(None))
    keep_list([])
    assert not load_listed([])
    gone = tmp_path / "gone"
    keep_list(kept(gone))
    assert not gone.exists()
    assert not load_listed(kept(gone))


def test_the_digest_follows_from_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert digest() == digest()
    monkeypatch.setattr(warm_list, "_ROOT", tmp_path)
    (tmp_path / "processors").mkdir()
    before = digest()
    (tmp_path / "processors" / "new.py").write_text("a = 1")
    assert digest() != before
