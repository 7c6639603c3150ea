"""What ``nearstream warm`` says. What it does is tested in ``engine/test_warm.py``."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.engine import warm as engine
from streams.engine.warm import Warmed

COLD, WARM, NOWHERE = Warmed(26, 0, 17.8, "/kernels"), Warmed(0, 25, 0.84, "/kernels"), Warmed(26, 0, 17.8, None)


def said(
    monkeypatch: pytest.MonkeyPatch, warmed: Warmed, *options: str, noted: list[int] | None = None
) -> tuple[str, str]:
    monkeypatch.setattr(engine, "warm", lambda: warmed)
    monkeypatch.setattr(engine, "note", lambda: None if noted is None else noted.append(1))
    result = CliRunner().invoke(app, ["warm", *options])
    assert result.exit_code == 0
    return result.stdout, result.stderr


def test_it_shows_progress_and_says_how_many_kernels_are_ready_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    out, progress = said(monkeypatch, COLD)
    assert out == "26 kernels ready in 17.8 s: 26 compiled, 0 from the cache.\nCache: /kernels.\n"
    assert "Compiling" in progress
    ready = engine.progress()[1]
    assert f"{ready}/{ready}" in progress
    out, _ = said(monkeypatch, WARM)
    assert out.startswith("25 kernels ready in 0.8 s: 0 compiled, 25 from the cache.")


def test_without_a_place_for_the_cache_it_says_what_that_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    out, _ = said(monkeypatch, NOWHERE)
    assert "Cache: none.\nNote: no place for a cache can be written to" in out
    assert "compiled anew at every start, which takes about 18 s" in out


def test_another_process_notes_what_is_needed_after_kernels_were_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    noted: list[int] = []
    for warmed in (WARM, NOWHERE, COLD):
        assert noted == []
        said(monkeypatch, warmed, noted=noted)
    assert noted == [1]


def test_json_is_one_line_and_nothing_else_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    out, progress = said(monkeypatch, WARM, "--json")
    assert json.loads(out) == {"compiled": 0, "loaded": 25, "seconds": 0.84, "cache": "/kernels", "advice": ""}
    assert progress == ""
