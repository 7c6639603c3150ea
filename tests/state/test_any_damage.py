"""A bit that flips or a file that is cut short, anywhere: the store is intact, older as a whole, or refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from state.rocks_files import DamagedLog, check_logs
from tests.state.damaging import outcome

CASES = 60
"""Of each of two groups; ``python -m tests.state.damaging FOLDER FIRST_SEED SEEDS`` tries as many as one likes."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "filled"
    subprocess.run([sys.executable, "-m", "tests.state.damaging", str(folder), "fill"], check=True)
    assert list(folder.glob("*.sst"))
    assert list(folder.glob("*.log"))
    return folder


@pytest.mark.unmeasured
@pytest.mark.parametrize("first_seed", [0, 1000])
def test_no_damage_gives_a_wrong_state_a_loop_or_a_crash(filled: Path, first_seed: int) -> None:
    command = [sys.executable, "-m", "tests.state.damaging", str(filled), str(first_seed), str(CASES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-500:]
    counts = json.loads(done.stdout)
    assert counts.keys() <= {"refused", "intact", "older"}, counts
    assert counts["refused"] > 0


def test_a_record_of_a_type_that_there_is_not_is_found(filled: Path, tmp_path: Path) -> None:
    """RocksDB itself would read the same block for ever."""
    for pattern in ("*.log", "MANIFEST-*"):
        copy = shutil.copytree(filled, tmp_path / pattern[:3].strip("*."))
        log = max(copy.glob(pattern), key=lambda path: path.stat().st_size)
        data = bytearray(log.read_bytes())
        data[6] ^= 0x40
        log.write_bytes(data)
        with pytest.raises(DamagedLog, match=f"{log.name}: a record of type 6[56] at byte 0, which there is not"):
            check_logs(copy)


def test_a_list_of_files_that_lacks_the_latest_is_found(filled: Path, tmp_path: Path) -> None:
    """Cut at the end of a record its checksums are all right, and the tables that it lacks would be deleted."""
    manifest = next(filled.glob("MANIFEST-*"))
    found = 0
    for at in range(200, manifest.stat().st_size, 100):
        copy = shutil.copytree(filled, tmp_path / str(at))
        (copy / manifest.name).write_bytes(manifest.read_bytes()[:at])
        try:
            check_logs(copy)
        except DamagedLog as error:
            found += "begins with write" in str(error)
    assert found > 0


@pytest.mark.unmeasured
def test_a_list_of_files_that_is_cut_anywhere_gives_no_wrong_state(filled: Path, tmp_path: Path) -> None:
    """In the middle of a record, too: RocksDB leaves out what is not whole, and so must who reads its numbers."""
    manifest = next(filled.glob("MANIFEST-*"))
    size, found = manifest.stat().st_size, set[str]()
    for at in range(size - 1, max(0, size - 1000), -17):
        copy = shutil.copytree(filled, tmp_path / str(at))
        (copy / manifest.name).write_bytes(manifest.read_bytes()[:at])
        found.add(outcome(copy))
        shutil.rmtree(copy)
    assert "refused" in found
    assert found <= {"refused", "intact", "older"}


def test_a_store_that_is_well_or_not_there_passes(filled: Path, tmp_path: Path) -> None:
    check_logs(filled)
    check_logs(tmp_path)
    (tmp_path / "CURRENT").write_text("MANIFEST-000001\n")
    with pytest.raises(DamagedLog, match="which is no list of files"):
        check_logs(tmp_path)
