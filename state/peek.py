"""Look at stores of others in a process of its own: files that are damaged can end a process that opens them.

``python -m state.peek DIRECTORY...`` prints a line for each: the offset of its changelog, or nothing.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from state.rocks import peek_changelog_offset

_WITHIN_S = 30.0
"""Seconds after which a look is given up, and half a second more for each store."""


def changelog_offsets(paths: Sequence[Path]) -> dict[Path, int]:
    """Read how far stores have read their changelogs, as :func:`state.rocks.peek_changelog_offset` does.

    Stores that are not there or cannot be read are left out, those that end the process that looks at them too.

    Complexity: a tenth of a second for the process, and one process more for each store that ends it.

    Parameters
    ----------
    paths
        Directories of the stores.
    """
    found: dict[Path, int] = {}
    left = list(paths)
    while left:
        answers = _looked(left)
        found.update({path: int(answer) for path, answer in zip(left, answers, strict=False) if answer})
        # The one after the last answer ended the process.
        left = left[len(answers) + 1 :]
    return found


def _looked(paths: Sequence[Path]) -> list[str]:
    command = [sys.executable, "-m", "state.peek", *map(str, paths)]
    try:
        said = subprocess.run(command, capture_output=True, check=False, timeout=_WITHIN_S + len(paths) / 2).stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""
    return said.decode().splitlines()


def main(paths: Sequence[str]) -> None:
    """Print a line for each directory as soon as it is looked at."""
    for path in paths:
        offset = peek_changelog_offset(Path(path))
        print("" if offset is None else offset, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
