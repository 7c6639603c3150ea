"""Looking at stores of others takes no harm, whatever their files are like."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from state import peek
from state.peek import changelog_offsets
from state.position import Position
from state.rocks import RocksStore


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Path]]:
    """Three stores, of which the first is open."""
    opened = [RocksStore(tmp_path / f"users-{number}", Position) for number in range(3)]
    for number, store in enumerate(opened):
        store.commit(store.encode({"a": Position(1)}, Position(1)), 10 + number)
    for store in opened[1:]:
        store.close()
    yield [store.path for store in opened]
    opened[0].close()


def test_it_reads_every_store_that_there_is(stores: list[Path], tmp_path: Path) -> None:
    assert changelog_offsets([]) == {}
    found = changelog_offsets([stores[0], tmp_path / "users-9", *stores[1:]])
    assert found == {stores[0]: 10, stores[1]: 11, stores[2]: 12}


def test_a_store_that_ends_whoever_opens_it_is_left_out(
    stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "dying"
    code = (
        "import os, sys, state.peek as peek; look = peek.peek_changelog_offset; "
        "peek.peek_changelog_offset = lambda path: os.abort() if path.name == 'users-1' else look(path); "
        "peek.main(sys.argv[1:])"
    )
    dying.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} -c "{code}" "$@"\n')
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    assert changelog_offsets(stores) == {stores[0]: 10, stores[2]: 12}


def test_options_that_are_damaged_end_nobody(stores: list[Path]) -> None:
    (options,) = sorted(stores[1].glob("OPTIONS-*"))[-1:]
    data = options.read_bytes()
    for at in range(0, len(data), len(data) // 12):
        options.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        found = changelog_offsets(stores)
        assert (found[stores[0]], found[stores[2]]) == (10, 12)
        assert found.get(stores[1]) in (None, 11)


def test_a_look_that_takes_too_long_keeps_what_was_found(
    stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "hanging"
    hanging.write_text("#!/bin/sh\necho 10\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr(peek, "_WITHIN_S", 0.2)
    assert changelog_offsets(stores) == {stores[0]: 10, stores[2]: 10}
